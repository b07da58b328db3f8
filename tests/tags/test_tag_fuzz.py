from typing import Any

import yaml
from example_packs import ACTORS, EXCHANGE, MAINNET_ADDRESSES, MIXER
from hypothesis import example, given
from hypothesis import strategies as st

from geldspur.bitcoin.networks import MAINNET
from geldspur.errors import GeldspurError
from geldspur.tags.edition import actor_row, tag_row
from geldspur.tags.packs import parse_pack

_HEADER = ["title", "creator", "tags", "actors", "label", "source", "confidence", "currency", "network"]
_TAG = ["lastmod", "address", "tx_hash", "category", "abuse", "concepts", "actor", "is_cluster_definer"]
_ACTOR = ["id", "uri", "categories", "jurisdictions"]
_VALUES_OF_FIELDS = ["BTC", "ETH", "exchange", "NO", "on", "~", "2022-11-16", "forensic", "unknown"]
_WORDS = st.sampled_from([*_HEADER, *_TAG, *_ACTOR, *_VALUES_OF_FIELDS, *MAINNET_ADDRESSES])
_PIECES = st.one_of(
    _WORDS,
    st.sampled_from(["- ", ": ", "\n", "  ", "&a ", "*a", "<<: ", "!!map ", "!x ", "|\n", ">", "'", '"', "[", "]"]),
    st.sampled_from(["{", "}", "? ", "---\n", "...\n", "%YAML 1.1\n", "#", "\t", "\x00", "\u202e", "\ufeff", "\\x"]),
    st.text(max_size=5),
)


def _read_or_refuse(data: bytes) -> None:
    try:
        parsed = parse_pack(data, "pack.yaml", MAINNET)
    except GeldspurError as error:
        assert "pack.yaml" in str(error)
        return
    counts = parsed.pack.counts.as_dict()
    assert counts.pop("read") == sum(counts.pop("other_currency").values()) + sum(counts.values())
    assert parsed.pack.counts.kept == len(parsed.tags) + len(parsed.actors)
    for tag in parsed.tags:
        assert tag.label and tag.source and tag_row(tag)["address"] == tag.address
    for actor in parsed.actors:
        assert actor_row(actor)["id"]
    lines = data.count(b"\n") + data.count(b"\r") + data.count(b"\xc2\x85") + data.count(b"\xe2\x80") + 2
    for problem in parsed.problems:
        assert 1 <= problem.line <= lines
        assert problem.text.isprintable()


@given(st.sampled_from([EXCHANGE, MIXER, ACTORS]), st.data())
def test_a_mutated_pack_is_read_or_refused(text: str, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(text)))
        drop = data.draw(st.integers(0, 20))
        text = text[:at] + data.draw(_PIECES) + text[at + drop :]
    _read_or_refuse(text.encode("utf-8", "surrogatepass"))


@given(st.sampled_from([EXCHANGE, MIXER, ACTORS]), st.data())
def test_a_pack_with_damaged_bytes_is_read_or_refused(text: str, data: st.DataObject) -> None:
    damaged = bytearray(text.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        damaged[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    _read_or_refuse(bytes(damaged))


_VALUES = st.recursive(
    st.one_of(_WORDS, st.none(), st.booleans(), st.integers(), st.floats(), st.dates(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_WORDS, inner, max_size=5)),
    max_leaves=25,
)


@given(_VALUES, st.dictionaries(_WORDS, _VALUES, max_size=6), st.sampled_from(["tags", "actors"]))
@example({"a": 1}, {}, "tags")
def test_any_structure_is_read_or_refused(value: Any, header: dict[str, Any], name: str) -> None:
    good = {"title": "T", "creator": "C", "source": "S", "label": "L", "currency": "BTC"}
    _read_or_refuse(yaml.safe_dump({**good, **header, name: [value, value]}, allow_unicode=True).encode())
    _read_or_refuse(yaml.safe_dump(value, allow_unicode=True).encode())


@given(st.binary(max_size=60))
def test_any_bytes_are_refused_or_read(data: bytes) -> None:
    _read_or_refuse(data)
