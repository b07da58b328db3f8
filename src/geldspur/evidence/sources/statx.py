"""What the file system says of one name, with its time of birth, which Python's own stat does not tell on Linux."""

import ctypes
import errno
import os
import struct
from dataclasses import dataclass

from geldspur.evidence.model import Times

# struct statx of linux/stat.h: mask, block size, attributes, links, uid, gid, mode, inode, size, blocks, attributes
# known; accessed, born, changed, modified as seconds, nanoseconds, padding; rdev, dev as major and minor.
_LAYOUT = struct.Struct("=IIQIIIHHQQQQ" + "qIi" * 4 + "IIII")
_SIZE = 256
_NOFOLLOW, _NO_AUTOMOUNT, _EMPTY_PATH = 0x100, 0x800, 0x1000
_BASIC, _BORN = 0x7FF, 0x800
_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Facts:
    """Of one name: `mode` as in os.stat, sizes in bytes."""

    mode: int
    size: int
    allocated: int
    device: int
    inode: int
    links: int
    times: Times


def _find_statx() -> "ctypes._NamedFuncPointer | None":
    try:
        return ctypes.CDLL(None, use_errno=True).statx
    except (OSError, AttributeError):
        return None


_statx = _find_statx()
_buffer = ctypes.create_string_buffer(_SIZE)


def facts(name: bytes, folder: int) -> Facts:
    """Of a name in the folder with this descriptor; a symbolic link is described itself, and nothing is mounted.

    Not for several threads at once.

    Raises:
        OSError: with errno.
    """
    if _statx is None:
        return _by_stat(name, folder)
    if _statx(folder, name, _NOFOLLOW | _NO_AUTOMOUNT, _BASIC | _BORN, _buffer) != 0:
        code = ctypes.get_errno()
        if code in (errno.ENOSYS, errno.EPERM):  # EPERM comes of a filter of system calls that does not know it
            return _by_stat(name, folder)
        raise OSError(code, os.strerror(code))
    (
        mask, _, _, links, _, _, mode, _, inode, size, blocks, _,
        accessed, accessed_ns, _, born, born_ns, _, changed, changed_ns, _, modified, modified_ns, _,
        _, _, major, minor,
    ) = _LAYOUT.unpack_from(_buffer)  # fmt: skip
    times = Times(
        "statx",
        born * _SECOND + born_ns if mask & _BORN else None,
        modified * _SECOND + modified_ns,
        accessed * _SECOND + accessed_ns,
        changed * _SECOND + changed_ns,
    )
    return Facts(mode, size, blocks * 512, os.makedev(major, minor), inode, links, times)


def _by_stat(name: bytes, folder: int) -> Facts:
    said = os.stat(name, dir_fd=folder, follow_symlinks=False)
    times = Times("stat", None, said.st_mtime_ns, said.st_atime_ns, said.st_ctime_ns)
    return Facts(said.st_mode, said.st_size, said.st_blocks * 512, said.st_dev, said.st_ino, said.st_nlink, times)
