"""A folder, or a mounted drive: walked and opened by descriptors from folder to folder, so that no link leads away."""

import errno
import io
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from geldspur.evidence.model import Found, Kind
from geldspur.evidence.names import shown
from geldspur.evidence.sources.base import LONGEST_PATH
from geldspur.evidence.sources.mounts import VIRTUAL, mount_of, mounts, nested_in
from geldspur.evidence.sources.statx import facts

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_FOLDERS_HELD = 128  # descriptors kept open on the way to a folder; deeper ones are reached again when needed


def open_read_only(name: bytes, folder: int | None, flags: int = 0) -> int:
    """A descriptor that can't write. The time of last access stays as it is where the kernel permits that to us."""
    try:
        return os.open(name, _READ | flags | os.O_NOATIME, dir_fd=folder)
    except PermissionError:  # O_NOATIME is for the owner and root
        return os.open(name, _READ | flags, dir_fd=folder)


class OpenFolders:
    """Descriptors of the folders on the way to the one asked for last, each opened in its parent."""

    def __init__(self, root: bytes) -> None:
        self._descriptors = [open_read_only(root, None, os.O_DIRECTORY)]
        self._names: list[bytes] = []
        self._last = b""

    def reach(self, folder: bytes) -> int:
        """The descriptor of a folder below the root (b"" is the root); it is valid until the next call.

        Raises:
            OSError: ELOOP or ENOTDIR where a folder has become something else since it was listed.
        """
        if folder != self._last or self._descriptors[-1] < 0:
            self._go(folder.split(b"/") if folder else [])
            self._last = folder
        return self._descriptors[-1]

    def _go(self, names: list[bytes]) -> None:
        common = 0
        while common < min(len(names), len(self._names)) and names[common] == self._names[common]:
            common += 1
        self._leave(common)
        if self._descriptors[-1] < 0:
            self._leave(0)
        for name in names[len(self._names) :]:
            self._last = b""  # an error on the way leaves us where no folder was asked for
            self._descriptors.append(open_read_only(name, self._descriptors[-1], os.O_DIRECTORY))
            self._names.append(name)
            if (early := len(self._descriptors) - _FOLDERS_HELD) > 0 and self._descriptors[early] >= 0:
                os.close(self._descriptors[early])
                self._descriptors[early] = -1

    def _leave(self, depth: int) -> None:
        while len(self._names) > depth:
            self._names.pop()
            if (descriptor := self._descriptors.pop()) >= 0:
                os.close(descriptor)

    def close(self) -> None:
        """Let go of all."""
        self._leave(0)
        os.close(self._descriptors.pop())


class FolderSource:
    """Implements `sources.base.Source`.

    Mounts below the folder are followed, for a seized drive may have been mounted in parts; the kernel's own file
    systems (proc, sysfs …) are recorded and not entered.
    """

    kind = "folder"

    def __init__(self, root: Path) -> None:
        self.root = root
        self._folders: OpenFolders | None = None

    def __reduce__(self) -> tuple[type["FolderSource"], tuple[Path]]:
        """Without the descriptors, which are of one process."""
        return FolderSource, (self.root,)

    def _open_folders(self) -> OpenFolders:
        if self._folders is None:
            self._folders = OpenFolders(os.fsencode(self.root))
        return self._folders

    def describe(self) -> dict[str, str | int]:
        """Where it is and how it is mounted. Facts named mount_… may differ the next day, the others may not."""
        path, table = os.fsencode(self.root), mounts()
        mount, said = mount_of(path, table), self.root.stat()
        about: dict[str, str | int] = {"path": shown(path), "path_hex": path.hex(), "root_inode": said.st_ino}
        if mount is not None:
            about |= {
                "filesystem": shown(mount.filesystem),
                "mount_point": shown(mount.point),
                "mount_source": shown(mount.source),
                "mount_flags": shown(mount.options),
                "mount_read_only": int(mount.read_only),
                "mount_nested": ", ".join(shown(below.point) for below in nested_in(path, table)),
            }
        return about

    def walk(self) -> Iterator[Found]:
        """Every entry below the root, folder by folder, names in the order of their bytes; see `Source`."""
        folders = OpenFolders(os.fsencode(self.root))
        virtual = {mount.point for mount in mounts() if mount.filesystem in VIRTUAL}
        try:
            listed, error = _list(folders.reach(b""), b"")
            if error is not None:
                raise OSError(*error, self.root)
            levels = [iter(listed)]
            while levels:
                found = next(levels[-1], None)
                if found is None:
                    levels.pop()
                elif found.kind != "directory":
                    yield found
                elif os.path.join(os.fsencode(self.root), found.path) in virtual:  # noqa: PTH118 (bytes)
                    yield _like(found, skip="virtual")
                elif len(found.path) > LONGEST_PATH:
                    yield _like(found, skip="depth")
                else:
                    inside, error = self._inside(folders, found.path)
                    yield _like(found, error=error) if error else found
                    levels.append(iter(inside))
        finally:
            folders.close()

    @staticmethod
    def _inside(folders: OpenFolders, path: bytes) -> tuple[list[Found], tuple[int | None, str] | None]:
        try:
            return _list(folders.reach(path), path + b"/")
        except OSError as error:
            return [], (error.errno, os.strerror(error.errno or 0))

    def open(self, path: bytes, place: dict[str, int | str]) -> BinaryIO:
        """The bytes of a regular file; see `Source`.

        Raises:
            OSError: with errno; ENXIO where the name is no regular file (any more).
        """
        folder, _, name = path.rpartition(b"/")
        descriptor = open_read_only(name, self._open_folders().reach(folder))
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.ENXIO, "no regular file any more")
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        return io.FileIO(descriptor, "rb")


def _list(folder: int, prefix: bytes) -> tuple[list[Found], tuple[int | None, str] | None]:
    """What the folder holds, in order; where listing stops early: what came before, and the error."""
    names: list[bytes] = []
    error: tuple[int | None, str] | None = None
    try:
        with os.scandir(folder) as entries:
            names.extend(os.fsencode(entry.name) for entry in entries)
    except OSError as problem:
        error = (problem.errno, os.strerror(problem.errno or 0))
    names.sort()
    return [_found(name, folder, prefix) for name in names], error


def _found(name: bytes, folder: int, prefix: bytes) -> Found:
    try:
        said = facts(name, folder)
    except OSError as error:
        return Found(prefix + name, "file", None, error=(error.errno, os.strerror(error.errno or 0)))
    kind = _kind(said.mode)
    return Found(
        prefix + name,
        kind,
        said.size if kind in ("file", "symlink") else None,
        said.times,
        said.allocated,
        said.device,
        said.inode,
        said.links,
        skip=kind if kind in ("symlink", "special") else None,
    )


def _kind(mode: int) -> Kind:
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "directory"
    return "symlink" if stat.S_ISLNK(mode) else "special"


def _like(found: Found, *, skip: str | None = None, error: tuple[int | None, str] | None = None) -> Found:
    return replace(found, skip=skip, error=error)
