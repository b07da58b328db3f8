import csv
import io
import json
import lzma
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geldspur.bitcoin import base58, bech32
from geldspur.bitcoin.addresses import AddressError, Decoded, ForeignAddress, MalformedAddress, decode, encode
from geldspur.bitcoin.networks import MAINNET, NETWORKS, REGTEST, SIGNET, TESTNET3, TESTNET4, Network
from geldspur.bitcoin.scripts import ScriptType, classify, script_of

DATA = Path(__file__).parents[1] / "data"
TEST_NETWORKS = ("testnet3", "testnet4", "signet", "regtest")


def _vectors(name: str) -> dict[str, list]:
    return json.loads((DATA / name).read_text("utf-8"))


BIP173, BIP350, KEY_IO = _vectors("bip173.json"), _vectors("bip350.json"), _vectors("key_io.json")


@pytest.mark.parametrize(("data", "text"), _vectors("base58.json")["vectors"])
def test_base58_writes_and_reads_cores_vectors(data: str, text: str) -> None:
    assert base58.encode(bytes.fromhex(data)) == text
    assert base58.decode(text) == bytes.fromhex(data)


@pytest.mark.parametrize(
    ("text", "constant"),
    [(t, bech32.BECH32) for t in BIP173["valid"]] + [(t, bech32.BECH32M) for t in BIP350["valid"]],
)
def test_every_valid_string_of_the_bips_is_read_with_its_own_checksum_and_written_back(
    text: str, constant: int
) -> None:
    prefix, values, found = bech32.decode(text)
    assert found == constant
    assert bech32.encode(prefix, values, constant) == text.lower()


@pytest.mark.parametrize("text", BIP173["invalid"] + BIP350["invalid"])
def test_every_invalid_string_of_the_bips_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        bech32.decode(text)


@pytest.mark.parametrize(("text", "script"), BIP173["valid_addresses"] + BIP350["valid_addresses"])
def test_every_valid_address_of_the_bips_gives_the_script_that_they_print(text: str, script: str) -> None:
    network = MAINNET if text.lower().startswith("bc") else SIGNET
    decoded = decode(text, network)
    assert script_of(*decoded).hex() == script
    assert classify(bytes.fromhex(script)) == decoded
    assert encode(*decoded, network) == text.lower()


@pytest.mark.parametrize(
    "text",
    BIP173["invalid_addresses"] + BIP173["superseded_by_bip350"] + BIP350["invalid_addresses"] + KEY_IO["invalid"],
)
@pytest.mark.parametrize("network", NETWORKS.values(), ids=lambda n: n.name)
def test_every_invalid_address_of_the_bips_and_of_core_is_malformed_on_all_networks(
    text: str, network: Network
) -> None:
    with pytest.raises(MalformedAddress):
        decode(text, network)


@pytest.mark.parametrize(("text", "script", "network"), KEY_IO["valid"])
def test_cores_addresses_and_scripts_turn_into_each_other(text: str, script: str, network: str) -> None:
    decoded = decode(text, NETWORKS[network])
    assert script_of(*decoded).hex() == script
    assert encode(*classify(bytes.fromhex(script)), NETWORKS[network]) == text


@pytest.mark.parametrize(
    ("text", "at_home"),
    [
        ("1FsSia9rv4NeEwvJ2GvXrX7LyxYspbN2mo", ("mainnet",)),
        ("36j4NfKv6Akva9amjWrLG6MuSQym1GuEmm", ("mainnet",)),
        ("bc1qvyq0cc6rahyvsazfdje0twl7ez82ndmuac2lhv", ("mainnet",)),
        ("mzK2FFDEhxqHcmrJw1ysqFkVyhUULo45hZ", TEST_NETWORKS),
        ("2NC2hEhe28ULKAJkW5MjZ3jtTMJdvXmByvK", TEST_NETWORKS),
        ("tb1qcrh3yqn4nlleplcez2yndq2ry8h9ncg3qh7n54", ("testnet3", "testnet4", "signet")),
        ("bcrt1qdavt4j2sd7dlhqsavtnfxvzppw6k7qy97tmnu9", ("regtest",)),
    ],
)
def test_an_address_of_other_networks_names_all_that_it_fits(text: str, at_home: tuple[str, ...]) -> None:
    for network in NETWORKS.values():
        if network.name in at_home:
            assert encode(*decode(text, network), network) == text
        else:
            with pytest.raises(ForeignAddress) as caught:
                decode(text, network)
            assert caught.value.networks == at_home


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1FsSia9rv4NeEwvJ2GvXrX7LyxYspbN2mp", "the Base58 checksum does not match"),
        ("1FsSia9rv4NeEwvJ2GvXrX7LyxYspbN20o", "character 33 ('0') is not a Base58 character"),
        ("1FsSia9rv4NeEwvJ2GvXrX7LyxYspbN2mo ", "character 35 (' ') is not a Base58 character"),
        ("1FsSia9rv4NeEwvJ2GvXrX7Lyx\u0443spbN2mo", "character 27 ('\\u0443') is not a Base58 character"),
        ("", "too short for a Base58 checksum"),
        ("1" * 91, "longer than 90 characters"),
        (base58.check_encode(b"\x30" + bytes(20)), "the version byte 0x30 is not one of a Bitcoin network"),
        ("ltc1qw508d6qejxtdg4y5r3zarvary0c5xw7kgmn4n9", "the prefix 'ltc' is not one of a Bitcoin network"),
        ("bc1qvyq0cc6rahyvsazfdje0twl7ez82ndmuac2lhw", "the Bech32 checksum does not match"),
        ("bc1qvyq0cc6rahyvsazfdje0twl7ez82ndmuac2lhb", "character 42 ('b') is not a Bech32 character"),
        ("bc1Qvyq0cc6rahyvsazfdje0twl7ez82ndmuac2lhv", "upper and lower case mixed"),
        ("bc1pw5dgrnzv", "a witness program of 1 bytes where 2 to 40 are allowed"),
        (
            "BC1QR508D6QEJXTDG4Y5R3ZARVARYV98GJ9P",
            "a version 0 witness program of 16 bytes where 20 or 32 are due",
        ),
        (
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kemeawh",
            "a Bech32 checksum where Bech32m is due, or the reverse",
        ),
        (KEY_IO["private_keys"][0], "a private key, not an address"),
        (KEY_IO["private_keys"][1], "a private key, not an address"),
    ],
)
def test_a_malformed_address_says_what_is_wrong_with_it(text: str, reason: str) -> None:
    with pytest.raises(MalformedAddress) as caught:
        decode(text, MAINNET)
    assert caught.value.reason == reason


def test_a_private_key_is_not_repeated_in_the_message() -> None:
    with pytest.raises(MalformedAddress) as caught:
        decode(KEY_IO["private_keys"][0], MAINNET)
    assert KEY_IO["private_keys"][0] not in str(caught.value)
    assert KEY_IO["private_keys"][0] not in caught.value.text


@pytest.mark.parametrize(
    "script_type",
    [ScriptType.P2PK, ScriptType.MULTISIG, ScriptType.NONSTANDARD, ScriptType.OP_RETURN],
)
def test_types_without_an_address_give_none(script_type: ScriptType) -> None:
    assert encode(script_type, bytes.fromhex("51200000") + bytes(30), MAINNET) is None


_PAYLOADS = st.one_of(
    st.tuples(
        st.sampled_from([ScriptType.P2PKH, ScriptType.P2SH, ScriptType.P2WPKH]),
        st.binary(min_size=20, max_size=20),
    ),
    st.tuples(st.sampled_from([ScriptType.P2WSH, ScriptType.P2TR]), st.binary(min_size=32, max_size=32)),
    st.builds(
        lambda version, program: (
            ScriptType.WITNESS_UNKNOWN,
            bytes([0x50 + version, len(program)]) + program,
        ),
        st.integers(2, 16),
        st.binary(min_size=2, max_size=40),
    ),
)
_NETWORKS = st.sampled_from(list(NETWORKS.values()))


@given(_PAYLOADS, _NETWORKS)
def test_every_address_that_is_written_is_read_back_in_either_case(
    script: tuple[ScriptType, bytes], network: Network
) -> None:
    text = encode(*script, network)
    assert text is not None
    assert decode(text, network) == Decoded(*script)
    assert classify(script_of(*script)) == script
    if script[0] not in (ScriptType.P2PKH, ScriptType.P2SH):
        assert decode(text.upper(), network) == Decoded(*script)
        assert encode(*decode(text.upper(), network), network) == text


@given(_PAYLOADS, _NETWORKS, st.data())
def test_no_change_of_one_character_goes_unnoticed(
    script: tuple[ScriptType, bytes], network: Network, data: st.DataObject
) -> None:
    text = encode(*script, network)
    assert text is not None
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda c: c.lower() != text[at].lower()))
    with pytest.raises(MalformedAddress):
        decode(text[:at] + other + text[at + 1 :], network)


@given(_PAYLOADS, _NETWORKS, _NETWORKS, st.data())
def test_mutated_addresses_raise_nothing_but_the_typed_error(
    script: tuple[ScriptType, bytes], network: Network, reader: Network, data: st.DataObject
) -> None:
    text = encode(*script, network) or ""
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(text)))
        drop = data.draw(st.integers(0, 3))
        text = text[:at] + data.draw(st.text(max_size=3)) + text[at + drop :]
    _read_or_refuse(text, reader)


@given(st.text(st.characters(exclude_categories=())), _NETWORKS)
def test_any_text_is_read_or_refused(text: str, network: Network) -> None:
    _read_or_refuse(text, network)


@given(st.sampled_from(["bc", "tb", "bcrt", "xy"]), st.binary(max_size=80), st.sampled_from([1, bech32.BECH32M]))
def test_any_payload_under_a_right_checksum_is_read_or_refused(prefix: str, data: bytes, constant: int) -> None:
    values = bytes(b & 31 for b in data)
    _read_or_refuse(bech32.encode(prefix, values, constant), MAINNET)


def _read_or_refuse(text: str, network: Network) -> None:
    try:
        decoded = decode(text, network)
    except AddressError:
        return
    assert encode(*decoded, network) in (text, text.lower())


def test_every_address_of_the_small_case_has_the_type_that_the_truth_says(shared: Path) -> None:
    rows = 0
    with tarfile.open(shared / "cases" / "S.tar.xz") as archive:
        member = archive.extractfile("S/truth/addresses.csv")
        assert member is not None
        for row in csv.DictReader(io.TextIOWrapper(member, "utf-8")):
            decoded = decode(row["address"], REGTEST)
            assert decoded.script_type.label == row["script_type"]
            assert encode(*decoded, REGTEST) == row["address"]
            rows += 1
    assert rows == 4125


_CORE_TYPES = {
    "pubkey": ScriptType.P2PK,
    "pubkeyhash": ScriptType.P2PKH,
    "scripthash": ScriptType.P2SH,
    "witness_v0_keyhash": ScriptType.P2WPKH,
    "witness_v0_scripthash": ScriptType.P2WSH,
    "witness_v1_taproot": ScriptType.P2TR,
    "witness_unknown": ScriptType.WITNESS_UNKNOWN,
    "multisig": ScriptType.MULTISIG,
    "nulldata": ScriptType.OP_RETURN,
    "nonstandard": ScriptType.NONSTANDARD,
}


def test_scripts_of_the_small_case_have_the_type_and_address_that_core_prints(shared: Path) -> None:
    seen = set()
    with tarfile.open(shared / "cases" / "S.tar.xz") as archive:
        for name in ("first200", "mid200", "last200"):
            member = archive.extractfile(f"S/core/getblock3_{name}.jsonl.xz")
            assert member is not None
            for line in lzma.decompress(member.read()).decode().splitlines():
                for output in (o["scriptPubKey"] for tx in json.loads(line)["tx"] for o in tx["vout"]):
                    script_type, payload = classify(bytes.fromhex(output["hex"]))
                    # Core asks of OP_RETURN that only pushes follow; the ledger asks only if it can be spent.
                    if not output["hex"].startswith("6a"):
                        assert script_type == _CORE_TYPES[output["type"]]
                    assert script_of(script_type, payload).hex() == output["hex"]
                    address = encode(script_type, payload, REGTEST)
                    if output["type"] not in ("pubkey", "multisig"):
                        assert output.get("addresses", []) == ([] if address is None else [address])
                    seen.add(output["type"])
    assert seen == set(_CORE_TYPES)


def test_test_networks_share_prefixes_as_core_has_them() -> None:
    assert TESTNET3.bech32_hrp == TESTNET4.bech32_hrp == SIGNET.bech32_hrp != REGTEST.bech32_hrp
