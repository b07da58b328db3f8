"""Bounded streams over packed bytes: parts of a seekable file, parts of a forward one, and what a decoder gives."""

import bz2
import io
import lzma
import zlib
from collections.abc import Callable
from typing import BinaryIO, Protocol, cast

from geldspur.evidence.sources.anywhere import Anywhere
from geldspur.evidence.sources.archives.limits import Stopped

CHUNK = 256 * 1024
SMALL = 16 * 1024


class Decoder(Protocol):
    """What bz2 and lzma have in common; deflate is brought into this form."""

    eof: bool
    needs_input: bool
    unused_data: bytes

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """At most `max_length` bytes more."""


class Inflate:
    """zlib's decoder, with the unread rest of its input kept inside."""

    def __init__(self, window_bits: int) -> None:
        self._decoder = zlib.decompressobj(window_bits)
        self._rest = b""

    @property
    def eof(self) -> bool:
        """Whether the end of the data was met."""
        return self._decoder.eof

    @property
    def needs_input(self) -> bool:
        """Whether it has nothing left to work on."""
        return not self._rest

    @property
    def unused_data(self) -> bytes:
        """What came after the end."""
        return self._decoder.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """At most `max_length` bytes more."""
        out = self._decoder.decompress(self._rest + data, max_length)
        self._rest = self._decoder.unconsumed_tail
        return out


class Forward(io.RawIOBase):
    """A stream read once, front to back, that stops for good at the first fault.

    What comes before the fault is delivered first, so that members in front of it are kept.
    """

    def __init__(self) -> None:
        self._stop: OSError | None = None

    def _piece(self, most: int) -> bytes:
        """Up to `most` bytes; none at the end."""
        raise NotImplementedError

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: object) -> int:
        """As many bytes as there are, up to the buffer's size; 0 at the end."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        filled = 0
        while filled < len(view) and self._stop is None:
            try:
                piece = self._piece(len(view) - filled)
            except OSError as error:
                self._stop = _bare(error)
                break
            if not piece:
                break
            view[filled : filled + len(piece)] = piece
            filled += len(piece)
        if not filled and self._stop is not None and len(view):
            raise _bare(self._stop)
        return filled


def _bare(error: OSError) -> OSError:
    """The same without a traceback: kept, that would keep the decoder and its dictionary alive in a cycle."""
    if isinstance(error, Stopped):
        return Stopped(error.reason, error.words, error.offset)
    return OSError(error.errno, error.strerror or str(error))


class Window(Anywhere):
    """`size` bytes of a seekable stream from `start` on; several may share the stream."""

    def __init__(self, base: BinaryIO, start: int, size: int) -> None:
        super().__init__(size)
        self._base, self._start = base, start

    def _at(self, offset: int, most: int) -> bytes:
        self._base.seek(self._start + offset)
        data = self._base.read(most)
        if not data:
            raise Stopped("damaged", f"ends {self._size - offset:,} bytes early", self._start + offset)
        return data


class Summed(Window):
    """A window whose CRC-32 is checked when it is read from front to back."""

    def __init__(self, base: BinaryIO, start: int, size: int, crc: int) -> None:
        super().__init__(base, start, size)
        self._crc, self._told, self._summed = 0, crc, 0

    def _at(self, offset: int, most: int) -> bytes:
        data = super()._at(offset, most)
        if offset == self._summed:
            self._crc = zlib.crc32(data, self._crc)
            self._summed += len(data)
        return data

    def readinto(self, buffer: object) -> int:
        """As many bytes as there are, up to the buffer's size; 0 at the end."""
        got = super().readinto(buffer)
        if not got and self._summed == self._size and self._crc != self._told:
            raise Stopped("damaged", "its checksum (CRC-32) differs from the stored one", self._size)
        return got


class Part(Forward):
    """The next `size` bytes of a forward stream."""

    def __init__(self, take: Callable[[int], bytes], size: int) -> None:
        super().__init__()
        self._take, self.left = take, size

    def _piece(self, most: int) -> bytes:
        want = min(most, self.left, CHUNK)
        data = self._take(want) if want else b""
        self.left -= len(data)
        return data


class Lent(Forward):
    """A stream for somebody who may close it."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        self._stream = stream

    def _piece(self, most: int) -> bytes:
        return self._stream.read(min(most, CHUNK))


class Unpacked(Forward):
    """What decoders give, one after the other where the format allows several.

    `charge` is called with the size of each piece before it is given on; `follows` tells whether bytes after a
    decoder's end begin another (None: only one). `most`: how many bytes it may give, None while that is not known.
    `trailing`: where bytes were found that no decoder takes.
    """

    def __init__(
        self,
        packed: BinaryIO,
        decoder: Callable[[], Decoder],
        charge: Callable[[int], None],
        follows: Callable[[bytes], bool] | None = None,
    ) -> None:
        super().__init__()
        self._packed, self._new, self._charge, self._follows = packed, decoder, charge, follows
        self._decoder: Decoder = decoder()
        self._read = 0
        self._next = b""
        self._given = 0
        self.done = False
        self.most: int | None = None
        self.trailing: int | None = None

    @property
    def taken(self) -> int:
        """Packed bytes used so far."""
        return self._read - len(self._decoder.unused_data)

    def _piece(self, most: int) -> bytes:
        while not self.done:
            if self._decoder.eof:
                self._another()
                continue
            hungry = self._decoder.needs_input
            data = self._input() if hungry else b""
            try:
                out = self._decoder.decompress(data, min(most, CHUNK))
            except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
                raise self._damage(error) from error
            if out:
                self._charge(len(out))
                self._given += len(out)
                if self.most is not None and self._given > self.most:
                    raise Stopped("size", f"unpacks to more than {self.most:,} bytes, the limit")
                return out
            if hungry and not data and not self._decoder.eof:
                raise Stopped("damaged", "ends in the middle of its compressed data", self._read)
        return b""

    def _input(self) -> bytes:
        data, self._next = self._next or self._packed.read(CHUNK), b""
        self._read += len(data)
        return data

    def _another(self) -> None:
        rest = self._decoder.unused_data + self._next
        if self._follows is None:
            self.done = True
            return
        self._read, self._next = self.taken, b""
        rest = rest or self._packed.read(CHUNK)
        while rest and not (data := rest.lstrip(b"\0")):
            self._read += len(rest)
            rest = self._packed.read(CHUNK)
        if not rest:
            self.done = True
            return
        self._read += len(rest) - len(data)
        if len(data) < 16:
            data += self._packed.read(16)
        if not self._follows(data):
            self.trailing, self.done = self._read, True
            return
        self._decoder, self._next = self._new(), data

    def _damage(self, error: Exception) -> Stopped:
        if "emory usage limit" in str(error):
            return Stopped("unsupported", "its dictionary is larger than the memory limit of a decoder", self._read)
        return Stopped("damaged", f"its compressed data are damaged ({error})", self._read)


class Exact(Forward):
    """A member that must give just `size` bytes with this CRC-32; it never gives more."""

    def __init__(self, inner: Forward, size: int, crc: int) -> None:
        super().__init__()
        self._inner, self._left, self._size = inner, size, size
        self._crc, self._told = 0, crc

    def _piece(self, most: int) -> bytes:
        data = self._inner.read(min(most, self._left, CHUNK)) if self._left else b""
        if data:
            self._left -= len(data)
            self._crc = zlib.crc32(data, self._crc)
            return data
        at = self._size - self._left
        if self._left:
            raise Stopped("damaged", f"holds {at:,} bytes, its directory says {self._size:,}", at)
        if self._more():
            raise Stopped("damaged", f"holds more than the {self._size:,} bytes that its directory says", at)
        if self._crc != self._told:
            raise Stopped("damaged", "its checksum (CRC-32) differs from the stored one", at)
        return b""

    def _more(self) -> bool:
        try:
            return bool(self._inner.read(1))
        except Stopped:  # LZMA needs no mark at its end, and the checksum tells whether the rest was right
            return False


class Broken(Forward):
    """Some bytes, then the fault that was met after them."""

    def __init__(self, data: bytes, stop: OSError) -> None:
        super().__init__()
        self._data, self._at, self._fault = data, 0, stop

    def _piece(self, most: int) -> bytes:
        data = self._data[self._at : self._at + most]
        self._at += len(data)
        if not data:
            raise self._fault
        return data


def buffered(raw: io.RawIOBase) -> BinaryIO:
    """With `peek` and reads of any size."""
    return cast(BinaryIO, io.BufferedReader(raw, SMALL))


def peek(stream: BinaryIO, size: int) -> bytes:
    """The next bytes of a `buffered` stream, up to `size`; none where even these can't be read."""
    try:
        return cast(io.BufferedReader, stream).peek(size)[:size]
    except OSError:
        return b""


def inflate_raw() -> Decoder:
    """Deflate as in zip."""
    return cast(Decoder, Inflate(-15))


def inflate_gzip() -> Decoder:
    """Deflate as in gzip, with its checksum."""
    return cast(Decoder, Inflate(31))


def unbzip2() -> Decoder:
    """Bzip2."""
    return cast(Decoder, bz2.BZ2Decompressor())


def unxz(memory: int) -> Callable[[], Decoder]:
    """Xz, refusing dictionaries that need more memory."""
    return lambda: cast(Decoder, lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=memory))
