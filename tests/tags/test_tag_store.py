import hashlib
import itertools
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from example_packs import ACTORS, EXCHANGE, MAINNET_ADDRESSES, MIXER, write

from geldspur.bitcoin.networks import MAINNET, REGTEST
from geldspur.errors import GeldspurError
from geldspur.tags import ServiceKind, add_packs, open_tags


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    folder = tmp_path / "ledger"
    folder.mkdir()
    return folder


@pytest.fixture
def packs(tmp_path: Path) -> list[Path]:
    return write(tmp_path, exchange=EXCHANGE, mixer=MIXER, actors=ACTORS)


def _bytes_under(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_what_was_added_is_what_is_opened(ledger: Path, packs: list[Path]) -> None:
    report = add_packs(ledger, MAINNET, packs)
    tags = open_tags(ledger)
    assert report.edition == tags.edition
    assert [tag.address for tag in tags.tags] == sorted(MAINNET_ADDRESSES[:3])
    exchange, cold, mixer = tags.tags
    assert (tags.service_of(exchange), tags.service_of(cold), tags.service_of(mixer)) == (
        "example",
        "example",
        "example mixer",
    )
    assert tags.jurisdictions_of("example") == ("NO", "DE")
    assert tags.jurisdictions_of("example mixer") == ()
    assert [tags.kind_of(tag) for tag in tags.tags] == [
        ServiceKind.CUSTODIAL,
        ServiceKind.CUSTODIAL,
        ServiceKind.MIXER,
    ]
    assert tags.lastmod == "2023-01-02"
    assert tags.network == "mainnet"
    assert tags.actors["other"].uri == "https://other.example.org"
    assert {(pack.title, pack.kind, pack.counts.kept) for pack in tags.packs} == {
        ("Reserve wallets", "tagpack", 2),
        ("Mixers", "tagpack", 1),
        ("Actors", "actorpack", 2),
    }
    assert tags.by_address[cold.address] == [cold]


def test_the_report_adds_up(ledger: Path, packs: list[Path]) -> None:
    report = add_packs(ledger, MAINNET, packs[:2])
    assert (report.previous, report.changed, len(report.added)) == (None, True, 2)
    assert (report.counts.read, report.counts.kept, report.total_tags, report.total_actors) == (3, 3, 3, 0)
    assert report.unknown_actors == ("example",)
    second = add_packs(ledger, MAINNET, packs[2:])
    assert (second.previous, second.total_tags, second.total_actors) == (report.edition, 3, 2)
    assert second.unknown_actors == ()


def test_the_order_of_adding_leaves_no_trace(tmp_path: Path, packs: list[Path]) -> None:
    seen = set()
    for number, order in enumerate(itertools.permutations(packs)):
        at_once, one_by_one = tmp_path / f"a{number}", tmp_path / f"b{number}"
        for folder in (at_once, one_by_one):
            folder.mkdir()
        edition = add_packs(at_once, MAINNET, order).edition
        for path in order:
            add_packs(one_by_one, MAINNET, [path])
        for folder in (at_once, one_by_one):
            assert open_tags(folder).edition == edition
            seen.add(tuple(_bytes_under(folder / "tags" / edition).items()))
    assert len(seen) == 1


def test_the_edition_is_named_after_its_packs(ledger: Path, packs: list[Path]) -> None:
    digests = sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in packs)
    expected = hashlib.sha256("".join(f"{digest}\n" for digest in digests).encode()).hexdigest()[:16]
    assert add_packs(ledger, MAINNET, packs).edition == expected
    assert sorted(p.name for p in (ledger / "tags" / expected / "packs").iterdir()) == [f"{d}.yaml" for d in digests]


def test_every_file_of_an_edition_is_in_its_manifest(ledger: Path, packs: list[Path]) -> None:
    folder = ledger / "tags" / add_packs(ledger, MAINNET, packs).edition
    manifest = json.loads((folder / "manifest.json").read_bytes())
    named = {entry["path"]: (entry["sha256"], entry["size"]) for entry in manifest["files"]}
    found = {
        path: (hashlib.sha256(data).hexdigest(), len(data))
        for path, data in _bytes_under(folder).items()
        if path != "manifest.json"
    }
    assert named == found


def test_the_same_pack_twice_changes_nothing(ledger: Path, packs: list[Path]) -> None:
    add_packs(ledger, MAINNET, packs)
    before = _bytes_under(ledger)
    times = {path: path.stat().st_mtime_ns for path in ledger.rglob("*")}
    report = add_packs(ledger, MAINNET, [packs[1], packs[1], packs[0]])
    assert (report.changed, report.added, report.replaced, len(report.unchanged)) == (False, (), (), 2)
    assert _bytes_under(ledger) == before
    assert {p: p.stat().st_mtime_ns for p in ledger.rglob("*") if p.is_file()} == {
        p: t for p, t in times.items() if p.is_file()
    }


def test_a_newer_pack_of_the_same_title_replaces_the_older_and_that_is_told(ledger: Path, tmp_path: Path) -> None:
    first = add_packs(ledger, MAINNET, write(tmp_path, old=EXCHANGE, mixer=MIXER))
    newer = EXCHANGE.replace(MAINNET_ADDRESSES[0], MAINNET_ADDRESSES[3])
    report = add_packs(ledger, MAINNET, write(tmp_path, new=newer))
    assert [pack.sha256 for pack in report.replaced] == [hashlib.sha256(EXCHANGE.encode()).hexdigest()]
    tags = open_tags(ledger)
    assert {tag.address for tag in tags.tags} == {MAINNET_ADDRESSES[i] for i in (1, 2, 3)}
    assert (ledger / "tags" / first.edition / "tags.jsonl").is_file()


def test_files_of_one_title_that_come_together_are_kept_together(ledger: Path, tmp_path: Path) -> None:
    part = EXCHANGE.replace(MAINNET_ADDRESSES[0], MAINNET_ADDRESSES[3])
    report = add_packs(ledger, MAINNET, write(tmp_path, part0=EXCHANGE, part1=part))
    assert report.replaced == ()
    assert len(open_tags(ledger).tags) == 4


def test_of_two_descriptions_of_an_actor_the_newer_counts(ledger: Path, tmp_path: Path) -> None:
    other = ACTORS.replace("title: Actors", "title: More actors")
    older = other.replace("2023-02-17", "2021-02-17").replace("[NO, de]", "[SE]")
    newer = other.replace("2023-02-17", "2024-02-17").replace("[NO, de]", "[FI]")
    paths = write(tmp_path, actors=ACTORS, older=older)
    add_packs(ledger, MAINNET, paths)
    assert open_tags(ledger).jurisdictions_of("example") == ("NO", "DE")
    add_packs(ledger, MAINNET, write(tmp_path, newer=newer))
    assert open_tags(ledger).jurisdictions_of("example") == ("FI",)


def test_problems_name_the_file_and_the_line(ledger: Path, tmp_path: Path) -> None:
    (path,) = write(tmp_path, broken=EXCHANGE.replace("bN2mo", "bN2mp"))
    (problem,) = add_packs(ledger, MAINNET, [path]).problems
    assert (problem.file, problem.line) == (str(path), 12)
    assert problem.text == "1FsSia9rv4NeEwvJ2GvXrX7LyxYspbN2mp"


def test_a_ledger_without_tags_says_what_to_do(ledger: Path) -> None:
    with pytest.raises(GeldspurError, match=r"no tags were added to this ledger.*geldspur tags add"):
        open_tags(ledger)


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_a_pack_that_cannot_be_read_is_an_error_and_nothing_is_written(
    ledger: Path, packs: list[Path], name: str
) -> None:
    with pytest.raises(GeldspurError, match="tag pack"):
        add_packs(ledger, MAINNET, [packs[0], packs[0].parent / name])
    assert list(ledger.iterdir()) == []


def test_one_file_that_is_no_pack_stops_all_and_leaves_the_tags_in_use(
    ledger: Path, packs: list[Path], tmp_path: Path
) -> None:
    add_packs(ledger, MAINNET, packs[:1])
    before = _bytes_under(ledger)
    bad = write(tmp_path, bad="title: T\ncreator: C\n")
    with pytest.raises(GeldspurError, match="neither tags nor actors"):
        add_packs(ledger, MAINNET, [packs[1], *bad])
    assert _bytes_under(ledger) == before


def test_a_missing_ledger_and_tags_of_another_network_are_errors(ledger: Path, packs: list[Path]) -> None:
    with pytest.raises(GeldspurError, match="no such ledger"):
        add_packs(ledger / "nowhere", MAINNET, packs)
    add_packs(ledger, MAINNET, packs)
    with pytest.raises(GeldspurError, match="the tags of this ledger are of mainnet, not of regtest"):
        add_packs(ledger, REGTEST, packs)


@contextmanager
def _files_no_larger_than(size: int) -> Iterator[None]:
    """The kernel refuses to write more, as it does on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("size", [0, 10, 400, 600, 1000])
def test_a_disk_that_takes_no_more_leaves_the_tags_in_use_as_they_were(
    ledger: Path, packs: list[Path], size: int
) -> None:
    add_packs(ledger, MAINNET, packs[:1])
    before = _bytes_under(ledger)
    with _files_no_larger_than(size), pytest.raises(GeldspurError, match=r"can't be written.*unchanged"):
        add_packs(ledger, MAINNET, packs[1:])
    assert _bytes_under(ledger) == before
    assert len(open_tags(ledger).tags) == 2
    add_packs(ledger, MAINNET, packs[1:])
    assert len(open_tags(ledger).tags) == 3


def test_a_folder_that_may_not_be_written_to_is_an_error(ledger: Path, packs: list[Path]) -> None:
    (ledger / "tags").write_text("in the way")
    with pytest.raises(GeldspurError, match="can't be written"):
        add_packs(ledger, MAINNET, packs)


def test_what_a_killed_run_left_behind_is_swept_away(ledger: Path, packs: list[Path]) -> None:
    add_packs(ledger, MAINNET, packs[:1])
    (ledger / "tags" / ".new-0123456789abcdef" / "packs").mkdir(parents=True)
    (ledger / "tags" / ".new-0123456789abcdef" / "tags.jsonl").write_text("half")
    (ledger / "tags" / ".new-current").write_text("half")
    report = add_packs(ledger, MAINNET, packs)
    assert sorted(p.name for p in (ledger / "tags").iterdir() if p.name.startswith(".")) == []
    assert open_tags(ledger).edition == report.edition


_ADD = """
import sys
from pathlib import Path
from geldspur.bitcoin.networks import MAINNET
from geldspur.tags import add_packs
print("ready", flush=True)
add_packs(Path(sys.argv[1]), MAINNET, [Path(p) for p in sys.argv[2:]])
"""


def test_a_run_killed_at_any_moment_leaves_the_old_edition_or_the_new(ledger: Path, tmp_path: Path) -> None:
    first = add_packs(ledger, MAINNET, write(tmp_path, mixer=MIXER))
    many = "".join(f"- address: {MAINNET_ADDRESSES[0]}\n  label: '{n}'\n" for n in range(3000))
    (path,) = write(tmp_path, big=EXCHANGE.split("- address")[0] + many)
    editions = set()
    for delay in (0.02, 0.1, 0.15, 0.2, 0.22, 0.24, 0.26, 0.28, 0.3, 0.35, 0.4, 0.5):
        process = subprocess.Popen(
            [sys.executable, "-c", _ADD, str(ledger), str(path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(delay)
        process.kill()
        process.wait()
        process.stdout.close()
        tags = open_tags(ledger)
        editions.add(tags.edition)
        assert len(tags.tags) == (1 if tags.edition == first.edition else 3001)
        if tags.edition != first.edition:
            (ledger / "tags" / "current").write_text(first.edition)
    assert first.edition in editions
    assert add_packs(ledger, MAINNET, [path]).total_tags == 3001


def test_a_second_command_waits_for_its_turn(ledger: Path, packs: list[Path]) -> None:
    fcntl = pytest.importorskip("fcntl")
    (ledger / "tags").mkdir()
    handle = os.open(ledger / "tags", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        with pytest.raises(GeldspurError, match="another command is adding tags"):
            add_packs(ledger, MAINNET, packs)
    finally:
        os.close(handle)
    assert add_packs(ledger, MAINNET, packs).changed


@pytest.mark.parametrize("name", ["tags.jsonl", "actors.jsonl", "manifest.json"])
def test_damage_is_found_when_tags_are_opened(ledger: Path, packs: list[Path], name: str) -> None:
    path = ledger / "tags" / add_packs(ledger, MAINNET, packs).edition / name
    good = path.read_bytes()
    for bad in (good[:-2], good.replace(b"e", b"f", 1), b""):
        path.write_bytes(bad)
        with pytest.raises(GeldspurError):
            open_tags(ledger)
    path.unlink()
    with pytest.raises(GeldspurError):
        open_tags(ledger)


@pytest.mark.parametrize("text", ["", "../../elsewhere", "0123456789abcdeg", "0123456789abcdef"])
def test_a_pointer_to_no_edition_is_an_error(ledger: Path, packs: list[Path], text: str) -> None:
    add_packs(ledger, MAINNET, packs)
    (ledger / "tags" / "current").write_text(text)
    with pytest.raises(GeldspurError):
        open_tags(ledger)


def test_a_damaged_file_of_the_edition_in_use_is_put_right_by_adding_again(ledger: Path, packs: list[Path]) -> None:
    folder = ledger / "tags" / add_packs(ledger, MAINNET, packs).edition
    good = (folder / "tags.jsonl").read_bytes()
    (folder / "tags.jsonl").write_bytes(good[:-5])
    assert add_packs(ledger, MAINNET, packs[:1]).changed is False
    assert (folder / "tags.jsonl").read_bytes() == good


def test_a_held_pack_that_was_altered_is_an_error(ledger: Path, packs: list[Path]) -> None:
    folder = ledger / "tags" / add_packs(ledger, MAINNET, packs[:1]).edition / "packs"
    (held,) = folder.iterdir()
    held.write_text(EXCHANGE + "- address: x\n")
    with pytest.raises(GeldspurError, match="a pack held by this ledger is damaged"):
        add_packs(ledger, MAINNET, packs[1:])
