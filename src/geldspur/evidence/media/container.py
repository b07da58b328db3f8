"""Opening media with libav so that nothing but the stream handed in is ever read."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, NoReturn

import av
from av.container import InputContainer

from geldspur.evidence.media.sniff import DEMUXERS

_BUFFER = 1 << 18  # bytes a read; each read is a call into Python


class Unnamed:
    """A stream without its name, which libav would guess from and repeat in messages; nothing can be written to it."""

    def __init__(self, stream: BinaryIO) -> None:
        self.read = stream.read
        self.seek = stream.seek
        self.tell = stream.tell
        self.seekable = stream.seekable


def _refuse(*_: Any) -> NoReturn:
    raise PermissionError("media may not open further files")


@contextmanager
def opened(stream: BinaryIO) -> Iterator[InputContainer]:
    """The container in `stream`, read by one of the known readers only; without protocols, and without other files.

    libav decodes a frame to learn what the container does not say; that is left out, so that size and format may be
    unknown until a frame is there.

    Raises:
        av.FFmpegError: none of the readers knows it.
        OSError: as reading the stream does.
    """
    with av.open(
        Unnamed(stream), "r", options={"skip_frame": "all", "threads": "1"}, buffer_size=_BUFFER, io_open=_refuse,
        container_options={"format_whitelist": DEMUXERS, "protocol_whitelist": "none"}, metadata_errors="replace",
    ) as container:  # fmt: skip
        yield container
