import re

import pytest
from example_packs import ACTORS, EXCHANGE, MAINNET_ADDRESSES

from geldspur.bitcoin.networks import MAINNET, REGTEST, SIGNET
from geldspur.bitcoin.scripts import ScriptType
from geldspur.errors import GeldspurError
from geldspur.tags.packs import ParsedPack, parse_pack

HEADER = """\
title: T
creator: C
label: L
source: S
confidence: forensic
currency: BTC
tags:
"""


def _parse(text: str) -> ParsedPack:
    parsed = parse_pack(text.encode(), "pack.yaml", MAINNET)
    counts = parsed.pack.counts.as_dict()
    others = sum(counts.pop("other_currency").values())
    assert counts.pop("read") == sum(counts.values()) + others
    return parsed


def _told(parsed: ParsedPack) -> list[tuple[int, str, str]]:
    assert {problem.file for problem in parsed.problems} <= {"pack.yaml"}
    return [(problem.line, problem.text, problem.reason) for problem in parsed.problems]


def test_a_tag_inherits_from_the_header_and_its_own_value_wins() -> None:
    first, second = _parse(EXCHANGE).tags
    assert first.script_type == ScriptType.P2PKH
    assert first.payload.hex() == "a31c06bd463e3923bc1aadbde48b16976c080717"
    assert (first.label, first.lastmod, first.is_cluster_definer) == ("example exchange", "2022-11-16", True)
    assert (first.actor, first.category, first.confidence, first.confidence_level) == (
        "example",
        "exchange",
        "service_data",
        50,
    )
    assert (first.pack, first.creator, first.source) == (
        "Reserve wallets",
        "A team",
        "https://example.org/reserves",
    )
    assert (second.label, second.lastmod, second.is_cluster_definer) == (
        "example exchange, cold",
        "2023-01-02",
        False,
    )
    assert (first.line, second.line) == (12, 13)


def test_an_empty_value_inherits_too() -> None:
    assert _parse(HEADER + f"- address: {MAINNET_ADDRESSES[0]}\n  label:\n").tags[0].label == "L"


def test_missing_means_not_a_cluster_definer() -> None:
    assert _parse(HEADER + f"- address: {MAINNET_ADDRESSES[0]}\n").tags[0].is_cluster_definer is False


@pytest.mark.parametrize(
    ("fields", "kept", "other"),
    [
        ("", True, {}),
        ("currency: ETH", False, {"ETH": 1}),
        ("currency: USDT\n  network: BTC", True, {}),
        ("currency: BTC\n  network: ETH", False, {"ETH": 1}),
        ("network: eth", False, {"ETH": 1}),
        ("currency: btc", True, {}),
    ],
)
def test_the_network_tells_what_a_tag_is_for_else_the_currency(fields: str, kept: bool, other: dict[str, int]) -> None:
    parsed = _parse(HEADER + f"- address: {MAINNET_ADDRESSES[0]}\n  {fields}\n")
    assert bool(parsed.tags) == kept
    assert parsed.pack.counts.other_currency == other
    assert parsed.problems == []


def test_bitcoin_means_any_of_its_networks_and_those_of_others_are_counted() -> None:
    text = HEADER + "".join(f"- address: {address}\n" for address in MAINNET_ADDRESSES)
    text += "- address: tb1qcrh3yqn4nlleplcez2yndq2ry8h9ncg3qh7n54\n"
    text += "- address: mzK2FFDEhxqHcmrJw1ysqFkVyhUULo45hZ\n"
    for network, kept in ((MAINNET, 4), (SIGNET, 2), (REGTEST, 1)):
        parsed = parse_pack(text.encode(), "pack.yaml", network)
        assert (parsed.pack.counts.kept, parsed.pack.counts.other_network) == (kept, 6 - kept)
        assert parsed.problems == []


def test_a_broken_address_is_told_with_its_line_and_the_rest_is_kept() -> None:
    parsed = _parse(
        HEADER
        + f"- address: {MAINNET_ADDRESSES[0]}\n- label: x\n  address: 1FsSia9rv4NeEwvJ2GvXrX7LyxYspbN2mp\n"
        + f"- address: {MAINNET_ADDRESSES[1]}\n- address: bc1qvyq0cc6rahyvsazfdje0twl7ez82ndmuac2lhw\n"
    )
    assert [tag.address for tag in parsed.tags] == list(MAINNET_ADDRESSES[:2])
    assert parsed.pack.counts.malformed == 2
    assert _told(parsed) == [
        (10, "1FsSia9rv4NeEwvJ2GvXrX7LyxYspbN2mp", "the Base58 checksum does not match"),
        (12, "bc1qvyq0cc6rahyvsazfdje0twl7ez82ndmuac2lhw", "the Bech32 checksum does not match"),
    ]


def test_an_upper_case_address_is_the_ledgers_lower_case_one() -> None:
    assert _parse(HEADER + f"- address: {MAINNET_ADDRESSES[2].upper()}\n").tags[0].address == MAINNET_ADDRESSES[2]


def test_a_tag_of_a_transaction_is_counted() -> None:
    parsed = _parse(HEADER + f"- tx_hash: {'0' * 64}\n")
    assert parsed.pack.counts.on_transaction == 1
    assert parsed.problems == []


@pytest.mark.parametrize("field", ["label", "source"])
def test_a_tag_without_a_mandatory_field_is_left_out_and_told(field: str) -> None:
    text = re.sub(rf"^{field}: .*\n", "", HEADER, flags=re.MULTILINE) + f"- address: {MAINNET_ADDRESSES[0]}\n"
    parsed = _parse(text)
    assert parsed.tags == []
    assert parsed.pack.counts.unusable == 1
    assert _told(parsed) == [(7, field, f"the mandatory field {field} is missing; the tag is left out")]


@pytest.mark.parametrize(
    ("entry", "line", "text", "reason"),
    [
        ("- just text", 8, "T", "a tag that is not a mapping; the tag is left out"),
        ("- label: x", 8, "address", "the mandatory field address is missing; the tag is left out"),
        ("- address: A\n  label: [x, y]", 9, "label", "label is not a text; the tag is left out"),
        (
            "- address: A\n  confidence: certain",
            9,
            "certain",
            "not a grade of confidence; the tag is left out",
        ),
        ("- address: [A]", 8, "address", "address is not a text; the tag is left out"),
        (
            '- address: A\n  label: "x\\u202egpj"',
            9,
            "x\\u202egpj",
            "label holds control characters; the tag is left out",
        ),
    ],
)
def test_an_unusable_tag_is_left_out_and_told(entry: str, line: int, text: str, reason: str) -> None:
    good, other = MAINNET_ADDRESSES[:2]
    parsed = _parse(HEADER + entry.replace(" A", " " + good).replace("[A]", f"[{good}]") + f"\n- address: {other}\n")
    assert [tag.address for tag in parsed.tags] == [other]
    assert _told(parsed) == [(line, text, reason)]


@pytest.mark.parametrize(
    ("field", "text", "reason"),
    [
        (
            "is_cluster_definer: perhaps",
            "perhaps",
            "is_cluster_definer is neither true nor false; taken as false",
        ),
        ("lastmod: last week", "last week", "lastmod is not a date (YYYY-MM-DD); ignored"),
        ("lastmod: 2022-13-01", "2022-13-01", "lastmod is not a date (YYYY-MM-DD); ignored"),
        ("concepts: mixing", "concepts", "concepts is not a list; ignored"),
        ("actor: {id: x}", "actor", "actor is not a text; ignored"),
        ("category: bank", "bank", "category is not in the taxonomy of concepts; kept as it is"),
        ("catagory: exchange", "catagory", "not a field of the schema; ignored"),
        ("label: M", "label", "the key occurs twice in one entry; the first value counts"),
    ],
)
def test_a_bad_optional_field_is_told_and_the_tag_kept(field: str, text: str, reason: str) -> None:
    parsed = _parse(HEADER + f"- address: {MAINNET_ADDRESSES[0]}\n  label: L\n  {field}\n")
    tag = parsed.tags[0]
    assert _told(parsed) == [(10, text, reason)]
    assert (tag.label, tag.lastmod, tag.concepts, tag.actor, tag.is_cluster_definer) == (
        "L",
        None,
        (),
        None,
        False,
    )


def test_a_slip_in_the_header_is_told_once() -> None:
    text = HEADER.replace("tags:", "category: bank\nlastmod: soon\ntags:")
    parsed = _parse(text + "".join(f"- address: {address}\n" for address in MAINNET_ADDRESSES))
    assert [line for line, _, _ in _told(parsed)] == [7, 8]
    assert len(parsed.tags) == 4


def test_tags_without_a_grade_get_the_lowest_and_that_is_told_once() -> None:
    text = HEADER.replace("confidence: forensic\n", "")
    parsed = _parse(text + "".join(f"- address: {address}\n" for address in MAINNET_ADDRESSES))
    assert {(tag.confidence, tag.confidence_level) for tag in parsed.tags} == {("unknown", 5)}
    assert _told(parsed) == [(7, "confidence", "no confidence stated for 4 tags; graded 'unknown'")]


def test_a_tag_said_twice_counts_once() -> None:
    parsed = _parse(HEADER + f"- address: {MAINNET_ADDRESSES[0]}\n" * 3)
    assert (len(parsed.tags), parsed.pack.counts.duplicate) == (1, 2)


def test_text_stays_what_was_written() -> None:
    parsed = _parse(
        HEADER
        + f"- address: {MAINNET_ADDRESSES[0]}\n  label: NO\n"
        + "  lastmod: 2022-1-5\n  source: 0x10\n  actor: 1e3\n"
    )
    tag = parsed.tags[0]
    assert (tag.label, tag.lastmod, tag.source, tag.actor) == ("NO", "2022-1-5", "0x10", "1e3")
    assert parsed.problems == []


def test_actors_keep_norway_and_inherit_the_header() -> None:
    parsed = parse_pack(ACTORS.encode(), "pack.yaml", MAINNET)
    assert parsed.pack.kind == "actorpack"
    example, other = parsed.actors
    assert example.jurisdictions == ("NO", "DE")
    assert example.categories == ("exchange", "organization")
    assert (example.lastmod, other.jurisdictions) == ("2023-02-17", ())
    assert parsed.problems == []


def test_unknown_countries_are_left_out_and_told() -> None:
    parsed = parse_pack(ACTORS.replace("[NO, de]", "[UK, GB, XK, Germany, off]").encode(), "pack.yaml", MAINNET)
    assert parsed.actors[0].jurisdictions == ("GB",)
    assert [(problem.line, problem.text) for problem in parsed.problems] == [
        (9, "UK"),
        (9, "XK"),
        (9, "Germany"),
        (9, "off"),
    ]


def test_an_actor_described_twice_is_told() -> None:
    parsed = parse_pack(ACTORS.replace("id: other", "id: example").encode(), "pack.yaml", MAINNET)
    assert [actor.label for actor in parsed.actors] == ["Example Exchange"]
    assert (parsed.pack.counts.kept, parsed.pack.counts.duplicate) == (1, 1)
    assert _told(parsed) == [(10, "example", "described before, on line 5; left out")]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the file is not a YAML mapping"),
        ("just text", "the file is not a YAML mapping"),
        ("- a\n- b\n", "the file is not a YAML mapping"),
        ("title: T\ncreator: C\n", "neither tags nor actors"),
        ("title: T\ncreator: C\ntags: []\nactors: []\n", "both tags and actors"),
        ("title: T\ncreator: C\ntags: none\n", "tags is not a list"),
        ("title: T\ncreator: C\ntags:\n", "tags is not a list"),
        ("creator: C\ntags: []\n", "the mandatory field title is missing"),
        ("title: T\ntags: []\n", "the mandatory field creator is missing"),
        ("title: [T]\ncreator: C\ntags: []\n", "title is not a text"),
        ("title: T\n creator: C\ntags: []\n", "pack.yaml, line 2"),
        ("title: T\ncreator: &c C\nowner: *c\ntags: []\n", "aliases are not read"),
    ],
)
def test_a_file_that_is_no_pack_is_an_error_that_names_it(text: str, reason: str) -> None:
    with pytest.raises(GeldspurError, match=re.escape(reason)) as caught:
        parse_pack(text.encode(), "pack.yaml", MAINNET)
    assert "pack.yaml" in str(caught.value)
    assert caught.value.todo
