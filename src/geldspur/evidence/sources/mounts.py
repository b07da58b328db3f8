"""Which file system a folder lies in, and how it is mounted, as the kernel says (/proc/self/mountinfo)."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

# File systems of the kernel's own making: what they list is made up when it is asked for, and no seized file.
VIRTUAL = frozenset(
    b"proc sysfs devpts devtmpfs cgroup cgroup2 securityfs debugfs tracefs pstore bpf configfs efivarfs fusectl mqueue"
    b" hugetlbfs binfmt_misc rpc_pipefs nsfs autofs selinuxfs".split()
)


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of the mount table; `options` joins those of the mount and of the file system.

    `device` and `root`: which file system it is, and what folder of it is seen at `point` (another than / where a
    folder is bound to a second place).
    """

    point: bytes
    filesystem: bytes
    source: bytes
    options: bytes
    device: bytes = b""
    root: bytes = b"/"

    @property
    def read_only(self) -> bool:
        """Does the kernel refuse to write there?"""
        return b"ro" in self.options.split(b",")


def mounts() -> list[Mount]:
    """All mounts that this process sees, later ones cover earlier ones; none where the kernel does not tell."""
    try:
        lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    except OSError:
        return []
    return [mount for line in lines if (mount := _parsed(line)) is not None]


def _parsed(line: bytes) -> Mount | None:
    before, _, after = line.partition(b" - ")
    fields, rest = before.split(b" "), after.split(b" ")
    if len(fields) < 6 or len(rest) < 3:
        return None
    own = fields[5].split(b",")
    also = [option for option in rest[2].split(b",") if option not in own and option not in (b"rw", b"ro")]
    if b"ro" in rest[2].split(b","):  # the file system itself is read-only, whatever the mount says
        own = [b"ro" if option == b"rw" else option for option in own]
    return Mount(
        _unescaped(fields[4]), rest[0], _unescaped(rest[1]), b",".join(own + also), fields[2], _unescaped(fields[3])
    )


def _unescaped(field: bytes) -> bytes:
    return re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8)]), field)


def mount_of(path: bytes, table: list[Mount]) -> Mount | None:
    """The mount that an absolute path lies in."""
    holding = [mount for mount in table if _within(path, mount.point)]
    return max(enumerate(holding), key=lambda pair: (len(pair[1].point), pair[0]))[1] if holding else None


def nested_in(path: bytes, table: list[Mount]) -> list[Mount]:
    """The mounts below an absolute path."""
    return [mount for mount in table if mount.point != path and _within(mount.point, path)]


def lies_within(path: Path, folder: Path) -> bool:
    """Whether a path, be there something or not, lies in a folder, or is it: by its name, or because the folder, or
    what is mounted below it, is bound to a second place."""
    inner, outer = (os.fsencode(each.resolve()) for each in (path, folder))
    if _within(inner, outer):
        return True
    table = mounts()
    at = _physical(inner, mount_of(inner, table))
    whole = [_physical(outer, mount_of(outer, table))]
    whole += [_physical(below.point, below) for below in nested_in(outer, table)]
    return at is not None and any(
        place is not None and at[0] == place[0] and _within(at[1], place[1]) for place in whole
    )


def _physical(path: bytes, mount: Mount | None) -> tuple[bytes, bytes] | None:
    """The file system that a path lies in, and where in it."""
    if mount is None or not mount.device:
        return None
    below = path.removeprefix(mount.point.rstrip(b"/"))
    return mount.device, mount.root.rstrip(b"/") + below or b"/"


def _within(path: bytes, folder: bytes) -> bool:
    return path == folder or path.startswith(folder.rstrip(b"/") + b"/")
