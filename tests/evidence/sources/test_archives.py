"""What goes into an archive comes out of it, and what does not is accounted for."""

import gzip
import io
import itertools
import os
import random
import shutil
import struct
import subprocess
import tarfile
import zipfile
from dataclasses import replace

import pytest
from archives_made import PACKERS, read_all, tar_header, tar_of, zip_end, zip_of, zip_record

from geldspur.evidence.sources.archives import LIMITS, is_archive, members

some = random.Random(1)
LARGE = some.randbytes(400_000)
FILES = {"a/one.bin": LARGE, "two": b"two" * 50_000, "empty": b""}
BYTES = {name.encode(): content for name, content in FILES.items()}


def needs(*tools: str):
    missing = [tool for tool in tools if shutil.which(tool) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


@pytest.mark.parametrize("method", [0, 8, 12, 14])
def test_zip_in_all_methods(method):
    archive = zip_of(FILES, method)
    assert is_archive(archive[:1024])
    assert read_all(archive) == BYTES


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tar_in_all_formats(mode, form):
    archive = tar_of(FILES, mode, form)
    assert is_archive(archive[:1024])
    assert read_all(archive) == BYTES


@pytest.mark.parametrize("packer", PACKERS)
def test_a_single_packed_file_in_several_streams(packer):
    pack = PACKERS[packer]
    assert read_all(pack(LARGE) + pack(b"and more")) == {b"content": LARGE + b"and more"}
    got = read_all(pack(LARGE) + b"something else, long enough")
    assert got.pop(b"!")[:2] == ("refused", f"bytes after the {packer} data that are none")
    assert got == {b"content": LARGE}


def test_the_name_in_a_gzip_header_is_the_members_name():
    out = io.BytesIO()
    with gzip.GzipFile("sub/na\xefve.avi", "wb", fileobj=out, mtime=1_600_000_000) as file:
        file.write(b"x" * 100)
    (member,) = members(out)
    assert (member.found.path, member.found.times.modified_ns) == (b"na\xefve.avi", 1_600_000_000 * 10**9)


@pytest.mark.assertion("EV-AR-01", "Files in archives in archives are found, each under its path outer!inner.")
@pytest.mark.parametrize(
    ("outer", "inner"), [*itertools.product(("zip0", "zip8", "tar", "tar.gz", "tar.xz"), repeat=2)]
)
def test_nested_archives_are_flattened_depth_first(outer, inner):
    def pack(kind: str, files: dict[str, bytes]) -> bytes:
        return zip_of(files, int(kind[3:])) if kind[:3] == "zip" else tar_of(files, "w:" + kind[4:])

    middle = pack(inner, FILES)
    archive = pack(outer, {"first": b"1", "in!ner": middle, "last": gzip.compress(b"3")})
    found = list(members(io.BytesIO(archive)))
    assert [(one.found.path, one.number, one.parent) for one in found] == [
        (b"first", 1, None),
        (b"in!ner", 2, None),
        (b"in!ner!a/one.bin", 3, 2),
        (b"in!ner!two", 4, 2),
        (b"in!ner!empty", 5, 2),
        (b"last", 6, None),
        (b"last!content", 7, 6),
    ]
    got = read_all(archive)
    assert got[b"in!ner"] == middle and got[b"last!content"] == b"3"
    assert {path.removeprefix(b"in!ner!"): got[path] for path in got if path.startswith(b"in!ner!")} == BYTES
    # members that nobody opens change nothing for the others
    assert [one.found for one in members(io.BytesIO(archive))] == [one.found for one in found]


def test_a_nested_archive_too_large_for_memory_is_streamed_or_said():
    small = replace(LIMITS, buffer_bytes=100_000)
    for inner, streams in ((tar_of(FILES, "w:gz"), True), (tar_of(FILES), True), (zip_of(FILES), False)):
        for outer in (zip_of({"in": inner}), tar_of({"in": inner}, "w:xz")):
            got = read_all(outer, small)
            assert got[b"in"] == inner
            if streams:
                assert {path.removeprefix(b"in!"): got[path] for path in got if path != b"in"} == BYTES
            else:
                assert got[b"in!"][1] == "a packed zip archive too large to be held in memory for its listing"
        assert len(read_all(zip_of({"in": inner}, 0), small)) == 4  # a stored one needs no memory


def test_names_are_bytes_and_go_nowhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [
        b"../../up",
        b"/etc/absolute",
        b"na\xefve\xff",
        b"\xe2\x80\xaetxt.exe",
        b"a\nb",
        b"nul\0x",
        b"same",
        b"same",
    ]
    body = records = b""
    for name in names:
        records += zip_record(name, size=3, packed=3, at=len(body), method=0, crc=0x884863D2)
        body += struct.pack("<4s5HL2L2H", b"PK\x03\x04", 20, 0, 0, 0, 0, 0, 3, 3, len(name), 0) + name + b"123"
    zipped = body + records + zip_end(records, len(body), len(names))
    expected = dict.fromkeys([*names[:-1], b"same#2"], b"123")
    assert read_all(zipped) == expected
    tar_names = [name for name in names if b"\0" not in name]
    tar = b"".join(tar_header(name, 3) + b"123".ljust(512, b"\0") for name in tar_names) + bytes(1024)
    del expected[b"nul\0x"]
    assert read_all(tar) == expected
    long = b"d/" * 2000 + b"\xff"
    record = b"path=" + long + b"\n"
    record = b"%d " % (len(record) + 5) + record
    for kind, text in ((b"x", record), (b"L", long + b"\0")):
        extended = tar_header(b"x", len(text), kind) + text.ljust(-(-len(text) // 512) * 512, b"\0")
        assert read_all(extended + tar_header(b"short", 0) + bytes(1024)) == {long: b""}
    assert not list(tmp_path.iterdir())


def test_links_and_devices_are_told_and_not_opened():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, kind in {"s": "SYMTYPE", "h": "LNKTYPE", "d": "DIRTYPE", "c": "CHRTYPE", "f": "FIFOTYPE"}.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = getattr(tarfile, kind), "target"
            archive.addfile(info)
    assert read_all(out.getvalue()) == {
        b"s": "symlink",
        b"h": "hard link",
        b"d": "directory",
        b"c": "special",
        b"f": "special",
    }


@needs("zip")
def test_what_the_zip_program_makes(tmp_path):
    (tmp_path / "in/sub").mkdir(parents=True)
    (tmp_path / "in/sub/file").write_bytes(LARGE)
    (tmp_path / "in/link").symlink_to("sub/file")
    os.utime(tmp_path / "in/sub/file", (1_500_000_001, 1_500_000_001))

    def zipped(*arguments: str) -> bytes:
        command = ["zip", "-q", "-r", *arguments]
        environment = {**os.environ, "TZ": "Asia/Tokyo"}
        return subprocess.run(command, cwd=tmp_path, check=True, env=environment, stdout=subprocess.PIPE).stdout

    zipped("-y", "a.zip", "in")
    data = (tmp_path / "a.zip").read_bytes()
    assert read_all(data) == {b"in": "directory", b"in/sub": "directory", b"in/sub/file": LARGE, b"in/link": "symlink"}
    times = {one.found.path: one.found.times for one in members(io.BytesIO(data))}[b"in/sub/file"]
    assert (times.source, times.modified_ns) == ("zip-unix", 1_500_000_001 * 10**9)
    zipped("-P", "secret", "locked.zip", "in/sub/file")
    assert read_all((tmp_path / "locked.zip").read_bytes()) == {b"in/sub/file": "encrypted"}
    # written to a pipe, sizes follow the members: without the directory they are found by unpacking
    piped = zipped("-", "in/sub")
    whole = {b"in/sub": "directory", b"in/sub/file": LARGE}
    assert read_all(piped) == whole
    cut = read_all(piped[: piped.rindex(b"PK\x01\x02")])
    assert cut.pop(b"!")[0] == "refused"
    assert cut == whole


def test_zip_times_say_who_recorded_them():
    nanoseconds = 1_234_567_890_123_456_700
    filetime = struct.pack("<Q", nanoseconds // 100 + 116_444_736_000_000_000)
    ntfs = struct.pack("<2HL2H", 0x0A, 32, 0, 1, 24) + filetime * 3
    records = zip_record(b"dos/", size=0, packed=0) + zip_record(b"ntfs/", size=0, packed=0, extra=ntfs)
    dos, full = (one.found.times for one in members(io.BytesIO(b"PK\x03\x04" + records + zip_end(records, 4, 2))))
    assert (dos.source, dos.modified_ns) == ("zip-dos", 1_704_067_200 * 10**9)  # 2024-01-01, as if UTC
    assert (full.source, full.born_ns, full.modified_ns, full.accessed_ns) == ("zip-ntfs", *[nanoseconds] * 3)


def test_tar_times_keep_their_fraction():
    (member,) = members(io.BytesIO(tar_of({"a": b""})))
    assert (member.found.times.source, member.found.times.modified_ns) == ("tar", 1_700_000_000_250_000_000)


@needs("tar")
@pytest.mark.parametrize("form", ["gnu", "posix:0.1", "posix:1.0"])
def test_sparse_files_in_tar(tmp_path, form):
    with (tmp_path / "sparse").open("wb") as file:
        for at in range(0, 60 * 65536, 2 * 65536):
            file.seek(at)
            file.write(b"piece at %d" % at)
        file.truncate(5_000_000)
    (tmp_path / "after").write_bytes(b"after")
    command = ["tar", "-S", "-c", "-f", "-", f"--format={form.split(':')[0]}"]
    command += [f"--sparse-version={form.split(':')[1]}"] if ":" in form else []
    tar = subprocess.run([*command, "sparse", "after"], cwd=tmp_path, check=True, capture_output=True).stdout
    assert len(tar) < 1_000_000
    expected = {b"sparse": (tmp_path / "sparse").read_bytes(), b"after": b"after"}
    assert read_all(tar) == expected
    assert read_all(gzip.compress(tar)) == expected


@pytest.mark.parametrize("kind", ["7z", "rar", "zstd"])
def test_archives_of_other_formats_are_named(kind):
    other = {"7z": b"7z\xbc\xaf\x27\x1c", "rar": b"Rar!\x1a\x07\x01\0", "zstd": b"\x28\xb5\x2f\xfd"}[kind] + LARGE
    assert is_archive(other[:1024])
    assert read_all(other) == {b"!": ("refused", f"{kind} archives are not read", None)}
    assert read_all(zip_of({"x": other})) == {b"x": other, b"x!": ("refused", f"{kind} archives are not read", None)}


def test_other_methods_of_zip_are_skipped_by_name():
    records = zip_record(b"a", size=9, packed=9, method=98)
    (member,) = members(io.BytesIO(b"PK\x03\x04" + records + zip_end(records, 4, 1)))
    assert (member.found.skip, member.found.detail) == ("unsupported", "compression method 98 (PPMd)")


# -- damage


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_cut_tar_keeps_every_member_before_the_cut(mode):
    size = 100_000 if mode == "w:bz2" else 10_000  # its blocks hold 900,000 bytes each
    files = {f"{number:02}": random.Random(number).randbytes(size) for number in range(20)}
    archive = tar_of(files, mode)
    for share in (0.2, 0.5, 0.94):
        got = read_all(archive[: int(len(archive) * share)])
        *_, offset = got.pop(b"!")
        assert offset is not None
        whole = [path for path, content in got.items() if isinstance(content, bytes)]
        assert len(whole) >= int(20 * share) - (9 if mode == "w:bz2" else 1)
        assert all(got[path] == files[path.decode()] for path in whole)
        assert set(got.values()) - {*files.values()} <= {"damaged"}


@pytest.mark.assertion("EV-AR-04", "Of a zip that is cut off, every member before the cut is read.")
def test_a_cut_zip_keeps_every_member_before_the_cut():
    files = {f"{number:02}": some.randbytes(3_000) for number in range(20)}
    archive = zip_of(files)
    got = read_all(archive[:40_000])
    refused, words, offset = got.pop(b"!")
    assert (refused, offset) == ("refused", 40_000) and "without a directory" in words
    assert got.pop(b"13") == "damaged"
    assert got == {path.encode(): files[path] for path in sorted(files)[:13]}
    stored = read_all(zip_of({"a": LARGE}, zipfile.ZIP_STORED)[:1_000])  # no bomb, though its two sizes differ now
    assert stored[b"a"] == "damaged"


def test_a_flipped_byte_costs_the_member_it_is_in():
    for method in (0, 8, 12, 14):
        archive = bytearray(zip_of({"a": LARGE, "b": LARGE[::-1]}, method))
        archive[200_000] ^= 1
        assert read_all(bytes(archive)) == {b"a": "damaged", b"b": LARGE[::-1]}


def test_a_damaged_directory_costs_no_member():
    archive = zip_of({str(number): b"x" for number in range(10)})
    damaged = bytearray(archive)
    at = archive.index(b"PK\x01\x02")
    for _ in range(6):
        at = archive.index(b"PK\x01\x02", at + 1)
    damaged[at] = 0
    got = read_all(bytes(damaged))
    assert got.pop(b"!") == ("refused", "a record of the zip directory is damaged", at)
    assert list(got) == [b"%d" % number for number in range(10)]  # the last four by their own headers


def test_a_directory_that_hides_members_is_said():
    archive = zip_of({"shown": b"1", "hidden": b"2"})
    behind = archive.index(b"PK\x03\x04", 1)
    at = archive.index(b"PK\x01\x02")
    records = archive[at : archive.index(b"PK\x01\x02", at + 1)]
    got = read_all(archive[:at] + records + zip_end(records, at, 2))
    assert got.pop(b"!") == ("refused", "the zip directory holds 1 member, its end says 2", at + len(records))
    assert got == {b"shown": b"1", b"hidden": b"2"}
    got = read_all(archive[:at] + records + zip_end(records, at, 1))
    unlisted = "members lie in the zip archive that its directory does not list"
    assert got.pop(b"!") == ("refused", unlisted, behind)
    assert got == {b"shown": b"1", b"hidden": b"2"}


@pytest.mark.parametrize("method", [0, 8])
def test_of_two_zips_one_behind_the_other_both_are_read(method):
    first, second = zip_of(FILES, method), zip_of({"decoy": b"holiday" * 9}, method)
    for archive in (first + second, first + b"some bytes between" + second + b"and behind"):
        got = read_all(archive)
        assert got.pop(b"!")[0] == "refused"
        assert got == BYTES | {b"decoy": b"holiday" * 9}


def test_what_a_stored_member_holds_is_no_unlisted_member():
    inner = zip_of({"in": LARGE})
    got = read_all(zip_of({"a.zip": inner, "b.zip": inner}, 0))
    assert sorted(got) == [b"a.zip", b"a.zip!in", b"b.zip", b"b.zip!in"]


def test_names_that_take_more_than_all_their_archive_end_its_listing():
    body = b"1000016 path=" + b"n" * 1_000_002 + b"\n"
    header = tarfile.TarInfo("g")
    header.type, header.size = b"g", len(body)
    member = tarfile.TarInfo("m").tobuf(tarfile.USTAR_FORMAT)
    plain = header.tobuf(tarfile.USTAR_FORMAT) + body + b"\0" * (-len(body) % 512) + member * 100 + b"\0" * 1024
    got = list(members(io.BytesIO(gzip.compress(plain))))
    assert got[-1].refused == "its members' names take more bytes than the limit"
    assert sum(len(member.found.path) for member in got) <= LIMITS.free_name_bytes
    assert len(got) > 10


def test_a_self_made_prefix_does_not_move_a_zips_members():
    assert read_all(zip_of({"x": b"PK\x03\x04"}, 0)[:0] + b"PK\x03\x04junk" + zip_of(FILES)) == BYTES


def test_concatenated_tars_are_read_to_the_end():
    assert set(read_all(tar_of({"a": b"1"}) + tar_of({"b": b"2"}))) == {b"a", b"b"}
    got = read_all(tar_of({"a": b"1"}) + b"rubbish".ljust(512, b"!"))
    assert got.pop(b"!")[1] == "a block that should be a tar header is none"


# -- limits


@pytest.mark.assertion("EV-AR-02", "What lies beyond a limit of depth, size or count is recorded with that reason.")
def test_each_limit_is_a_reason():
    nested = zip_of({"deep": b"1"})
    for _ in range(5):
        nested = zip_of({"in": nested})
    got = read_all(nested, replace(LIMITS, depth=3))
    assert list(got) == [b"in", b"in!in", b"in!in!in", b"in!in!in!"]
    assert got[b"in!in!in!"][1] == "nested deeper than 3 archives, the limit"
    limits = replace(LIMITS, member_bytes=200_000)
    assert read_all(zip_of(FILES), limits)[b"a/one.bin"] == "size"
    assert read_all(tar_of(FILES), limits)[b"a/one.bin"] == "size"
    assert read_all(gzip.compress(LARGE), limits)[b"content"] == "size"
    limits = replace(LIMITS, total_bytes=500_000)
    assert read_all(zip_of(FILES), limits) == {**BYTES, b"two": "size"}
    limits = replace(LIMITS, members=7)
    many = zip_of({str(number): b"" for number in range(5)})
    got = read_all(zip_of({"a": many, "b": many}), limits)
    assert len([path for path in got if not path.endswith(b"!")]) == 7
    assert got[b"b!"][1] == got[b"!"][1] == "more than 7 members, the limit"
