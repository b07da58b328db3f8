"""The files of one file system, as The Sleuth Kit reads it: named ones, deleted ones, and orphans."""

import errno
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from geldspur.evidence.model import Found, Kind, Times
from geldspur.evidence.sources.anywhere import Anywhere
from geldspur.evidence.sources.base import LONGEST_PATH
from geldspur.evidence.sources.image.volumes import FAULTS, Volume

# values of TSK_FS_META_TYPE_* and TSK_FS_NAME_TYPE_*, which number the same things differently
_META_KINDS: dict[int, Kind] = {2: "directory", 11: "directory", 3: "special", 4: "special", 5: "special", 6: "symlink"}
_NAME_KINDS: dict[int, Kind] = {3: "directory", 11: "directory", 1: "special", 2: "special", 4: "special", 6: "symlink"}
_META_SPECIAL, _NAME_SPECIAL = {7, 8, 9}, {7, 8, 9}  # shadow, socket, whiteout
_VIRTUAL = 10  # $MBR, $FAT1: areas of the file system that The Sleuth Kit shows as files
_UNALLOCATED = 2
_RUN_WITHOUT_BLOCKS = 3  # filler or sparse
_NONRESIDENT = 2
_NTFS_DATA, _NTFS_INDEX = 128, 144
_ENCRYPTED = 0x20  # TSK_FS_ATTR_ENC
SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class _Attribute:
    """A sequence of bytes of a file; `kind` and `id` name it, None: the file's own content."""

    size: int
    allocated: int
    name: bytes | None
    kind: int | None
    id: int | None
    nowhere: bool
    encrypted: bool


def _unheard(_: int) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Walking:
    """How to go through a file system: `before` is told each folder's address before it is listed; `avoided` are
    addresses of folders not to list, with the reason."""

    before: Callable[[int], None] = _unheard
    avoided: Mapping[int, str] = field(default_factory=dict)


def entries(file_system: Any, volume: Volume, walking: Walking) -> Iterator[Found]:
    """Everything that the file system lists, folder by folder, names in order of their bytes. Loops are cut.

    The Sleuth Kit's own inventions ($MBR, $FAT1 …) are left out; its folder of orphans is kept. What is held in memory
    at a time are the folders on the way to the one at hand.
    """
    lister = _Lister(file_system, volume, walking)
    prefix = volume.name + b"/" if volume.name else b""
    if volume.name:
        yield Found(volume.name, "directory", None)
    try:
        stack = [iter(lister.folder(int(file_system.info.root_inum), prefix))]
    except FAULTS as error:
        yield Found(prefix, "directory", None, error=(errno.EIO, f"its root can't be listed: {_words(error)}"))
        return
    while stack:
        found = next(stack[-1], None)
        if found is None:
            stack.pop()
            continue
        folder = found.place.get("folder")
        if folder is None:
            yield found
            continue
        del found.place["folder"]
        if len(found.path) > LONGEST_PATH:
            yield replace(found, skip="depth")
            continue
        try:
            inside = lister.folder(int(folder), found.path + b"/")
        except FAULTS as error:
            yield _with_error(found, _words(error))
            continue
        yield found
        stack.append(iter(inside))


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _with_error(found: Found, words: str) -> Found:
    return Found(found.path, found.kind, None, found.times, deleted=found.deleted, error=(errno.EIO, words))


class _Lister:
    def __init__(self, file_system: Any, volume: Volume, walking: Walking) -> None:
        self._fs = file_system
        self._volume = volume
        self._walking = walking
        self._ntfs = volume.file_system == "ntfs"
        self._ext = (volume.file_system or "").startswith("ext") and volume.file_system != "exfat"
        self._block = int(file_system.info.block_size)
        self._listed: set[int] = set()

    def folder(self, address: int, prefix: bytes) -> list[Found]:
        """One folder's entries, sorted. Raises OSError where it can't be read, or was listed before."""
        if address in self._listed:
            raise OSError(errno.ELOOP, "the same folder is listed elsewhere already")
        if (words := self._walking.avoided.get(address)) is not None:
            raise OSError(errno.EIO, words)
        self._walking.before(address)
        directory = self._fs.open_dir(inode=address)
        self._listed.add(address)
        found: list[Found] = []
        iterator = iter(directory)
        while True:
            try:
                item = next(iterator)
            except StopIteration:
                break
            except FAULTS as error:
                found.append(Found(prefix, "directory", None, error=(errno.EIO, f"listed in part only: {error}")))
                break
            if item.info.name is not None and bytes(item.info.name.name) not in (b".", b".."):
                found += self._item(item, prefix)
        return sorted(found, key=lambda entry: (entry.path, entry.deleted, int(entry.place.get("meta", 0))))

    def _item(self, item: Any, prefix: bytes) -> list[Found]:
        name = item.info.name
        path, address = prefix + bytes(name.name), int(name.meta_addr)
        deleted = bool(int(name.flags) & _UNALLOCATED)
        place: dict[str, int | str] = {"start": self._volume.start, "meta": address}
        file = item if item.info.meta is not None else self._record_left(name, deleted)
        meta = None if file is None else file.info.meta
        kind = _kind(int(name.type), None if meta is None else int(meta.type))
        if kind is None:
            return []
        if meta is None:
            words = "only its name is left"
            return [Found(path, kind, None, deleted=deleted, place=place, skip="no data", detail=words)]
        gone = bool(int(meta.flags) & _UNALLOCATED)
        times = self._times(meta)
        if deleted and not gone:
            words = "its record was given to another file since"
            return [Found(path, kind, None, deleted=True, place=place, skip="no data", detail=words)]
        bare = Found(path, kind, None, times, deleted=deleted or gone, place=place)
        if kind in ("symlink", "special"):
            return [replace(bare, skip=kind)]
        attributes = self._attributes(file, kind == "directory")
        own: list[Found] = []
        if kind == "directory":
            own = [replace(bare, place={**place, "folder": address})]
        elif not attributes:
            own = [replace(bare, size=int(meta.size), skip="no data", detail="no attribute with data")]
        return own + [self._file(bare, attribute, meta) for attribute in attributes]

    def _record_left(self, name: Any, deleted: bool) -> Any | None:
        """The record of a deleted file: The Sleuth Kit gives the names of orphans without them.

        NTFS counts the deletion, so that the name's own count is one behind its record's; where a file system counts
        nothing, the name has 0 or, for an orphan, one less than 0.
        """
        if not deleted:
            return None
        try:
            file = self._fs.open_meta(inode=int(name.meta_addr))
        except FAULTS:
            return None
        meta = file.info.meta
        if meta is None or not int(meta.flags) & _UNALLOCATED:
            return None
        ahead = (int(meta.seq) - int(name.meta_seq)) % (1 << 32)
        return file if ahead in (0, 1) or not int(name.meta_seq) else None

    def _file(self, bare: Found, attribute: _Attribute, meta: Any) -> Found:
        place = dict(bare.place)
        if attribute.kind is not None and attribute.id is not None:
            place |= {"attribute": attribute.kind, "id": attribute.id}
        skip, detail = self._skip(int(meta.addr), attribute, bare.deleted)
        whole = attribute.name is None and not bare.deleted  # another stream of the file is no hard link of it
        return replace(
            bare,
            path=bare.path if attribute.name is None else bare.path + b":" + attribute.name,
            kind="special" if skip == "special" else "file",
            size=attribute.size,
            allocated=attribute.allocated,
            device=self._volume.start if whole else None,
            inode=int(meta.addr) if whole else None,
            links=max(1, int(meta.nlink)) if whole else None,
            place=place,
            skip=skip,
            detail=detail,
        )

    def _skip(self, address: int, attribute: _Attribute, deleted: bool) -> tuple[str | None, str | None]:
        if self._ntfs and address == 8 and attribute.name == b"$Bad":
            return "special", "NTFS's map of bad clusters, as large as the volume and without content"
        if deleted and attribute.nowhere:
            return "no data", None
        if deleted and self._ext and not attribute.size:
            return "no data", "ext file systems set the size of a deleted file to 0"
        return None, "encrypted by NTFS (EFS), read as it is stored" if attribute.encrypted else None

    def _attributes(self, item: Any, folder: bool) -> list[_Attribute]:
        if not self._ntfs:
            return [] if folder else [self._default(item)]
        found = []
        for attribute in item:
            kind, name = int(attribute.info.type), attribute.info.name
            if kind == _NTFS_DATA or (kind == _NTFS_INDEX and name != b"$I30"):
                found.append(self._attribute(attribute, None if name is None else bytes(name)))
        return found

    def _default(self, item: Any) -> _Attribute:
        size = int(item.info.meta.size)
        allocated, runs = 0, False
        for attribute in item:
            if int(attribute.info.size) == size:
                allocated, runs = self._allocated(attribute)
                break
        return _Attribute(size, allocated, None, None, None, nowhere=bool(size) and not runs, encrypted=False)

    def _attribute(self, attribute: Any, name: bytes | None) -> _Attribute:
        size, flags = int(attribute.info.size), int(attribute.info.flags)
        allocated, runs = self._allocated(attribute)
        return _Attribute(
            size,
            allocated,
            name,
            int(attribute.info.type),
            int(attribute.info.id),
            nowhere=bool(size) and not runs,
            encrypted=bool(flags & _ENCRYPTED),
        )

    def _allocated(self, attribute: Any) -> tuple[int, bool]:
        """Bytes that it takes on the disk, and whether there are any."""
        if int(attribute.info.flags) & _NONRESIDENT:
            blocks = sum(int(run.len) for run in attribute if not int(run.flags) & _RUN_WITHOUT_BLOCKS)
            return blocks * self._block, blocks > 0
        return int(attribute.info.size), True

    def _times(self, meta: Any) -> Times:
        kind = self._volume.file_system or ""
        # FAT notes local time of an unknown zone; exFAT its zone too, which The Sleuth Kit leaves out. Taken as written
        source = f"tsk:{kind}" + ("-local" if kind.startswith("fat") or kind == "exfat" else "")
        return Times(
            source,
            born_ns=_time(meta.crtime, meta.crtime_nano),
            modified_ns=_time(meta.mtime, meta.mtime_nano),
            accessed_ns=_time(meta.atime, meta.atime_nano),
            changed_ns=_time(meta.ctime, meta.ctime_nano),
        )


def _kind(name_type: int, meta_type: int | None) -> Kind | None:
    """None: not a file of the file system at all."""
    if _VIRTUAL in (name_type, meta_type):
        return None
    if meta_type is not None and meta_type != 0:
        return "special" if meta_type in _META_SPECIAL else _META_KINDS.get(meta_type, "file")
    return "special" if name_type in _NAME_SPECIAL else _NAME_KINDS.get(name_type, "file")


def _time(seconds: Any, nanoseconds: Any) -> int | None:
    return int(seconds) * SECOND + int(nanoseconds) if seconds else None


class FileBytes(Anywhere):
    """A file's content through The Sleuth Kit."""

    def __init__(self, file: Any, size: int, attribute: tuple[int, int] | None) -> None:
        super().__init__(size)
        self._file, self._attribute = file, attribute or ()

    def _at(self, offset: int, most: int) -> bytes:
        try:
            data: bytes = self._file.read_random(offset, most, *self._attribute)
        except FAULTS as error:
            raise OSError(errno.EIO, f"at {offset:,}: {error}") from error
        if not data:
            raise OSError(errno.EIO, f"ends at {offset:,} of {self._size:,} bytes")
        return data
