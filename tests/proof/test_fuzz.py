"""Hostile packages: whatever they hold, the verifier says no, and says it in a sentence."""

import json
import random

import pytest

import tiny_package
from geldspur.proof import verifier
from tiny_package import lines, rows_of

ODD = [None, True, 0, -1, 1 << 70, 1.5, "", "x", "00" * 32, "ff" * 40, [], [[]], {}, {"txid": 1}, "é\u202e\ud800"]


@pytest.fixture(scope="module")
def sealed(honest, chain):
    return tiny_package.seal(honest, tiny_package.fields_of(chain, "NL"))


def refused(path):
    report = verifier.verify(path)
    assert not report.verified
    assert all(check.detail.isascii() and check.detail.isprintable() for check in report.checks)
    return report


def mutated(raw, rng):
    """The bytes with one to three small things changed."""
    raw = bytearray(raw)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(raw) or 1)
        match rng.randrange(4):
            case 0:
                raw[at : at + 1] = rng.randbytes(1)
            case 1:
                del raw[at : at + rng.randint(1, 40)]
            case 2:
                raw[at:at] = rng.randbytes(rng.randint(1, 40))
            case _:
                raw[at : at + 8] = rng.choice([b"\0" * 8, b"\xff" * 8, b"PK\1\2PK\5\6"])
    return bytes(raw)


@pytest.mark.parametrize("seed", range(4))
def test_no_change_of_a_zip_passes(sealed, tmp_path, seed):
    path = tiny_package.pack(sealed, tmp_path / "a.zip")
    raw = path.read_bytes()
    rng = random.Random(seed)
    for _ in range(250):
        other = mutated(raw, rng)
        if other != raw:
            path.write_bytes(other)
            refused(path)


def test_no_byte_of_the_zips_own_fields_may_differ(sealed, tmp_path):
    path = tiny_package.pack(sealed, tmp_path / "a.zip")
    raw = path.read_bytes()
    local = [at for at in range(len(raw)) if raw.startswith(b"PK\3\4", at)]
    assert len(local) == len(sealed)
    directory = raw.index(b"PK\1\2")
    places = [at + i for at in local for i in range(30)] + list(range(directory, len(raw)))
    for at in places:
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 0x04]) + raw[at + 1 :])
        assert [c.name for c in refused(path).checks] == ["package"]


@pytest.mark.parametrize("seed", range(2))
def test_no_change_of_a_file_in_a_directory_passes(sealed, tmp_path, seed):
    folder = tiny_package.unpack(sealed, tmp_path / "NL")
    rng = random.Random(seed)
    for name, content in sorted(sealed.items()) * 6:
        other = mutated(content, rng)
        if other != content:
            (folder / name).write_bytes(other)
            refused(folder)
            (folder / name).write_bytes(content)
    assert verifier.verify(folder).verified


def replace_somewhere(value, rng):
    """The JSON value with one of its members replaced by something odd, removed, or doubled."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(sorted(value))
        if rng.random() < 0.1:
            return {k: v for k, v in value.items() if k != key}
        return value | {key: replace_somewhere(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.9:
        at = rng.randrange(len(value))
        if rng.random() < 0.2:
            return value[:at] + value[at + 1 :] if rng.random() < 0.5 else [*value, value[at]]
        return [*value[:at], replace_somewhere(value[at], rng), *value[at + 1 :]]
    return rng.choice(ODD)


TABLES = ["leads.jsonl", "cashouts.jsonl", "proof/blocks.jsonl", "proof/transactions.jsonl"]


@pytest.mark.parametrize("name", TABLES)
def test_rows_of_any_shape_are_judged_and_never_crash(honest, report_on, name):
    """The forger's manifest fits. Texts that nothing can be compared with may pass; nothing may crash."""
    rng = random.Random(name)
    rows = rows_of(honest, name)
    for _ in range(60):
        at = rng.randrange(len(rows))
        other = [*rows[:at], replace_somewhere(rows[at], rng), *rows[at + 1 :]]
        raw = b"".join(json.dumps(row).encode() + b"\n" for row in other)
        report = report_on(honest | {name: raw})
        assert not [c for c in report.checks if c.detail.startswith("can't be read")], report.checks


@pytest.mark.parametrize("name", TABLES)
def test_bytes_of_any_kind_in_a_table_are_judged_and_never_crash(honest, report_on, name):
    rng = random.Random(name)
    for _ in range(40):
        report = report_on(honest | {name: mutated(honest[name], rng)})
        assert not [c for c in report.checks if c.detail.startswith("can't be read")], report.checks


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"1" * 100_000,
        b"-" + b"1" * 30,
        b"1e999",
        b"NaN",
        b"Infinity",
        b'{"txid":1,"txid":2}',
        b'"\\ud800"',
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b"{}",
        b"null",
        b"",
        b'{"payment":{"txid":"' + b"0" * 64 + b'","vout":99999999999999999999}}',
    ],
)
@pytest.mark.parametrize("name", TABLES)
def test_json_made_to_hurt_is_refused(honest, report_on, name, line):
    report = report_on(honest | {name: line + b"\n" + honest[name]})

    assert not report.verified
    assert not [c for c in report.checks if c.detail.startswith("can't be read")], report.checks


def test_a_table_that_is_cut_off_is_refused(honest, report_on):
    for name in TABLES:
        assert not report_on(honest | {name: honest[name][:-1]}).verified


@pytest.mark.parametrize("raw", [b"", b"PK", b"PK\3\4", b"PK\5\6" + bytes(18), b"\0" * 1000, b"not a zip at all"])
def test_files_that_are_no_packages_are_refused(tmp_path, raw):
    path = tmp_path / "a.zip"
    path.write_bytes(raw)
    assert [c.name for c in refused(path).checks] == ["package"]


def test_an_empty_package_shows_nothing_and_an_empty_table_passes(honest, report_on):
    empty = honest | dict.fromkeys(TABLES, b"")
    assert [c.name for c in report_on(empty).checks if not c.passed] == ["snapshot", "requests"]
    header_only = lines([]) + honest["requests/all.csv"].splitlines()[0] + b"\n"
    none = honest | {"leads.jsonl": b"", "cashouts.jsonl": b"", "requests/all.csv": header_only}
    assert report_on(none).verified
