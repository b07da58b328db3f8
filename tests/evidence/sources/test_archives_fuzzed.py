"""Whatever is done to an archive's bytes: it ends, within its limits, and only the errors that are told come out."""

import io
import time
import tracemalloc
import zipfile

import pytest
from archives_made import PACKERS, tar_of, zip_of
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from geldspur.evidence.reasons import SKIPPED, UNREADABLE
from geldspur.evidence.sources.archives import Limits, Stopped, members

FILES = {"a": b"a" * 3000, "b/c": bytes(range(256)) * 10, "ä": b"", "in.zip": zip_of({"x": b"y" * 500})}
SEEDS = {
    **{f"zip {method}": zip_of(FILES, method) for method in (0, 8, 12, 14)},
    **{f"tar {form}": tar_of(FILES, form=form) for form in (0, 1, 2)},
    **{f"tar {mode}": tar_of(FILES, mode) for mode in ("w:gz", "w:bz2", "w:xz")},
    **{name: pack(zip_of(FILES)) for name, pack in PACKERS.items()},
    "tar in zip": zip_of({"t": tar_of(FILES, "w:gz")}),
}
LIMITS = Limits(
    depth=4,
    member_bytes=1 << 20,
    total_bytes=4 << 20,
    members=500,
    free_bytes=1 << 20,
    buffer_bytes=1 << 20,
    dictionary_bytes=16 << 20,
)

changes = st.lists(
    st.tuples(
        st.integers(0, 1 << 20), st.sampled_from(["set", "cut", "insert", "copy", "full"]), st.binary(max_size=8)
    ),
    min_size=1,
    max_size=6,
)


def changed(data: bytes, edits: list[tuple[int, str, bytes]]) -> bytes:
    out = bytearray(data)
    for place, how, new in edits:
        at = place % (len(out) + 1)
        if how == "set":
            out[at : at + len(new)] = new
        elif how == "cut":
            del out[at : at + 1 + len(new) * 40]
        elif how == "insert":
            out[at:at] = new
        elif how == "copy":
            out[at:at] = out[: len(new) * 100]
        else:
            out[at : at + len(new)] = b"\xff" * len(new)
    return bytes(out)


def read_as_a_scan_does(data: bytes) -> None:
    count, total = 0, 0
    for member in members(io.BytesIO(data), LIMITS):
        count += member.refused is None
        found = member.found
        assert found.size is None or 0 <= found.size < 1 << 63
        assert found.skip is None or found.skip in SKIPPED
        for value in (found.times.modified_ns, found.times.accessed_ns, found.times.born_ns) if found.times else ():
            assert value is None or abs(value) < 1 << 63
        if member.open is None:
            assert member.refused or found.skip or found.kind == "directory"
            continue
        try:
            with member.open() as stream:
                while piece := stream.read(1 << 16):
                    total += len(piece)
        except Stopped as stop:
            assert stop.reason in SKIPPED or stop.reason in UNREADABLE
    assert count <= LIMITS.members
    assert total <= 2 * (LIMITS.total_bytes + LIMITS.member_bytes + len(data) * LIMITS.members)


@pytest.mark.parametrize("seed", SEEDS)
@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(edits=changes)
def test_changed_archives_end_within_their_limits(seed, edits):
    began = time.process_time()
    read_as_a_scan_does(changed(SEEDS[seed], edits))
    assert time.process_time() - began < 5


@settings(max_examples=300, deadline=None)
@given(
    head=st.sampled_from([b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b\x08", b"\xfd7zXZ\0", b"BZh91AY&SY"]),
    rest=st.binary(),
)
@example(head=b"", rest=b"")
@example(head=b"PK\x05\x06", rest=b"\xff" * 18)
def test_rubbish_behind_a_signature_is_refused(head, rest):
    read_as_a_scan_does(head + rest)


@pytest.mark.assertion("EV-AR-05", "Archives cut off at any of sixty places each are survived within the limits.")
def test_every_cut_of_every_archive_is_survived():
    tracemalloc.start()
    for data in SEEDS.values():
        for end in range(0, len(data), max(1, len(data) // 60)):
            read_as_a_scan_does(data[:end])
    assert tracemalloc.get_traced_memory()[1] < 32 << 20
    tracemalloc.stop()


def test_the_standard_library_agrees_on_what_is_whole():
    for name, data in SEEDS.items():
        if name.startswith("zip"):
            with zipfile.ZipFile(io.BytesIO(data)) as peer:
                theirs = {info.filename.encode(): peer.read(info) for info in peer.infolist()}
            ours = {
                member.found.path: member.open().read()
                for member in members(io.BytesIO(data))
                if member.open and member.parent is None
            }
            assert ours == theirs
