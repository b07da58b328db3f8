"""The files that say what a ledger is: its manifest, and what stands while a build is under way."""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from geldspur.errors import GeldspurError, disk_todo
from geldspur.ledger.columns import AGAIN, read_json, write_json
from geldspur.ledger.layout import FORMAT, SCHEMA

COUNT_NAMES = {
    "block": "blocks", "tx": "transactions", "in": "inputs", "out": "outputs", "script": "scripts",
    "payload": "payload_bytes", "edge": "edges",
}  # fmt: skip


_MARK = "unfinished.json"
BEFORE = "manifest.before.json"
"""The manifest of a ledger that is being changed in place."""


def is_ledger(folder: Path) -> bool:
    """Does the folder hold a ledger of ours, finished or not? Nothing else in the world may be written to."""
    return any(_is_ours(folder / name) for name in ("manifest.json", BEFORE, _MARK))


def _is_ours(path: Path) -> bool:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("format") == FORMAT


def is_vacant(folder: Path) -> bool:
    """Is there nothing yet, or no more than the beginning of a mark?"""
    return not folder.exists() or (
        folder.is_dir() and all(path.name == f".{_MARK}.partial" for path in folder.iterdir())
    )


def mark_unfinished(folder: Path) -> None:
    """Mark a folder as ours before anything else is put into it."""
    replace_json(folder / _MARK, {"format": FORMAT, "schema": SCHEMA})


def unmark(folder: Path) -> None:
    """The first build has ended."""
    (folder / _MARK).unlink(missing_ok=True)


def read_manifest(folder: Path) -> dict[str, Any]:
    """A finished ledger's manifest; GeldspurError where there is none, or one of another version."""
    path = folder / "manifest.json"
    if not path.is_file():
        begun = is_ledger(folder)
        raise GeldspurError(
            f"{folder} holds no finished ledger{' (a build of it was begun)' if begun else ''}",
            todo=AGAIN if begun else "make one with: geldspur index BLOCKS --ledger DIR",
        )
    manifest = read_json(path, "the ledger's manifest")
    if manifest.get("format") != FORMAT:
        raise GeldspurError(
            f"{folder} holds no ledger: its manifest.json is something else's",
            where=str(path),
            todo="give the folder that `geldspur index --ledger` made",
        )
    if manifest.get("schema") != SCHEMA:
        raise GeldspurError(
            f"this ledger was written by another version (schema {manifest.get('schema')}; "
            f"this program reads {SCHEMA})",
            where=str(path),
            todo="remove its folder and build it again with: geldspur index BLOCKS --ledger DIR",
        )
    return manifest


def identity(manifest: dict[str, Any]) -> str:
    """SHA-256 over what the ledger holds. How its look-ups are cut into runs is left out."""
    content = {name: value for name, value in manifest.items() if name != "runs"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def counts_of(manifest: dict[str, Any]) -> dict[str, int]:
    """Rows by axis."""
    return {axis: int(manifest["counts"][name]) for axis, name in COUNT_NAMES.items()}


def types_of(manifest: dict[str, Any]) -> dict[str, str]:
    """Element types by column."""
    return {name: entry["dtype"] for name, entry in manifest["columns"].items()}


def replace_json(path: Path, content: Any) -> None:
    """Write JSON whole or not at all, and have the disk hold it."""
    partial = path.parent / f".{path.name}.partial"
    try:
        write_json(partial, content)
        handle = os.open(partial, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise GeldspurError(
            f"writing {path} failed: {error.strerror}",
            todo=disk_todo(error, then=AGAIN),
        ) from error


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Only one process at a time changes a ledger; GeldspurError where another one does."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise GeldspurError(
                "another command is changing this ledger", where=str(folder), todo="wait until it has ended"
            ) from error
        yield
    finally:
        os.close(handle)
