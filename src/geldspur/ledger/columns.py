"""Columns on disk: one raw little-endian array a file, its shape and checksum in the manifest."""

import hashlib
import json
import mmap
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from geldspur.errors import GeldspurError, disk_todo

Array = npt.NDArray[Any]
_PAGE = mmap.PAGESIZE
_AT_ONCE = 1 << 17
"""Bytes asked for at once: of more the system may read only the beginning."""


AGAIN = "run the same command again: it goes on where it stopped, or begins a period anew"
"""What an `index` that was stopped does next: builds of a period keep nothing of an unfinished one."""


def write_column(folder: Path, name: str, array: Array) -> dict[str, Any]:
    """Write one column and return its entry for the manifest."""
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    data = little.reshape(-1).view(np.uint8)
    with (folder / f"{name}.bin").open("wb") as file:
        file.write(data.data)
    return {
        "dtype": little.dtype.str,
        "shape": list(little.shape),
        "sha256": hashlib.sha256(data.data).hexdigest(),
    }


def open_column(folder: Path, name: str, entry: Mapping[str, Any], single: bool = False) -> Array:
    """Map one column read-only; GeldspurError where its file is shorter than the manifest says.

    It may be longer: rows that are being appended, or were rolled back, don't count. With `single`, rows are
    going to be read one here, one there: the system then reads no more of the disk than asked for.
    """
    path = folder / f"{name}.bin"
    dtype = np.dtype(entry["dtype"])
    shape = tuple(entry["shape"])
    expected = int(np.prod(shape)) * dtype.itemsize
    have = path.stat().st_size if path.is_file() else None
    if have is None or have < expected:
        raise GeldspurError(
            f"the column {name} is damaged: {expected:,} bytes expected, "
            f"{'none' if have is None else f'{have:,}'} found",
            where=str(path),
            todo="make it again",
        )
    if expected == 0:
        return np.empty(shape, dtype)
    # A plain array over the map: slicing one takes a third of the time that slicing a memmap takes.
    mapped: Any = np.memmap(path, dtype, "r", shape=shape)
    if single and hasattr(mmap, "MADV_RANDOM"):
        mapped._mmap.madvise(mmap.MADV_RANDOM)
    return np.asarray(mapped)


@contextmanager
def coherent(folder: Path) -> Iterator[None]:
    """Rows that point nowhere, and bytes that are of no type, are a `GeldspurError` about the ledger in `folder`.

    What look-ups read is not compared with its checksums, so that damage shows in this way, if at all.
    """
    try:
        yield
    except (LookupError, ValueError, OverflowError, StopIteration) as error:
        raise GeldspurError(
            f"the ledger's columns contradict each other: {type(error).__name__}: {error}",
            where=str(folder),
            todo=f"geldspur doctor --ledger {folder} tells what is damaged; where it finds nothing, report this error",
        ) from error


class Ahead:
    """Has the system begin to read rows of mapped columns, so that several reads of the disk go on at once.

    Of several columns, whose rows are powers of two wide, the same rows are asked for. Pages that were asked for once
    are taken to be in memory from then on: to ask again costs as much as a quarter of a look-up, and where the system
    has let go of a page meanwhile it is read when it is looked at.
    """

    def __init__(self, *columns: Array) -> None:
        self._columns = [found for column in columns if (found := advice(column)) is not None]
        self._per_page = _PAGE // max(column.dtype.itemsize for column in columns)  # an empty one has no strides
        self._asked = mmap.mmap(-1, max(len(column) for column in columns) // self._per_page + 1)
        """A byte for a page of the widest column, 1 once it was asked for; a map takes memory only where touched."""

    def __call__(self, first: int, count: int = 1) -> None:
        """Rows `first` up to `first + count` will be looked at soon."""
        page, last = first // self._per_page, (first + count - 1) // self._per_page
        if self._asked[page] and self._asked[last]:
            return
        self._asked[page : last + 1] = b"\1" * (last + 1 - page)
        for advise, width, size in self._columns:
            start, end = first * width // _PAGE * _PAGE, min((first + count) * width, size)
            for at in range(start, end, _AT_ONCE):
                advise(mmap.MADV_WILLNEED, at, min(end - at, _AT_ONCE))


def advice(column: Array) -> tuple[Callable[[int, int, int], None], int, int] | None:
    """How to advise on a mapped column, its row's width and its bytes; None for one that isn't mapped."""
    base: Any = getattr(column, "unchecked", column)
    while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
        base = base.base
    if base is None or not hasattr(mmap, "MADV_WILLNEED"):
        return None
    array = getattr(column, "unchecked", column)
    return base._mmap.madvise, array.strides[0], array.nbytes


def write_json(path: Path, content: Any) -> None:
    """Write JSON in the one form that equal content always takes."""
    path.write_text(json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path, what: str) -> dict[str, Any]:
    """Read a JSON object; GeldspurError that names `what` where it can't be."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise GeldspurError(f"{what} can't be read: {error}", where=str(path)) from error
    if not isinstance(content, dict):
        raise GeldspurError(f"{what} is not what it should be", where=str(path))
    return content


def write_file(path: Path, data: bytes, sync: bool = False) -> None:
    """Write a file whole or not at all; with `sync` the disk has it before it has its name."""
    partial = path.parent / f".{path.name}.partial"
    try:
        with partial.open("wb") as file:
            file.write(data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise GeldspurError(
            f"writing {path} failed: {error.strerror or error}",
            todo=disk_todo(error, then="run the same command again"),
        ) from error
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def staging(target: Path) -> Iterator[Path]:
    """A folder beside `target` to write into: moved to `target` when all went well, removed when not.

    What stood at `target` is replaced as a whole. A full disk becomes a clear error.
    """
    work = target.parent / f".{target.name}.partial"
    old = target.parent / f".{target.name}.old"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        yield work
        shutil.rmtree(old, ignore_errors=True)
        if target.exists():
            target.rename(old)
        work.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise GeldspurError(
            f"writing {target} failed: {os.strerror(error.errno) if error.errno else error}",
            where=str(error.filename or target),
            todo=disk_todo(error, then="run the same command again") + "; nothing half-written was left behind",
        ) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
