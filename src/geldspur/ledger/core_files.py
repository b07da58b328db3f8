"""Bitcoin Core's own files as a source of blocks."""

import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from geldspur.bitcoin.headers import HEADER_SIZE
from geldspur.bitcoin.networks import NETWORKS, Network
from geldspur.errors import GeldspurError
from geldspur.ledger.blockfiles import BlockFile, fill, find_files, scan
from geldspur.ledger.chain import best_chain
from geldspur.ledger.sources import BlockRef, Bytes, Chain, Rows
from geldspur.progress import SILENT, Progress

if TYPE_CHECKING:
    from geldspur.ledger.undo import UndoFiles

_HEADER = slice(0, HEADER_SIZE)
_HEAD = 64
# Number of transactions, version, marker of witnesses, one input from nowhere, its script: the push of a height.
_COINBASE = re.compile(
    rb"(?:[\x01-\xfc]|\xfd.{2}|\xfe.{4}).{4}(?:\x00\x01)?\x01\x00{32}\xff{4}.(\x01.|\x02.{2}|\x03.{3}|\x04.{4})",
    re.DOTALL,
)


class CoreFiles:
    """`blk*.dat`: a single file, a folder of them, or a node's data directory.

    While blocks are read the files must stay what they were when they were scanned. Only the last one may
    change, since a running node appends to it.
    """

    def __init__(self, source: Path, network: Network | None = None, progress: Progress = SILENT) -> None:
        # Stamps are taken before the scan, so that no change falls between the two.
        self._stamps = [_stamp(file.path) for file in find_files(source)]
        found = scan(source, network, progress)
        self._found = found
        self.files: list[BlockFile] = found.files
        self.network: Network = found.network
        self.notes: list[str] = found.notes

    @classmethod
    def from_description(cls, description: dict[str, Any]) -> Self:
        """The files that `describe` told of, for reading only: nothing is scanned, and no stamp is compared."""
        self = cls.__new__(cls)
        self.files = [BlockFile(Path(f["path"]), bytes.fromhex(f["key"])) for f in description["files"]]
        self.network = NETWORKS[description["network"]]
        self.notes = []
        self._stamps = []
        return self

    def describe(self) -> dict[str, Any]:
        """Paths and obfuscation keys, by the numbers that refs name them by."""
        files = [{"path": str(file.path.resolve()), "key": file.key.hex()} for file in self.files]
        return {"kind": "core-files", "network": self.network.name, "files": files}

    def chain(self, to_height: int | None = None, known: Bytes | None = None, from_height: int = 0) -> Chain:
        """See `Source.chain`. A chain from a later height needs no file before: see `best_chain`."""
        return best_chain(self._found, to_height, from_height, self._claimed_height).behind(known)

    def read(self, refs: Sequence[BlockRef], buf: Bytes, starts: Rows) -> Rows:
        """See `Source.read`."""
        order = sorted(range(len(refs)), key=lambda k: (refs[k].file, refs[k].offset))
        for number, group in groupby(order, key=lambda k: refs[k].file):
            with self.files[number].open() as file:
                for k in group:
                    start, ref = int(starts[k]), refs[k]
                    part = buf[start : start + ref.size]
                    assert len(part) == ref.size
                    fill(file, ref.offset, part)
                    if part[_HEADER].tobytes() != ref.header.raw:
                        raise _changed(self.files[number].path, ref.place)
                self._compare_stamp(number)
        return np.array([ref.size for ref in refs], np.int64)

    def sizes(self, refs: Sequence[BlockRef]) -> npt.NDArray[np.uint32] | None:
        """None: blocks are whole."""
        return None

    def undo(self) -> "UndoFiles":
        """The undo data beside the files; false where there are none."""
        from geldspur.ledger.undo import UndoFiles  # numba, which a look-up does without

        return UndoFiles(self.files, self.network)

    def _claimed_height(self, ref: BlockRef) -> int | None:
        """The height that a block's coinbase claims, as all do since 2013 (BIP34); None where it claims none."""
        head = self.files[ref.file].read(ref.offset + HEADER_SIZE, min(_HEAD, ref.size - HEADER_SIZE))
        match = _COINBASE.match(head)
        return int.from_bytes(match[1][1:], "little") if match else None

    def _compare_stamp(self, number: int) -> None:
        if number < len(self._stamps) - 1 and _stamp(self.files[number].path) != self._stamps[number]:
            raise _changed(self.files[number].path, str(self.files[number].path))


def _stamp(path: Path) -> tuple[int, int]:
    """Size and time of the last change: what shows that a file is no longer what was scanned."""
    try:
        status = path.stat()
    except OSError as error:
        raise GeldspurError(f"{path.name} can't be read: {error.strerror}", where=str(path)) from error
    return status.st_size, status.st_mtime_ns


def _changed(path: Path, place: str) -> GeldspurError:
    return GeldspurError(
        f"{path.name} has changed since its blocks were found",
        where=place,
        todo="let nothing write to the files while they are indexed, then run the command again",
    )
