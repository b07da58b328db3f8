"""Images are listed in a process of its own: what ends that process costs the folder at hand, and is told."""

import ctypes
import os
import shutil
import signal
import struct
import subprocess
import time
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("pytsk3")
from scan_trees import PROGRAM, everything, log_agrees_with_rows, rows, scanned

from geldspur.evidence.scan import pipeline
from geldspur.evidence.sources.image import ImageSource, apart, listing, opened, source

os.environ["PATH"] += ":/usr/sbin:/sbin"
pytestmark = pytest.mark.skipif(shutil.which("mkfs.ext4") is None, reason="not installed: mkfs.ext4")


def faulty(path):
    """The far side with the fault that the file beside the image names: what, and in which folder or volume."""
    answering = apart.make_handler(path)
    what, where = (path.parent / "fault").read_text().split()
    list_item, identified = listing._Lister._item, opened.identified

    def item(lister, entry, prefix):
        if prefix == where.encode():
            match what:
                case "crash":
                    ctypes.string_at(0)
                case "hang":
                    time.sleep(60)
                case "memory":
                    bytearray(apart._MEMORY)
                case "lie":
                    answering._talk.say(("entries", answering._folder, [partial(print)]))
                case "nonsense":
                    answering._talk.say(("entries", answering._folder, [("no", "entry")]))
        return list_item(lister, entry, prefix)

    def identify(image, disk, volume):
        if volume.name == where.encode():
            ctypes.string_at(0)
        return identified(image, disk, volume)

    listing._Lister._item, opened.identified = item, identify
    return answering


@pytest.fixture(scope="module")
def image(tmp_path_factory) -> Path:
    """Folders a to e with a file each, and many files in `many`."""
    root = tmp_path_factory.mktemp("tree")
    for name in "abcde":
        (root / name).mkdir()
        (root / name / "file").write_bytes(name.encode() * 1000)
    for folder in range(20):
        (root / f"many/{folder:02}").mkdir(parents=True)
        for file in range(150):
            (root / f"many/{folder:02}/{file:03}-with-a-name-of-some-length").touch()
    made = tmp_path_factory.mktemp("image") / "disk.raw"
    subprocess.run(["truncate", "-s", "32M", made], check=True)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-N", "9000", "-d", root, made], check=True)
    return made


@pytest.fixture(scope="module")
def calm(image, tmp_path_factory) -> Path:
    """A scan of it that nothing disturbed."""
    out = tmp_path_factory.mktemp("calm") / "scan"
    pipeline.scan(image, out, workers=1, fingerprints=False)
    return out


@pytest.fixture
def with_fault(image, tmp_path, monkeypatch):
    """An image to be walked with a fault."""

    def make(what: str, where: str, content: Path = image) -> Path:
        os.link(content, tmp_path / "disk.raw")
        (tmp_path / "fault").write_text(f"{what} {where}")
        monkeypatch.setattr(source, "Apart", partial(apart.Apart, handler=faulty))
        return tmp_path / "disk.raw"

    return make


def below(out: Path, folder: bytes) -> list[tuple]:
    return [row for row in everything(out) if not row[0].startswith(folder)]


@pytest.mark.assertion(
    "EV-IM-08",
    "A crash inside The Sleuth Kit while an image is listed costs the folder at hand, which is told; the sum closes.",
)
@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("crash", "crashed, signal 11 (SIGSEGV)"),
        ("memory", "memory, out of memory"),
        ("hang", "time, nothing heard for"),
    ],
)
def test_a_crash_in_mid_walk_costs_the_folder_at_hand(calm, with_fault, tmp_path, monkeypatch, what, told):
    if what == "hang":
        monkeypatch.setattr(apart, "_SILENCE", 3.0)
    crashing = with_fault(what, "c/")
    done = pipeline.scan(crashing, tmp_path / "scan", workers=1, fingerprints=False)
    assert done.counts.closes and done.counts.directories_unreadable == 1
    assert below(tmp_path / "scan", b"c") == below(calm, b"c")
    lost = rows(
        tmp_path / "scan",
        "SELECT CAST(path AS TEXT), kind, state, reason, errno, detail FROM entry WHERE CAST(path AS TEXT) LIKE 'c%'",
    )
    assert [row[:5] for row in lost] == [("c", "directory", "unreadable", "error", 5)]
    assert lost[0][5].startswith(f"could not be listed: listing it ended the process that did it: {told}")
    log_agrees_with_rows(tmp_path / "scan")
    again = pipeline.scan(crashing, tmp_path / "scan", workers=1, fingerprints=False)
    assert again.already and not again.since.changed and not again.since.gone


@pytest.mark.parametrize("what", ["lie", "nonsense"])
def test_a_walking_process_that_was_taken_over_runs_nothing_and_costs_no_more(image, with_fault, what):
    calm = [found for found in ImageSource(image).walk() if found.path != b"b" and not found.path.startswith(b"b/")]
    listed = list(ImageSource(with_fault(what, "b/")).walk())
    assert [found for found in listed if found.path != b"b"] == calm
    (lost,) = [found for found in listed if found.path == b"b"]
    assert lost.error is not None and lost.error[1].startswith("listing it ended the process")


def test_a_volume_that_crashes_the_one_who_opens_it_is_told_and_the_others_are_read(image, with_fault, tmp_path):
    size = image.stat().st_size
    table = b"".join(
        struct.pack("<B3xB3xLL", 0, 0x83, (1 << 11) + number * size // 512, size // 512) for number in range(2)
    )
    disk = tmp_path / "two"
    first = (bytes(446) + table).ljust(510, b"\0") + b"\x55\xaa"
    disk.write_bytes(first.ljust(1 << 20, b"\0") + image.read_bytes() * 2)
    crashing = with_fault("unopenable", "p1", disk)
    done = pipeline.scan(crashing, tmp_path / "scan", workers=1, fingerprints=False)
    assert done.counts.closes and done.counts.unreadable == {"error": 1}
    lost = rows(
        tmp_path / "scan", "SELECT CAST(path AS TEXT), kind, size, detail FROM entry WHERE state = 'unreadable'"
    )
    assert lost[0][:3] == ("p1", "special", size)
    assert "looking for its file system ended the process" in lost[0][3]
    read = rows(
        tmp_path / "scan", "SELECT count(*) FROM entry WHERE CAST(path AS TEXT) LIKE 'p2/_/file' AND state = 'hashed'"
    )
    assert read == [(5,)]


@pytest.mark.assertion("EV-IM-09", "A walking process that is killed once costs nothing.")
def test_a_process_killed_once_in_mid_walk_costs_nothing(image):
    calm = list(ImageSource(image).walk())
    walk = ImageSource(image).walk()
    listed = [next(walk) for _ in range(100)]
    child = walking(os.getpid(), image)
    before = seconds_of_cpu(child)
    time.sleep(0.5)
    assert seconds_of_cpu(child) - before < 0.2, "the pipe does not make it wait"
    os.kill(child, signal.SIGSEGV)
    listed += walk
    assert listed == calm and len(calm) > 3000


def test_a_scan_killed_in_mid_walk_takes_its_process_along_and_goes_on(image, calm, tmp_path):
    command = [*PROGRAM, "evidence", "scan", image, "--out", tmp_path / "killed", "--workers", "1", "--no-fingerprints"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 20
    while not (tmp_path / "killed/scan.sqlite-wal").exists() or not (child := walking(process.pid, image)):
        assert time.monotonic() < until
        time.sleep(0.01)
    process.kill()
    process.wait()
    while Path(f"/proc/{child}").exists():
        assert time.monotonic() < until
        time.sleep(0.01)
    assert scanned(image, "--out", tmp_path / "killed", "--workers", 1, "--no-fingerprints")["closes"]
    assert everything(tmp_path / "killed") == everything(calm)
    log_agrees_with_rows(tmp_path / "killed")


def walking(parent: int, image: Path) -> int:
    """The child that has the image open; 0: none has."""
    words = [thread.read_text() for thread in Path(f"/proc/{parent}/task").glob("*/children")]
    for child in " ".join(words).split():
        try:
            if any(link.resolve() == image for link in Path(f"/proc/{child}/fd").iterdir()):
                return int(child)
        except FileNotFoundError:
            continue
    return 0


def seconds_of_cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
