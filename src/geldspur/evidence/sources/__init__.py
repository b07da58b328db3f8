"""Where files come from: folders, disk images, archives. Bytes out; nothing is ever written."""

from pathlib import Path

from geldspur.errors import UsageError
from geldspur.evidence.sources.base import Source

__all__ = ["Source", "open_source"]


def open_source(path: Path) -> Source:
    """The source that lies at a path, told by what it is.

    A path that is itself a symbolic link is resolved first; from there on no link is followed.

    Raises:
        UsageError: there is nothing, or nothing that can be scanned.
    """
    real = path.resolve()
    if real.is_dir():
        from geldspur.evidence.sources.folder import FolderSource

        return FolderSource(real)
    if not real.exists():
        raise UsageError("the source does not exist", where=str(path), todo="name a folder or a disk image")
    from geldspur.evidence.sources.image import ImageSource, looks_like_image

    if real.is_file() and looks_like_image(real):
        return ImageSource(real)
    raise UsageError(
        "the source is neither a folder nor a disk image", where=str(path), todo="name a folder, or a raw or E01 image"
    )
