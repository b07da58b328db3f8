"""Images made with the file systems' own tools; The Sleuth Kit's commands are the peers."""

import hashlib
import os
import pickle
import random
import re
import shutil
import struct
import subprocess
from collections import Counter
from itertools import chain
from pathlib import Path

import pytest

from geldspur.errors import GeldspurError, UsageError
from geldspur.evidence.model import Found
from geldspur.evidence.sources.image import ImageSource, looks_like_image
from geldspur.evidence.sources.image.listing import Walking
from geldspur.evidence.sources.image.opened import OpenedImage
from geldspur.evidence.sources.image.volumes import chosen, whole

pytest.importorskip("pytsk3")
pytest.importorskip("pyewf")

os.environ["PATH"] += ":/usr/sbin:/sbin"
SECTOR = 512
MIB = 1 << 20


def needs(*tools: str):
    missing = [tool for tool in tools if shutil.which(tool) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


def run(*command: str | Path) -> bytes:
    return subprocess.run(command, check=True, capture_output=True).stdout


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("tree")
    some = random.Random(4)
    (root / "sub/deep").mkdir(parents=True)
    (root / "hello.txt").write_bytes(b"hello\n")
    (root / "empty").touch()
    (root / "sub/large.bin").write_bytes(some.randbytes(2_500_000))
    (root / "sub/deep/gone.bin").write_bytes(some.randbytes(200_000))
    (root / "sub/deep/size gone").write_bytes(some.randbytes(900))
    with (root / "sparse").open("wb") as file:
        file.seek(3_000_000)
        file.write(b"end")
    Path(os.fsdecode(os.fsencode(root) + b"/na\xefve_\xff.bin")).write_bytes(b"odd name")
    os.link(root / "hello.txt", root / "hard")
    (root / "link").symlink_to("hello.txt")
    os.mkfifo(root / "pipe")
    return root


def ext4(tree: Path, image: Path) -> Path:
    run("truncate", "-s", "16M", image)
    run("mkfs.ext4", "-q", "-F", "-d", tree, image)
    run("debugfs", "-w", "-R", "rm /sub/deep/gone.bin", image)
    run("debugfs", "-w", "-R", "rm /sub/deep/size\\ gone", image)
    run("debugfs", "-w", "-R", 'rm "/sub/deep/size gone"', image)
    return image


def ntfs(tree: Path, image: Path) -> Path:
    run("truncate", "-s", "16M", image)
    run("mkfs.ntfs", "-q", "-F", "-f", image)
    for name in ("hello.txt", "empty", "sparse", "sub/large.bin"):
        run("ntfscp", image, tree / name, Path(name).name)
    run("ntfscp", "-N", "stream", image, tree / "sub/deep/gone.bin", "hello.txt")
    return image


def fat16(image: Path) -> Path:
    """Two files in its root folder; the second is deleted: its name's first letter and its chain are gone."""
    run("truncate", "-s", "16M", image)
    run("mkfs.vfat", "-F", "16", "-s", "4", "-S", "512", image)
    data = bytearray(image.read_bytes())
    reserved, tables, root_entries = struct.unpack_from("<HBH", data, 14)
    table_size = struct.unpack_from("<H", data, 22)[0]
    root = (reserved + tables * table_size) * SECTOR
    clusters = root + root_entries * 32
    some = random.Random(5)
    day, clock = (2024 - 1980) << 9 | 7 << 5 | 15, 13 << 11 | 30 << 5 | 10
    for index, (name, first, count) in enumerate([(b"KEPT    BIN", 2, 3), (b"\xe5ONE    BIN", 5, 2)]):
        content = some.randbytes(count * 2048 - 100)
        at = clusters + (first - 2) * 2048
        data[at : at + len(content)] = content
        entry = struct.pack("<11sBBBHHHHHHHL", name, 0x20, 0, 0, clock, day, day, 0, clock, day, first, len(content))
        data[root + 32 * (index + 1) : root + 32 * (index + 2)] = entry
        if index == 0:
            for copy in range(tables):
                chain = reserved * SECTOR + copy * table_size * SECTOR
                struct.pack_into("<3H", data, chain + 2 * first, first + 1, first + 2, 0xFFFF)
    image.write_bytes(data)
    return image


def fat32(tree: Path, image: Path) -> Path:
    """Long names, a folder, and a file that was deleted."""
    run("truncate", "-s", "34M", image)
    run("mkfs.vfat", "-F", "32", "-s", "1", image)
    run("mmd", "-i", image, "::/a folder of a long name")
    for name in ("hello.txt", "empty", "sub/large.bin", "sub/deep/gone.bin"):
        run("mcopy", "-i", image, tree / name, "::/a folder of a long name/" + Path(name).name + " of a long name")
    run("mdel", "-i", image, "::/a folder of a long name/gone.bin of a long name")
    return image


def exfat(image: Path) -> Path:
    """Three files in its root, each in one piece; the second is deleted, the third's clock was an hour before UTC.

    No tool writes to exFAT without mounting it: the entries are made here (Microsoft's exFAT specification, 7.4 to
    7.7), in a file system of mkfs.exfat.
    """
    run("truncate", "-s", "8M", image)
    run("mkfs.exfat", image)
    data = bytearray(image.read_bytes())
    heap, _, root = struct.unpack_from("<3I", data, 88)
    sector, cluster = 1 << data[108], 1 << data[108] + data[109]
    at = heap * sector + (root - 2) * cluster
    while data[at]:
        at += 32
    some, first = random.Random(8), root + 20
    day = (2024 - 1980) << 25 | 7 << 21 | 15 << 16 | 13 << 11 | 30 << 5 | 5
    for name, size, in_use, zone in (
        ("kept.bin", 9000, 0x80, 0x80),
        ("gone.bin", 5000, 0, 0x80),
        ("hour.bin", 700, 0x80, 0x84),
    ):
        content = some.randbytes(size)
        begin = heap * sector + (first - 2) * cluster
        data[begin : begin + size] = content
        letters = name.encode("utf-16le")
        entries = bytearray(
            struct.pack("<BBHH2xIIIBBBBB7x", 0x85, 2, 0, 0x20, day, day, day, 0, 0, zone, zone, zone)
            + struct.pack("<BBBBH2xQIIQ", 0xC0, 3, 0, len(name), 0, size, 0, first, size)
            + struct.pack("<BB30s", 0xC1, 0, letters)
        )
        checksum = 0
        for index, byte in enumerate(entries):
            if index not in (2, 3):
                checksum = ((checksum << 15 | checksum >> 1) + byte) & 0xFFFF
        struct.pack_into("<H", entries, 2, checksum)
        for one in range(0, 96, 32):
            entries[one] = entries[one] & 0x7F | in_use
        data[at : at + 96] = entries
        at, first = at + 96, first - -size // cluster + 1
    image.write_bytes(data)
    return image


def hfs_plus(tree: Path, image: Path) -> bytes:
    """The HFS+ volume of a hybrid image for optical discs."""
    some = image.with_suffix(".files")
    (some / "sub").mkdir(parents=True)
    for name in ("hello.txt", "empty", "sub/large.bin"):
        shutil.copy(tree / name, some / name)
    (some / "u\u0308 \u65e5\u672c").write_bytes(b"a name in other letters")
    (some / "link").symlink_to("hello.txt")
    run("xorriso", "-as", "mkisofs", "-quiet", "-hfsplus", "-o", image, some)
    data = image.read_bytes()
    for index in range(1, struct.unpack_from(">I", data, SECTOR + 4)[0] + 1):  # Apple's partition map
        _, _, start, count, _, kind = struct.unpack_from(">2sxxIII32s32s", data, index * SECTOR)[:6]
        kind = data[index * SECTOR + 48 : index * SECTOR + 80].strip(b"\0")
        if kind == b"Apple_HFS":
            start, count = struct.unpack_from(">II", data, index * SECTOR + 8)
            return data[start * SECTOR : (start + count) * SECTOR]
    raise AssertionError("there is no HFS+ in it")


def gpt(image: Path, parts: list[tuple[str, bytes, int]]) -> list[int]:
    """A disk with a GUID table of the given types and contents, each followed by a hole of so many MiB; gives the
    partitions' first bytes."""
    sizes = [-(-len(content) // MIB) for _, content, _ in parts]
    total = 2 + sum(sizes) + sum(hole for *_, hole in parts)
    run("truncate", "-s", f"{total}M", image)
    starts, at = [], 1
    for number, ((kind, content, hole), size) in enumerate(zip(parts, sizes, strict=True), 1):
        run("sgdisk", "-n", f"{number}:{at}M:+{size}M", "-t", f"{number}:{kind}", "-c", f"{number}:n\u00e4me", image)
        with image.open("r+b") as file:
            file.seek(at * MIB)
            file.write(content)
        starts.append(at * MIB)
        at += size + hole
    return starts


def partitioned(image: Path, parts: list[tuple[int, bytes]]) -> Path:
    """A disk with a DOS table of the given types and contents, each partition at a whole MiB."""
    table, body, at = b"", b"", MIB
    for kind, content in parts:
        size = -(-len(content) // MIB) * MIB
        table += struct.pack("<B3sB3sLL", 0, b"\0" * 3, kind, b"\0" * 3, at // SECTOR, size // SECTOR)
        body += content.ljust(size, b"\0")
        at += size
    first = bytes(446) + table.ljust(64, b"\0") + b"\x55\xaa"
    image.write_bytes(first.ljust(MIB, b"\0") + body)
    return image


def fls(image: Path, start: int = 0) -> Counter[tuple[bytes, bool, str]]:
    """Path, deleted, address (with NTFS's attribute) of all that fls lists but its own inventions."""
    listed: Counter[tuple[bytes, bool, str]] = Counter()
    for line in run("fls", "-r", "-p", "-o", str(start // SECTOR), image).split(b"\n"):
        if line:
            match = re.fullmatch(rb"(.)/(.) (\* )?([\d-]+)(?:\(realloc\))?:\t(.*)", line, re.DOTALL)
            assert match, line
            if match[1] not in b"vV":
                listed[match[5], match[3] is not None, match[4].decode()] += 1
    return listed


def address(found: Found) -> str:
    parts = [found.place["meta"], *(found.place[key] for key in ("attribute", "id") if key in found.place)]
    return "-".join(map(str, parts))


def compare_with_fls(image: Path, source: ImageSource, prefix: bytes = b"", start: int = 0) -> list[Found]:
    """The same names, addresses and bytes as fls and icat; gives the files read."""
    entries = [entry for entry in source.walk() if entry.path.startswith(prefix) and entry.place.get("start") == start]
    ours = Counter((entry.path.removeprefix(prefix), entry.deleted, address(entry)) for entry in entries)
    ours.pop((b"$OrphanFiles", False, next((a for p, _, a in ours if p == b"$OrphanFiles"), "")), None)
    peers = fls(image, start)
    # fls gives folders of NTFS the address of their index; the folder itself is one entry here
    normal = Counter({(path, gone, re.sub(r"-144-\d+$", "", at)): n for (path, gone, at), n in peers.items()})
    mine = Counter({(path, gone, re.sub(r"-144-\d+$", "", at)): n for (path, gone, at), n in ours.items()})
    assert mine == normal
    read = [entry for entry in entries if entry.kind == "file" and entry.skip is None]
    for entry in read:
        with source.open(entry.path, entry.place) as stream:
            content = stream.read()
        assert len(content) == entry.size
        assert content == run("icat", "-o", str(start // SECTOR), image, address(entry)), entry.path
    elsewhere = {entry.place["meta"] for entry in read}
    for entry in entries:  # what is said to have no data has none for the peer either
        if entry.skip == "no data" and entry.place["meta"] not in elsewhere:
            command = ["icat", "-o", str(start // SECTOR), image, address(entry)]
            assert not subprocess.run(command, check=False, capture_output=True).stdout, entry.path
    return read


@pytest.mark.assertion(
    "EV-IM-01", "Files of an ext4 image, deleted ones too, are those that fls and icat of The Sleuth Kit give."
)
@needs("mkfs.ext4", "debugfs", "fls", "icat")
def test_an_ext4_image_lists_and_reads_as_fls_and_icat_do(tree, tmp_path):
    image = ext4(tree, tmp_path / "disk.raw")
    source = ImageSource(image)
    read = {entry.path: entry for entry in compare_with_fls(image, source)}
    every = {entry.path: entry for entry in source.walk()}
    assert read[b"sub/deep/gone.bin"].deleted and not read[b"sub/large.bin"].deleted
    with source.open(b"sub/deep/gone.bin", read[b"sub/deep/gone.bin"].place) as stream:
        assert stream.read() == (tree / "sub/deep/gone.bin").read_bytes()
        assert stream.seek(-5, 2) == 199_995 and stream.read(9) == (tree / "sub/deep/gone.bin").read_bytes()[-5:]
    assert b"na\xefve_\xff.bin" in read
    assert read[b"sparse"].allocated == 1024 and read[b"sparse"].size == 3_000_003
    assert read[b"hello.txt"].inode == read[b"hard"].inode and read[b"hard"].links == 2
    assert (every[b"link"].skip, every[b"pipe"].skip) == ("symlink", "special")
    told = (tree / "hello.txt").stat()
    assert read[b"hello.txt"].times.modified_ns == told.st_mtime_ns // 10**9 * 10**9
    assert read[b"hello.txt"].times.source == "tsk:ext4"
    assert source.describe()["volume"].endswith("16777216 bytes, ext4")


@pytest.mark.assertion("EV-IM-06", "A deleted file without a name any more is read as an orphan.")
@needs("mkfs.ext4", "debugfs", "mkfs.vfat", "fls", "icat")
def test_a_file_without_a_name_any_more_is_read_as_an_orphan(tree, tmp_path):
    image = ext4(tree, tmp_path / "disk.raw")
    data = bytearray(image.read_bytes())
    name = data.index(b"\x08\x01gone.bin")  # its entry in the folder: inode, lengths, type, name
    data[name - 6 : name + 10] = bytes(16)
    image.write_bytes(data)
    source = ImageSource(image)
    (orphan,) = [entry for entry in compare_with_fls(image, source) if entry.path.startswith(b"$OrphanFiles/")]
    with source.open(orphan.path, orphan.place) as stream:
        assert orphan.deleted and stream.read() == (tree / "sub/deep/gone.bin").read_bytes()


@pytest.mark.assertion("EV-IM-07", "A deleted name never gets the content of the file that took its inode.")
@needs("mkfs.ext4", "debugfs", "fls", "icat")
def test_a_deleted_name_never_gets_another_files_content(tree, tmp_path):
    image = ext4(tree, tmp_path / "disk.raw")
    (tmp_path / "new").write_bytes(b"another file's content")
    run("debugfs", "-w", "-R", f"write {tmp_path / 'new'} new", image)
    source = ImageSource(image)
    read = {entry.path: entry for entry in compare_with_fls(image, source)}
    gone = next(entry for entry in source.walk() if entry.path == b"sub/deep/gone.bin")
    assert gone.place == read[b"new"].place  # the freed inode was taken
    assert (gone.skip, gone.detail) == ("no data", "its record was given to another file since")


@pytest.mark.assertion("EV-IM-02", "Alternate data streams of an NTFS image are entries.")
@needs("mkfs.ntfs", "ntfscp", "fls", "icat")
def test_an_ntfs_image_gives_its_alternate_streams_as_entries(tree, tmp_path):
    image = ntfs(tree, tmp_path / "disk.raw")
    source = ImageSource(image)
    read = {entry.path: entry for entry in compare_with_fls(image, source)}
    with source.open(b"hello.txt:stream", read[b"hello.txt:stream"].place) as stream:
        assert stream.read() == (tree / "sub/deep/gone.bin").read_bytes()
    assert read[b"hello.txt:stream"].inode is None  # else it would pass for a hard link of hello.txt
    assert next(entry for entry in source.walk() if entry.path == b"$BadClus:$Bad").skip == "special"


@needs("mkfs.ntfs", "ntfscp", "fls", "icat")
def test_a_record_of_ntfs_that_is_no_longer_in_use_is_a_deleted_file(tree, tmp_path):
    image = ntfs(tree, tmp_path / "disk.raw")
    record = next(entry.place["meta"] for entry in ImageSource(image).walk() if entry.path == b"large.bin")
    data = bytearray(image.read_bytes())
    table = struct.unpack_from("<Q", data, 0x30)[0] * data[13] * SECTOR
    data[table + 1024 * record + 0x16] &= 0xFE  # the flag "in use"
    image.write_bytes(data)
    source = ImageSource(image)
    read = {entry.path: entry for entry in compare_with_fls(image, source)}
    orphan = read[b"$OrphanFiles/large.bin"]
    assert orphan.deleted and orphan.inode is None
    with source.open(orphan.path, orphan.place) as stream:
        assert stream.read() == (tree / "sub/large.bin").read_bytes()
    assert next(entry for entry in source.walk() if entry.path == b"large.bin").skip == "no data"


@pytest.mark.assertion("EV-IM-03", "Deleted files of a FAT image are flagged, and its times are told to have no zone.")
@needs("mkfs.vfat", "fls", "icat")
def test_a_fat_image_gives_deleted_files_and_times_without_a_zone(tmp_path, monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    image = fat16(tmp_path / "disk.raw")
    source = ImageSource(image)
    read = {entry.path: entry for entry in compare_with_fls(image, source)}
    assert read[b"_ONE.BIN"].deleted and not read[b"KEPT.BIN"].deleted
    assert read[b"KEPT.BIN"].times.modified_ns == 1_721_050_220 * 10**9  # 2024-07-15 13:30:20, taken as it is written
    assert read[b"KEPT.BIN"].times.source == "tsk:fat16-local"
    assert not any(entry.path.startswith((b"$MBR", b"$FAT")) for entry in source.walk())


@pytest.mark.assertion("EV-IM-04", "Raw, split raw and E01 images of one disk give the same entries.")
@needs("mkfs.ext4", "debugfs", "mkfs.ntfs", "ntfscp", "mkfs.vfat", "fls", "icat", "ewfacquire")
def test_partitions_split_raw_and_e01_give_the_same_entries(tree, tmp_path):
    lvm = bytes(512) + b"LABELONE".ljust(24, b"\0") + b"LVM2 001" + bytes(3000)
    raw = partitioned(
        tmp_path / "disk.dd",
        [
            (0x83, ext4(tree, tmp_path / "a").read_bytes()),
            (0x07, ntfs(tree, tmp_path / "b").read_bytes()),
            (0x06, fat16(tmp_path / "c").read_bytes()),
            (0x8E, lvm),
        ],
    )
    source = ImageSource(raw)
    for prefix, start in ((b"p1/", MIB), (b"p2/", 17 * MIB), (b"p3/", 33 * MIB)):
        compare_with_fls(raw, source, prefix, start)
    entries = list(source.walk())
    assert (entries[-1].path, entries[-1].skip, entries[-1].detail) == (
        b"p4",
        "unsupported",
        "Linux Logical Volume Manager (0x8e): LVM physical volume",
    )
    run("split", "-d", "-a", "3", "--numeric-suffixes=1", "-b", "10M", raw, tmp_path / "split.")
    split = ImageSource(tmp_path / "split.001")
    assert list(split.walk()) == entries
    assert split.describe()["segments"] == 5
    command = ["ewfacquire", "-u", "-q", "-t", tmp_path / "seized", "-S", "4MiB", "-d", "sha1", "-c", "fast", raw]
    run(*map(str, command))
    ewf = pickle.loads(pickle.dumps(ImageSource(tmp_path / "seized.E01")))
    assert looks_like_image(tmp_path / "seized.E01")
    assert list(ewf.walk()) == entries
    assert digests(ewf) == digests(source)
    stored = {one.name: one for one in ewf.verify_stored()}
    assert set(stored) == {"MD5", "SHA1"} and all(one.holds for one in stored.values())
    assert stored["SHA1"].stored == hashlib.sha1(raw.read_bytes()).hexdigest()
    facts = ewf.describe()
    assert facts["bytes"] == raw.stat().st_size and facts["E01 stored SHA1"] == stored["SHA1"].stored
    (tmp_path / "seized.E02").unlink()
    with pytest.raises(GeldspurError, match=r"1 segment there.*all its segments"):
        ImageSource(tmp_path / "seized.E01").describe()
    (tmp_path / "split.003").unlink()
    with pytest.raises(UsageError, match="segment 003"):
        ImageSource(tmp_path / "split.001").describe()
    with pytest.raises(UsageError, match=r"name split\.001"):
        ImageSource(tmp_path / "split.002").describe()


@pytest.mark.assertion(
    "EV-IM-10",
    "Files of FAT32, exFAT and HFS+ volumes on a disk with a GUID table are those that fls and icat give; a volume of"
    " an unknown kind, and space of no volume, is told.",
)
@needs("mkfs.vfat", "mcopy", "mkfs.exfat", "xorriso", "sgdisk", "fls", "icat")
def test_volumes_of_a_guid_table_list_and_read_as_fls_and_icat_do(tree, tmp_path):
    hole = b"no file system" * 1000
    starts = gpt(
        image := tmp_path / "disk.raw",
        [
            ("0700", fat32(tree, tmp_path / "fat32").read_bytes(), 0),
            ("0700", exfat(tmp_path / "exfat").read_bytes(), 3),
            ("af00", hfs_plus(tree, tmp_path / "hybrid"), 0),
            ("8300", hole, 0),
        ],
    )
    source = ImageSource(image)
    read = {}
    for number, start in enumerate(starts[:3], 1):
        read |= {entry.path: entry for entry in compare_with_fls(image, source, b"p%d/" % number, start)}
    for path, name in (
        (b"p1/a folder of a long name/large.bin of a long name", "sub/large.bin"),
        (b"p3/sub/large.bin", "sub/large.bin"),
        (b"p3/hello.txt", "hello.txt"),
    ):
        assert source.open(path, read[path].place).read() == (tree / name).read_bytes()
    assert read[b"p1/a folder of a long name/gone.bin of a long name"].deleted
    assert [read[b"p2/" + name].deleted for name in (b"kept.bin", b"gone.bin", b"hour.bin")] == [False, True, False]
    assert read["p3/u\u0308 \u65e5\u672c".encode()].size == 23
    kept, hour = (read[b"p2/" + name].times for name in (b"kept.bin", b"hour.bin"))
    assert kept.modified_ns == 1_721_050_210 * 10**9  # 2024-07-15 13:30:10
    assert (kept.source, hour.modified_ns) == ("tsk:exfat-local", kept.modified_ns)  # the zone is not applied
    told = {entry.path: entry for entry in source.walk() if entry.skip == "unsupported"}
    outside = [path for path in told if path.startswith(b"(outside")]
    assert {path: told[path].size for path in outside} == {
        b"(outside partitions, from byte %d)" % (starts[2] - 3 * MIB): 3 * MIB
    }
    assert told[b"p4"].detail == "n\u00e4me: no file system that is known"
    facts = source.describe()
    assert [facts[f"partition p{n}"].rpartition(", ")[2] for n in (1, 2, 3)] == ["fat32", "exfat", "hfs"]
    assert "space of no partition, not searched" in facts[outside[0].decode()]


@pytest.mark.assertion("EV-IM-05", "A damaged chunk of an E01 image is an error, and is not read as zeros.")
@needs("mkfs.ext4", "debugfs", "ewfacquire")
@pytest.mark.parametrize("compression", ["none", "fast"])
def test_a_damaged_chunk_of_an_e01_is_an_error_and_not_zeros(tree, tmp_path, compression):
    raw = ext4(tree, tmp_path / "disk.raw")
    run("ewfacquire", "-u", "-q", "-t", tmp_path / "e", "-c", compression, raw)
    segment = tmp_path / "e.E01"
    data = bytearray(segment.read_bytes())
    content = (tree / "sub/large.bin").read_bytes()
    at = data.find(content[1_000_000:1_000_064])  # random bytes are stored as they are
    assert at > 0
    data[at] ^= 1
    segment.write_bytes(data)
    source = ImageSource(segment)
    assert source.describe()["E01 chunks checked"] == 1
    states = {}
    for entry in source.walk():
        if entry.kind == "file" and entry.skip is None:
            try:
                states[entry.path] = len(source.open(entry.path, entry.place).read())
            except OSError as error:
                states[entry.path] = error.errno
    assert states[b"sub/large.bin"] == 5 and states[b"hello.txt"] == 6 and states[b"sparse"] == 3_000_003
    with pytest.raises(OSError, match="fails its checksum"):
        source.verify_stored()


@needs("mkfs.ext4", "debugfs", "mkfs.ntfs", "ntfscp")
def test_damaged_file_systems_end_in_entries_and_errors_only(tree, tmp_path):
    some = random.Random(7)
    for make in (ext4, ntfs):
        sound = make(tree, tmp_path / "sound").read_bytes()[: 3 * MIB]  # the later part of the files is cut off
        used = [at for at in range(0, len(sound), 64) if sound[at : at + 64].strip(b"\0")]
        for _ in range(25):
            data = bytearray(sound)
            for _ in range(40):
                data[some.choice(used) + some.randrange(64)] = some.choice([0, 255, some.randrange(256)])
            (tmp_path / "damaged").write_bytes(data)
            image = OpenedImage(tmp_path / "damaged")  # not in a process of its own: a crash would be seen
            volumes = chosen(image.partitions(), whole(3 * MIB), image.identified)
            listed = (image.entries(volume, Walking()) for volume in volumes if volume.file_system)
            for count, entry in enumerate(chain.from_iterable(listed)):
                assert count < 10_000
                if entry.kind == "file" and entry.skip is None and entry.error is None:
                    try:
                        with image.open(entry.place) as stream:
                            stream.read(1 << 20)
                    except OSError:
                        pass
            image.close()


def digests(source: ImageSource) -> list[tuple[bytes, str]]:
    return [
        (entry.path, hashlib.sha256(source.open(entry.path, entry.place).read()).hexdigest())
        for entry in source.walk()
        if entry.kind == "file" and entry.skip is None
    ]


def test_an_image_whose_path_is_no_text_tells_it_so_that_it_can_be_recorded(tmp_path):
    path = os.fsencode(tmp_path) + b"/exhibit-\xff.dd"
    Path(os.fsdecode(path)).write_bytes(b"LUKS\xba\xbe\0\2" + bytes(100_000))
    facts = ImageSource(Path(os.fsdecode(path))).describe()
    assert facts["path"].encode() == os.fsencode(tmp_path) + rb"/exhibit-\xff.dd"
    assert bytes.fromhex(facts["path_hex"]) == path


def test_what_an_image_is_its_content_says(tmp_path):
    for name, content in (("a.dd", b"plain text" * 1000), ("b.E01", random.Random(6).randbytes(100_000))):
        (tmp_path / name).write_bytes(content)
        assert not looks_like_image(tmp_path / name)
    (tmp_path / "c.bin").write_bytes(b"LUKS\xba\xbe\0\2" + bytes(100_000))
    assert looks_like_image(tmp_path / "c.bin")
    assert [(entry.skip, entry.detail) for entry in ImageSource(tmp_path / "c.bin").walk()] == [
        ("unsupported", "the whole image: LUKS, encrypted")
    ]
    (tmp_path / "d.vmdk").write_bytes(b"KDMV" + bytes(1000))
    with pytest.raises(UsageError, match=r"a VMDK disk is not read.*convert it"):
        looks_like_image(tmp_path / "d.vmdk")
