"""Adding packs: a new edition of tags beside the old ones, all or nothing.

`<ledger>/tags/<edition>/` holds manifest.json, tags.jsonl, actors.jsonl and the packs' own bytes under
`packs/<sha256>.yaml`. An edition is a function of the set of its packs and of the ledger's network alone, and
its id one of the packs' digests, so the order in which packs came does not show. `tags/current` names the
edition in use; older editions stay, for results that were made from them.
"""

import errno
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from geldspur.bitcoin.networks import Network
from geldspur.errors import GeldspurError
from geldspur.progress import SILENT, Progress
from geldspur.tags.edition import (
    FORMAT,
    REPAIR,
    actor_row,
    current_edition,
    pack_of,
    read_manifest,
    tag_row,
)
from geldspur.tags.fields import day_of
from geldspur.tags.model import Actor, AddReport, Pack, Tag, total
from geldspur.tags.packs import ParsedPack, parse_pack

if sys.platform != "win32":
    import fcntl

_STAGING = ".new-"


def add_packs(ledger_dir: Path, network: Network, packs: Sequence[Path], progress: Progress = SILENT) -> AddReport:
    """Add TagPacks and ActorPacks to a ledger, and make the edition of all its packs the one in use.

    A pack replaces older ones of the same creator, title and kind; packs of one call never replace each other
    (collections come in several files of one title). A pack that is there already changes nothing. On any
    error, a full disk included, the edition in use stays what it was.

    Raises GeldspurError where a file can't be read or is no pack, or the ledger can't be written to.
    """
    if not ledger_dir.is_dir():
        raise GeldspurError("no such ledger", where=str(ledger_dir), todo="make one with: geldspur index")
    files = {path: _read_pack(path) for path in packs}
    tags_dir = ledger_dir / "tags"
    try:
        tags_dir.mkdir(exist_ok=True)
        with _alone_in(tags_dir):
            return _add(ledger_dir, network, files, progress)
    except OSError as error:
        raise GeldspurError(
            f"the tags can't be written: {error.strerror or error}",
            where=str(error.filename or tags_dir),
            todo="the tags in use are unchanged; make room or fix the cause, then add the packs again",
        ) from None


def _read_pack(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise GeldspurError("no such tag pack", where=str(path), todo="check the path") from None
    except OSError as error:
        raise GeldspurError(
            f"the tag pack can't be read: {error.strerror}", where=str(path), todo="give a YAML file that you may read"
        ) from None


@contextmanager
def _alone_in(tags_dir: Path) -> Iterator[None]:
    """Hold off a second command that adds tags; two at once would each lose the other's packs."""
    if sys.platform == "win32":
        yield
        return
    handle = os.open(tags_dir, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            # Some network file systems have no locks; there it stays the user's care.
            if error.errno in (errno.EAGAIN, errno.EACCES):
                raise GeldspurError(
                    "another command is adding tags to this ledger",
                    where=str(tags_dir),
                    todo="wait until it is done",
                ) from None
        yield
    finally:
        os.close(handle)


def _add(ledger_dir: Path, network: Network, files: dict[Path, bytes], progress: Progress) -> AddReport:
    previous = current_edition(ledger_dir)
    held = _held_packs(ledger_dir, previous, network)
    given: dict[str, ParsedPack] = {}
    with progress.task("reading tag packs", sum(map(len, files.values())), "B") as task:
        for path, data in files.items():
            parsed = parse_pack(data, str(path), network)
            given.setdefault(parsed.pack.sha256, parsed)
            task.advance(len(data))
    added = [one.pack for digest, one in given.items() if digest not in held]
    new_keys = {pack.key for pack in added}
    replaced = [pack for digest, pack in held.items() if digest not in given and pack.key in new_keys]
    stay = held.keys() - given.keys() - {pack.sha256 for pack in replaced}
    final = dict(given)
    with progress.task("reading the packs held", sum(held[digest].size for digest in stay), "B") as task:
        for digest in sorted(stay):
            final[digest] = parse_pack(_held_bytes(ledger_dir, previous, digest), digest, network)
            task.advance(held[digest].size)
    tags, actors = _joined(final.values())
    edition = _edition_id(final)
    _write(ledger_dir / "tags", edition, _contents(edition, network, final.values(), tags, actors))
    if edition != previous:
        _use(ledger_dir / "tags", edition)
    named = {tag.actor for tag in tags if tag.actor}
    return AddReport(
        edition=edition,
        previous=previous,
        changed=edition != previous,
        added=tuple(added),
        unchanged=tuple(one.pack for digest, one in given.items() if digest in held),
        replaced=tuple(replaced),
        counts=total([one.pack.counts for one in given.values()]),
        problems=[problem for one in given.values() for problem in one.problems],
        total_tags=len(tags),
        total_actors=len(actors),
        unknown_actors=tuple(sorted(named - {actor.id for actor in actors})),
    )


def _held_packs(ledger_dir: Path, edition: str | None, network: Network) -> dict[str, Pack]:
    if edition is None:
        return {}
    folder = ledger_dir / "tags" / edition
    manifest = read_manifest(folder)
    if manifest["network"] != network.name:
        raise GeldspurError(
            f"the tags of this ledger are of {manifest['network']}, not of {network.name}", where=str(folder)
        )
    return {row["sha256"]: pack_of(row) for row in manifest["packs"]}


def _held_bytes(ledger_dir: Path, edition: str | None, digest: str) -> bytes:
    path = ledger_dir / "tags" / str(edition) / "packs" / f"{digest}.yaml"
    data = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(data).hexdigest() != digest:
        raise GeldspurError("a pack held by this ledger is damaged", where=str(path), todo=REPAIR)
    return data


def _edition_id(digests: Iterable[str]) -> str:
    text = "".join(f"{digest}\n" for digest in sorted(digests))
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:16]


def _joined(parsed: Iterable[ParsedPack]) -> tuple[list[Tag], list[Actor]]:
    """All tags, sorted; of actors that several packs describe, the newest description."""
    tags: list[Tag] = []
    actors: dict[str, Actor] = {}
    for one in parsed:
        tags += one.tags
        for actor in one.actors:
            rival = actors.get(actor.id)
            if rival is None or _age(rival) < _age(actor):
                actors[actor.id] = actor
    tags.sort(key=lambda t: (t.address, t.actor or "", t.label, t.pack_sha256, t.line))
    return tags, [actors[name] for name in sorted(actors)]


def _age(actor: Actor) -> tuple[date, str]:
    return day_of(actor.lastmod), actor.pack_sha256


def _contents(
    edition: str, network: Network, parsed: Iterable[ParsedPack], tags: list[Tag], actors: list[Actor]
) -> dict[str, bytes]:
    """The files of an edition by their paths; the manifest comes last."""
    packs = sorted(parsed, key=lambda one: one.pack.sha256)
    contents = {
        "actors.jsonl": _jsonl(actor_row(actor) for actor in actors),
        **{f"packs/{one.pack.sha256}.yaml": one.data for one in packs},
        "tags.jsonl": _jsonl(tag_row(tag) for tag in tags),
    }
    dates = (tag.lastmod for tag in tags if tag.lastmod)
    manifest = {
        "format": FORMAT,
        "edition": edition,
        "network": network.name,
        "lastmod": max(dates, key=lambda text: (day_of(text), text), default=None),
        "tags": len(tags),
        "actors": len(actors),
        "packs": [one.pack.as_dict() for one in packs],
        "files": [
            {"path": path, "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
            for path, data in contents.items()
        ],
    }
    text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
    return {**contents, "manifest.json": text.encode("utf-8")}


def _write(tags_dir: Path, edition: str, contents: dict[str, bytes]) -> None:
    """Put the edition's folder in its place, whole or not at all."""
    _sweep(tags_dir)
    target = tags_dir / edition
    if _holds(target, contents):
        return
    staging = tags_dir / f"{_STAGING}{edition}"
    try:
        (staging / "packs").mkdir(parents=True)
        for path, data in contents.items():
            _write_file(staging / path, data)
        if target.exists():
            # Damaged, or of an older version of this program; it leaves by a rename so that none sees a half.
            target.rename(tags_dir / f"{_STAGING}old")
        staging.rename(target)
    finally:
        _sweep(tags_dir)


def _use(tags_dir: Path, edition: str) -> None:
    """Make an edition the one in use."""
    pointer = tags_dir / f"{_STAGING}current"
    try:
        _write_file(pointer, f"{edition}\n".encode("ascii"))
        pointer.replace(tags_dir / "current")
    finally:
        pointer.unlink(missing_ok=True)


def _sweep(tags_dir: Path) -> None:
    """Remove what this run, or one that was killed, began and did not finish."""
    for leftover in tags_dir.glob(f"{_STAGING}*"):
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink()


def _holds(folder: Path, contents: dict[str, bytes]) -> bool:
    try:
        return all((folder / path).read_bytes() == data for path, data in contents.items())
    except OSError:
        return False


def _write_file(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _jsonl(rows: Iterable[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode("utf-8")
