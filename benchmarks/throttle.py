"""Hold the storage under a folder to a rate of reading, for this process and those that it starts (Linux, as root)."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
_UNITS = {"K": 10**3, "M": 10**6, "G": 10**9}


def bytes_of(text: str) -> int:
    """`300M` as bytes; ValueError for what is none."""
    return int(float(text.rstrip("KMG")) * _UNITS.get(text[-1:], 1))


def disk_of(folder: Path) -> str:
    """Numbers (major:minor) of the whole disk that a folder lies on; limits are set on no less."""
    device = folder.stat().st_dev
    place = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
    if not place.exists():
        raise SystemExit(f"--rate: {folder} lies on no disk of its own (device {os.major(device)}:{os.minor(device)}); "
                         "name a --work on one")  # fmt: skip
    place = place.resolve()
    return ((place.parent if (place / "partition").exists() else place) / "dev").read_text().strip()


def _files(rate: int, disk: str) -> tuple[Path, str, str]:
    """Of the groups there are: the folder of all, the file that limits one, and what to write into it."""
    if (GROUPS / "blkio" / "cgroup.procs").exists():
        return GROUPS / "blkio", "blkio.throttle.read_bps_device", f"{disk} {rate}"
    controllers = GROUPS / "cgroup.controllers"
    if controllers.exists() and "io" in controllers.read_text().split():
        (GROUPS / "cgroup.subtree_control").write_text("+io")
        return GROUPS, "io.max", f"{disk} rbps={rate}"
    raise SystemExit(f"--rate: no control group under {GROUPS} limits input (neither blkio of version 1 nor io of 2)")


@contextmanager
def read_at_most(rate: int, folder: Path) -> Iterator[None]:
    """Be in a group of that limit; SystemExit with the reason where that can't be."""
    disk, me = disk_of(folder), str(os.getpid())
    try:
        parent, name, limit = _files(rate, disk)
        group = parent / f"geldspur-{me}"
        group.mkdir()
    except OSError as error:
        raise SystemExit(f"--rate needs root and control groups that can be written to: {error}") from error
    try:
        (group / name).write_text(limit)
        (group / "cgroup.procs").write_text(me)
        yield
    except OSError as error:
        if error.filename is None or not str(error.filename).startswith(str(group)):
            raise
        raise SystemExit(f"--rate: the limit {limit!r} was refused: {error}") from error
    finally:
        (parent / "cgroup.procs").write_text(me)
        group.rmdir()
