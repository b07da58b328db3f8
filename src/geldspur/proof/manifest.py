"""Manifests: a list of files with their digests, and a digest of the list itself.

The bytes of a manifest depend on what it says alone: keys in the order given, files sorted by path. The last
key, `self_sha256`, is the digest of the manifest without it, so that a changed byte anywhere is noticed. A
manifest is not a signature: whoever can change the files can write a new one. What binds it is its own
digest, told by another way.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from geldspur.errors import GeldspurError

_CHUNK = 1 << 20
_SELF = "self_sha256"


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """A file: its path with forward slashes, the SHA-256 of its bytes in hex, its size in bytes."""

    path: str
    sha256: str
    size: int


def digest(path: str, content: bytes) -> Entry:
    """The entry of a file whose content is at hand."""
    return Entry(path, hashlib.sha256(content).hexdigest(), len(content))


def digest_file(folder: Path, path: str) -> Entry:
    """The entry of `folder/path`, read in pieces. OSError where it can't be read."""
    hashed, size = hashlib.sha256(), 0
    with (folder / path).open("rb") as file:
        while chunk := file.read(_CHUNK):
            hashed.update(chunk)
            size += len(chunk)
    return Entry(path, hashed.hexdigest(), size)


def check_files(folder: Path, entries: Iterable[Entry], *, todo: str) -> None:
    """Compare files with their entries; GeldspurError names the first that is missing or changed."""
    for entry in entries:
        where = str(folder / entry.path)
        try:
            found = digest_file(folder, entry.path)
        except OSError as error:
            raise GeldspurError(f"can't read {entry.path}: {error.strerror}", where=where, todo=todo) from error
        if found != entry:
            raise GeldspurError(f"{entry.path} is not the file that the manifest describes", where=where, todo=todo)


def build(fields: Mapping[str, Any], entries: Iterable[Entry]) -> bytes:
    """The bytes of a manifest: `fields`, then `files`, then its own digest."""
    content = dict(fields) | {"files": [asdict(entry) for entry in sorted(entries)]}
    sealed = content | {_SELF: hashlib.sha256(_dump(content)).hexdigest()}
    return _dump(sealed)


def read(raw: bytes) -> tuple[dict[str, Any], list[Entry]]:
    """Fields and entries of a manifest that `build` wrote; ValueError for any other bytes."""
    try:
        content = json.loads(raw)
    except RecursionError as error:
        raise ValueError("not a manifest as this program writes it") from error
    if not isinstance(content, dict) or _dump(content) != raw:
        raise ValueError("not a manifest as this program writes it")
    claimed = content.pop(_SELF, None)
    if claimed != hashlib.sha256(_dump(content)).hexdigest():
        raise ValueError("the manifest was changed: its own digest does not fit")
    entries = content.pop("files", None)
    if not isinstance(entries, list):
        raise ValueError("the manifest lists no files")
    try:
        return content, [Entry(**entry) for entry in entries]
    except TypeError as error:
        raise ValueError("the manifest's list of files is malformed") from error


def check(raw: bytes, files: Mapping[str, bytes], *, own_name: str = "manifest.json") -> list[str]:
    """What is wrong with `files` in the light of the manifest `raw`; an empty list where nothing is.

    ValueError where `raw` is no manifest. `own_name` is the manifest's own path, which it can't list.
    """
    listed = {entry.path: entry for entry in read(raw)[1]}
    present = files.keys() - {own_name}
    problems = [f"{path} is missing" for path in sorted(listed.keys() - present)]
    problems += [f"{path} is not listed" for path in sorted(present - listed.keys())]
    common: Sequence[str] = sorted(listed.keys() & present)
    problems += [f"{path} was changed" for path in common if digest(path, files[path]) != listed[path]]
    return problems


def _dump(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode()
