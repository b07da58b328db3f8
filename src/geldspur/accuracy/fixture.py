"""The small case that travels inside the package, so that `geldspur demo` needs no download."""

import io
import lzma
import tarfile
from importlib.resources import files
from pathlib import Path, PurePosixPath

from geldspur.accuracy.case import Case
from geldspur.errors import GeldspurError

ARCHIVE = "data/case_s.tar.xz"

INTRODUCTION = (
    "Case S: a synthetic chain of known owners, played through real Bitcoin Core wallets on a private network. "
    "No real person, address or payment is in it. A score on it says nothing about mainnet."
)

PROVENANCE = (
    "Case S is a synthetic Bitcoin chain, played through real Bitcoin Core wallets on a private test network "
    "(regtest) for this project: 800 blocks, 63 customer payments, every owner known. It contains no real "
    "person, address or payment. Behaviour rates are invented: a score on it shows that the program works "
    "and how it fails, not how accurate it is on mainnet. Apache License 2.0, as the rest of the package."
)

_FOLDERS = frozenset({"blocks", "truth"})
_MAX_FILE_BYTES = 64 << 20


def unpack_case(out: Path) -> Case:
    """Write the embedded case into the directory `out` (made if missing) and tell where its parts lie.

    Takes 20 MB, most of it the preallocated zero tail of the block file. Raises GeldspurError if the archive
    is damaged or holds anything but plain files of a case, or if `out` can't be written.
    """
    source = files("geldspur.accuracy") / ARCHIVE
    try:
        unpack_archive(source.read_bytes(), out)
    except OSError as error:
        raise GeldspurError(
            f"can't unpack the embedded case: {error.strerror or error}",
            where=str(out),
            todo="choose another directory with 20 MB free",
        ) from error
    return Case(out)


def unpack_archive(packed: bytes, out: Path) -> None:
    """Unpack a case archive without trusting it: plain files one folder deep, nothing outside `out`.

    `tarfile`'s own extraction filter is not in every Python 3.11, so each member is judged here before
    anything is written.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(lzma.decompress(packed))) as archive:
            members = archive.getmembers()
            for member in members:
                _check(member)
            for member in members:
                content = archive.extractfile(member)
                assert content is not None
                path = out / member.name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content.read())
    except (lzma.LZMAError, EOFError, tarfile.TarError) as error:
        raise GeldspurError(
            f"the archive of the case is damaged: {error}", where=ARCHIVE, todo="install the package again"
        ) from error


def _check(member: tarfile.TarInfo) -> None:
    parts = PurePosixPath(member.name).parts
    placed = len(parts) == 1 or (len(parts) == 2 and parts[0] in _FOLDERS)
    plain = not set(member.name) & set("\\:\0") and ".." not in parts and not member.name.startswith("/")
    if not (member.isreg() and placed and plain and member.size <= _MAX_FILE_BYTES):
        raise GeldspurError(
            "the archive of the case holds something that isn't part of a case",
            where=f"{ARCHIVE}: {member.name!r}",
            todo="install the package again",
        )
