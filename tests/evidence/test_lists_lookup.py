"""Look-ups in compiled lists equal Python's sets, whatever the digests, the memory and the chunks."""

import fcntl
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import geldspur
from geldspur.errors import GeldspurError, UsageError
from geldspur.evidence.lists import make_list, open_list
from geldspur.evidence.lists.kernels import find_all, spread

WIDTH = {"md5": 16, "sha1": 20, "sha256": 32}


def forged(kind):
    """Digests of one kind that often share their first eight bytes, and sometimes all."""
    parts = st.sampled_from([b"\x00" * 8, b"\xff" * 8, b"\x80" + b"\x00" * 7, b"prefixed"]) | st.binary(
        min_size=8, max_size=8
    )
    tail = WIDTH[kind] - 8
    tails = st.sampled_from([b"\x00" * (tail - 1) + b"\x01", b"\xff" * tail]) | st.binary(min_size=tail, max_size=tail)
    return st.tuples(st.just(kind), st.builds(bytes.__add__, parts, tails))


@pytest.mark.assertion("EV-LI-01", "Look-ups in a compiled list give what a dictionary of the same entries gives.")
@settings(max_examples=60, deadline=None)
@given(
    listed=st.lists(st.one_of(*map(forged, WIDTH)), min_size=1, max_size=80),
    asked=st.lists(st.one_of(*map(forged, WIDTH)), max_size=30),
    run=st.integers(1, 30),
)
def test_find_equals_a_dictionary_and_the_bytes_do_not_depend_on_the_chunks(listed, asked, run):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "list.txt").write_text("".join(f"{digest.hex()}\n" for _, digest in listed))
        found = make_list(folder / "list.txt", folder / "chunked", run=run)
        whole = make_list(folder / "list.txt", folder / "whole")
        for file in sorted((folder / "whole").iterdir()):
            assert file.read_bytes() == (folder / "chunked" / file.name).read_bytes()
        assert len(list((folder / "chunked").iterdir())) == len(list((folder / "whole").iterdir()))
        for kind, width in WIDTH.items():
            queries = [digest for k, digest in asked + listed[::2] if k == kind]
            truth = [
                (query, row)
                for query, wanted in enumerate(queries)
                for row, (k, digest) in enumerate(listed)
                if k == kind and digest == wanted and any(digest)
            ]
            array = np.frombuffer(b"".join(queries), np.uint8).reshape(-1, width)
            for list_ in (found, whole):
                query, row = list_.find(kind, array)
                assert list(zip(query.tolist(), row.tolist(), strict=True)) == truth
        found.verify()


@pytest.mark.assertion("EV-LI-02", "All entries of one digest are reported, not the first alone.")
def test_a_thousand_entries_of_one_digest_are_all_reported(tmp_path):
    (tmp_path / "list.txt").write_text(f"{'ab' * 16}\n" * 1000 + f"{'ac' * 16}\n")
    found = make_list(tmp_path / "list.txt", tmp_path / "out", run=64)
    queries = np.array([[0xAB] * 16, [0xAC] * 16, [0xAB] * 16], np.uint8)
    query, row = found.find("md5", queries)
    assert np.bincount(query).tolist() == [1000, 1, 1000]
    assert row.tolist() == [*range(1000), 1000, *range(1000)]


def test_queries_of_the_wrong_shape_are_refused_and_none_is_fine(tmp_path):
    (tmp_path / "list.txt").write_text("ab" * 16)
    found = make_list(tmp_path / "list.txt", tmp_path / "out")
    for kind, array in (
        ("md5", np.zeros((1, 20), np.uint8)),
        ("md5", np.zeros(16, np.uint8)),
        ("sha1", np.zeros((1, 20), np.int64)),
        ("crc", np.zeros((1, 4), np.uint8)),
    ):
        with pytest.raises(UsageError):
            found.find(kind, array)
    for kind, width in WIDTH.items():
        assert [part.size for part in found.find(kind, np.zeros((0, width), np.uint8))] == [0, 0]
    every_other = np.full((4, 16), 0xAB, np.uint8)[::2]  # not contiguous
    assert found.find("md5", every_other)[0].tolist() == [0, 1]
    with pytest.raises(IndexError):
        found.category(1)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound")
    rng = np.random.default_rng(7)
    media = [
        {"MD5": rng.bytes(16).hex(), "SHA1": rng.bytes(20).hex(), "Category": k % 3,
         "AlternativeHashes": [{"HashName": "PDQ", "HashValue": rng.bytes(32).hex()}]}
        for k in range(500)
    ]  # fmt: skip
    (folder / "list.json").write_text(json.dumps({"value": media}))
    make_list(folder / "list.json", folder / "out").verify()
    return folder / "out"


def test_only_the_owner_can_read_a_list_and_nothing_half_written_stays(sound):
    assert sound.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in sound.iterdir()} == {0o600}
    assert sorted(path.name for path in sound.parent.iterdir()) == ["list.json", "out"]
    with pytest.raises(UsageError, match="something already"):
        make_list(sound.parent / "list.json", sound)


def test_what_a_killed_make_left_is_removed_by_the_next_but_not_what_another_is_writing(tmp_path):
    (tmp_path / "list").write_text("0123456789abcdef0123456789abcdef\n")
    left, busy, others = (tmp_path / f".{name}.partial" for name in ("out.abcd1234", "out.abcd5678", "out2.abcd1234"))
    for folder in (left, busy, others):
        folder.mkdir()
        (folder / "md5.run").write_bytes(b"half")
    handle = os.open(busy, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        make_list(tmp_path / "list", tmp_path / "out")
    finally:
        os.close(handle)
    assert {path.name for path in tmp_path.iterdir()} == {"list", "out", busy.name, others.name}


def copy_of(sound, target):
    target.mkdir()
    for file in sound.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    return target


COLUMNS = ["md5.prefix", "md5.tail", "md5.rows", "md5.table", "pdq.hash", "pdq.rows", "pdq.quality", "category"]


@pytest.mark.assertion("EV-LI-03", "A changed byte of a compiled list is found by its check.")
@pytest.mark.parametrize("name", COLUMNS)
def test_any_changed_byte_is_found_by_the_check(sound, tmp_path, name):
    damaged = copy_of(sound, tmp_path / "damaged")
    content = bytearray((damaged / name).read_bytes())
    content[len(content) // 2] ^= 0x04
    (damaged / name).write_bytes(content)
    with pytest.raises(GeldspurError, match=r"not the file that the manifest describes|damaged"):
        open_list(damaged).verify()


@pytest.mark.parametrize("name", [*COLUMNS, "manifest.json"])
def test_a_list_with_a_cut_or_missing_file_is_not_opened(sound, tmp_path, name):
    for at, content in enumerate(((sound / name).read_bytes()[:-1], None)):
        damaged = copy_of(sound, tmp_path / str(at))
        (damaged / name).unlink()
        if content is not None:
            (damaged / name).write_bytes(content)
        with pytest.raises(GeldspurError):
            open_list(damaged)


def test_unsorted_digests_are_seen_when_a_list_is_opened(sound, tmp_path):
    damaged = copy_of(sound, tmp_path / "damaged")
    prefix = np.fromfile(damaged / "md5.prefix", "<u8")
    prefix[::-1].tofile(damaged / "md5.prefix")
    with pytest.raises(GeldspurError, match="not sorted"):
        open_list(damaged)


def test_a_damaged_table_costs_answers_and_never_reads_outside():
    rng = np.random.default_rng(3)
    n, bits = 64, 4
    prefix = np.sort(rng.integers(0, 1 << 63, n).astype(np.uint64) * np.uint64(2))
    tail, rows = np.zeros(n * 8, np.uint8), np.arange(n, dtype=np.uint32)
    query = np.concatenate([prefix.astype(">u8").view(np.uint8).reshape(n, 8), np.zeros((n, 8), np.uint8)], axis=1)
    for _ in range(200):
        table = rng.integers(0, 1 << 32, (1 << bits) + 1).astype(np.uint32)
        wanted, first, count = np.empty(n, np.uint64), np.empty(n, np.int64), np.empty(n, np.int64)
        total = find_all(bits, table, prefix, tail, 8, query.ravel(), n, wanted, first, count)
        found_query, found_row = np.empty(total, np.int64), np.empty(total, np.int64)
        spread(rows, first, count, n, found_query, found_row)
        assert (found_query == found_row).all()


SOURCE = Path(geldspur.__file__).parents[1]
CHILD = """
import resource, sys
from pathlib import Path
from geldspur.evidence.lists import make_list
found = make_list(Path(sys.argv[1]), Path(sys.argv[2]), run=1 << 14)
print(found.entries, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_memory_does_not_grow_with_the_list(tmp_path):
    """A list of 60 MB takes little more memory than one of 1 MB: it is streamed, sorted in runs and merged."""
    peaks = {}
    for count in (2_000, 120_000):
        rng = np.random.default_rng(count)
        path = tmp_path / f"{count}.json"
        with path.open("w") as file:
            file.write('{"@odata.context": "x/DataModels/2.0.xml/US/$metadata#Media", "value": [')
            for k in range(count):
                record = {"MD5": rng.bytes(16).hex(), "SHA1": rng.bytes(20).hex(), "Category": 1, "Comments": "x" * 380}
                file.write(("," if k else "") + json.dumps(record))
            file.write("]}")
        made = subprocess.run(
            [sys.executable, "-c", CHILD, str(path), str(tmp_path / f"out{count}")],
            capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(SOURCE)},
        )  # fmt: skip
        entries, peaks[count] = map(int, made.stdout.split())
        assert entries == count
    assert path.stat().st_size > 60e6
    assert peaks[120_000] - peaks[2_000] < 25, peaks
