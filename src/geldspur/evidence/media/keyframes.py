"""A content's fingerprints: its keyframes, or denser samples, each as exact PDQ of the luma plane.

Only keyframes are decoded: they depend on nothing else, so that the cost is a fiftieth of decoding all, and damage
elsewhere in the file does not reach them. `second` and `frame` decode everything (`evidence deep`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice, pairwise
from typing import BinaryIO, Literal

import av
from av import Packet, VideoFrame, VideoStream
from av.container import InputContainer
from av.stream import Discard, Disposition

from geldspur.evidence.media.container import opened
from geldspur.evidence.media.luma import luma_of
from geldspur.evidence.media.pdq import pdq, without_bars
from geldspur.evidence.media.sniff import HEAD, STILL, is_certain
from geldspur.evidence.model import FrameHash, MediaFacts, MediaResult

Stage = Literal["keyframe", "second", "frame"]

KEYFRAME_GAP_MS = 500  # of keyframes nearer than this only the first is decoded: some formats have nothing else
ALIKE = 2  # bits; a frame that differs from the one kept before it by no more is not kept
NO_KEYFRAME_PACKETS = 1000  # tried from the start where a video gives no keyframe at all
BAD_READS = 100  # failures of the reader itself after which the rest is given up
_STILL_BRANDS = frozenset(["avif", "heic", "heim", "heis", "heix", "mif1", "mif2"])
_ONE_KEYFRAME = frozenset(["apng", "gif", "webp"])  # animations that consist of one keyframe and changes to it
_FAR = 1 << 32  # in any time base more than a keyframe's delay
_LATEST_MS = 1 << 47  # times beyond are damage


@dataclass(frozen=True, slots=True)
class Limits:
    """What one content may cost; time and memory are limited by whoever runs the worker."""

    pixels: int = 120_000_000  # a frame; more is a decompression bomb, or a scan for print
    frames: int = 20_000  # rows a content; beyond, every other one is dropped, and so on


class _TooLargeError(Exception):
    """More pixels than the limit."""


class _NoPictureError(Exception):
    """A container without video or image."""


@dataclass(slots=True)
class _Tally:
    frames: list[FrameHash] = field(default_factory=list)
    keyframes_tried: int = 0
    decoded: int = 0
    bad_packets: int = 0
    size: tuple[int, int] = (0, 0)
    gap_ms: int = 0
    last_ms: int = -1
    start: int = 0  # as the reader says at first: at the end of a file libav may set another
    tick: Callable[[], None] | None = None


def fingerprint(
    stream: BinaryIO, *, stage: Stage = "keyframe", limits: Limits | None = None, tick: Callable[[], None] | None = None
) -> MediaResult:
    """Fingerprints of an image or a video. Bad media never raise: what was wrong is in the result.

    Args:
        stream: the file's bytes, seekable, at any position.
        stage: 'keyframe', 'second' (the first frame of each second's worth of frames, as vPDQ samples), or 'frame'.
        limits: see `Limits`.
        tick: called at each frame, to tell that work goes on.
    """
    certain = False
    try:
        stream.seek(0)
        certain = is_certain(stream.read(HEAD))
        stream.seek(0)
        return _fingerprint(stream, stage, limits or Limits(), tick)
    except _NoPictureError:
        return MediaResult("other")
    except _TooLargeError as error:
        return MediaResult("failed", reason="pixels", detail=str(error))
    except MemoryError:
        return MediaResult("failed", reason="memory", detail="no memory left in the worker")
    except (av.FFmpegError, OSError, ValueError, RuntimeError, EOFError) as error:
        if not certain:
            return MediaResult("other")
        return MediaResult("failed", reason="damaged", detail=_words(error))
    except Exception as error:  # whatever hostile bytes bring about costs this content only, and is told
        return MediaResult("failed", reason="crashed", detail=f"{type(error).__name__}: {_words(error)}")


def _fingerprint(stream: BinaryIO, stage: Stage, limits: Limits, tick: Callable[[], None] | None) -> MediaResult:
    with opened(stream) as container:
        video = _main_picture(container)
        _check_size(video, limits)
        kind: Literal["image", "video"] = "image" if _is_still(container, video) else "video"
        video.codec_context.thread_count = 1
        video.codec_context.options = {"max_pixels": str(limits.pixels)}
        tally = _Tally(
            gap_ms=KEYFRAME_GAP_MS if stage == "keyframe" else 0, size=(video.width, video.height), tick=tick,
            start=video.start_time or 0,
        )  # fmt: skip
        _take(_frames(container, video, stage, kind, tally), video, tally, limits)
        if not tally.frames and kind == "video" and stage == "keyframe":
            container.seek(0)
            _take(_without_keyframes(container, video, tally), video, tally, limits)
        bad_packets = max(tally.bad_packets, tally.keyframes_tried - tally.decoded)  # some give neither frame nor error
        facts = MediaFacts(
            kind, container.format.name, video.codec_context.codec.canonical_name, *tally.size,
            _duration_ms(container, video) if kind == "video" else None, tally.decoded, bad_packets,
        )  # fmt: skip
    if not tally.frames:
        return MediaResult("failed", facts, reason="damaged", detail=f"{bad_packets} packets, none decodable")
    return MediaResult(kind, facts, tuple(tally.frames))


def _main_picture(container: InputContainer) -> VideoStream:
    """The largest video stream that is no cover; a sound file's cover where there is no other."""
    streams = [stream for stream in container.streams.video if stream.codec_context is not None]
    if not streams:
        raise _NoPictureError
    films = [stream for stream in streams if not stream.disposition & Disposition.attached_pic]
    return max(films or streams, key=lambda stream: (stream.width * stream.height, -stream.index))


def _is_still(container: InputContainer, video: VideoStream) -> bool:
    if container.format.name in STILL or container.metadata.get("major_brand") in _STILL_BRANDS:
        return True
    return bool(video.disposition & (Disposition.attached_pic | Disposition.still_image))


def _check_size(video: VideoStream, limits: Limits) -> None:
    if video.width * video.height > limits.pixels:
        raise _TooLargeError(f"{video.width} by {video.height} pixels; the limit is {limits.pixels}")


def _frames(
    container: InputContainer, video: VideoStream, stage: Stage, kind: str, tally: _Tally
) -> Iterator[VideoFrame]:
    packets = _packets(container, video, tally)
    if kind == "image":
        return islice(_decoded(video, packets, tally), 1)
    if stage == "frame":
        return _decoded(video, packets, tally)
    if stage == "second" or container.format.name in _ONE_KEYFRAME:
        return islice(_decoded(video, packets, tally), 0, None, _frames_a_second(video))
    video.discard = Discard.nonkey
    video.codec_context.skip_frame = "NONKEY"
    if container.format.name.startswith("mov,") and 0 < video.frames == len(video.index_entries):
        return _by_index(container, video, tally)
    return _decoded(video, _spaced(packets, video, tally), tally)


def _by_index(container: InputContainer, video: VideoStream, tally: _Tally) -> Iterator[VideoFrame]:
    """Keyframes one by one where the index says they lie: nothing else is read, and damage reaches one at a time.

    (libav can leave out other packets by itself, but then gives the wrong times where frames are stored out of order.)
    """
    for stream in container.streams:
        stream.discard = Discard.default if stream is video else Discard.all
    last: int | None = None
    keys = [entry.timestamp for entry in video.index_entries if entry.is_keyframe]
    for key, following in pairwise([*keys, max(keys, default=0) + _FAR]):
        at_ms = _milliseconds(key, video, tally.start)
        if at_ms is not None and last is not None and 0 <= at_ms - last < tally.gap_ms:
            continue
        last = at_ms
        try:
            packet = _packet_at(container, video, key, following)
            decoder = video.codec_context
            frames = decoder.decode(packet) + decoder.decode(None) if packet is not None else []
        except (av.FFmpegError, ValueError):
            frames = []
        tally.bad_packets += not frames
        yield from frames


def _packet_at(container: InputContainer, video: VideoStream, key: int, following: int) -> "Packet[VideoStream] | None":
    """The keyframe of decoding time `key`; `following` is the next one's.

    libav seeks by the time of display, which comes later by an unknown delay, and takes the last keyframe not after it.
    """
    for moment in (following - 1, following):
        container.seek(moment, stream=video)
        packet = next(container.demux(video), None)
        if packet is not None and packet.size and packet.dts == key:
            return packet
    return None


def _frames_a_second(video: VideoStream) -> int:
    """vPDQ's rule: every n-th frame from the first on, n the whole part of the rate."""
    return max(1, int(video.average_rate or video.guessed_rate or 1))


def _without_keyframes(container: InputContainer, video: VideoStream, tally: _Tally) -> Iterator[VideoFrame]:
    """Of a video cut out of the middle, or that refreshes piecemeal: the first frame of each second of its start."""
    video.discard = Discard.default
    video.codec_context.skip_frame = "DEFAULT"
    video.codec_context.flush_buffers()
    start = islice(_packets(container, video, tally), NO_KEYFRAME_PACKETS)
    return islice(_decoded(video, start, tally), 0, None, _frames_a_second(video))


def _packets(container: InputContainer, video: VideoStream, tally: _Tally) -> "Iterator[Packet[VideoStream]]":
    """The stream's packets; where the reader fails it is asked again, as long as that may help."""
    failures = 0
    while failures < BAD_READS:
        try:
            yield from container.demux(video)
            return
        except av.FFmpegError:
            failures += 1
            tally.bad_packets += 1


def _spaced(
    packets: "Iterator[Packet[VideoStream]]", video: VideoStream, tally: _Tally
) -> "Iterator[Packet[VideoStream]]":
    """Keyframes, without those that follow another too closely, and the empty packet that flushes the decoder."""
    last: int | None = None
    for packet in packets:
        if packet.size == 0:
            yield packet
            continue
        at_ms = _milliseconds(packet.pts if packet.pts is not None else packet.dts, video, tally.start)
        if packet.is_keyframe and not (at_ms is not None and last is not None and 0 <= at_ms - last < tally.gap_ms):
            last = at_ms
            tally.keyframes_tried += 1
            yield packet


def _decoded(video: VideoStream, packets: "Iterator[Packet[VideoStream]]", tally: _Tally) -> Iterator[VideoFrame]:
    """Frames; a packet that can't be decoded is counted and costs its own frames only."""
    for packet in packets:
        try:
            frames = video.codec_context.decode(packet if packet.size else None)
        except (av.FFmpegError, ValueError):
            tally.bad_packets += 1
            continue
        yield from frames


def _take(frames: Iterator[VideoFrame], video: VideoStream, tally: _Tally, limits: Limits) -> None:
    for frame in frames:
        tally.decoded += 1
        if tally.tick is not None:
            tally.tick()
        tally.size = tally.size if tally.frames else (frame.width, frame.height)
        tally.last_ms = _time_of(frame, video, tally)
        row = _hash(frame, tally.last_ms)
        if not (tally.frames and _alike(tally.frames[-1], row)):
            tally.frames.append(row)
        if len(tally.frames) > limits.frames:
            del tally.frames[1::2]
            tally.gap_ms *= 2


def _hash(frame: VideoFrame, at_ms: int) -> FrameHash:
    luma = luma_of(frame)
    whole = pdq(luma.plane, luma.part, limited=luma.limited)
    inner = without_bars(luma.plane, luma.part)
    cut = pdq(luma.plane, inner, limited=luma.limited) if inner else None
    return FrameHash(
        at_ms, whole.quality, whole.plain, whole.mirrored, cut.plain if cut else None, cut.mirrored if cut else None
    )


def _alike(one: FrameHash, other: FrameHash) -> bool:
    """Whether two frames, or what lies between their bars, differ by a few bits only."""
    if (one.cropped is None) != (other.cropped is None):
        return False
    pairs = [(one.plain, other.plain)] + ([(one.cropped, other.cropped)] if one.cropped and other.cropped else [])
    return all((int.from_bytes(a) ^ int.from_bytes(b)).bit_count() <= ALIKE for a, b in pairs)


def _time_of(frame: VideoFrame, video: VideoStream, tally: _Tally) -> int:
    """Milliseconds since the stream's start; where a file gives none, or goes back, one more than the frame before."""
    at_ms = _milliseconds(frame.pts, video, tally.start)
    return tally.last_ms + 1 if at_ms is None or at_ms <= tally.last_ms else at_ms


def _milliseconds(stamp: int | None, video: VideoStream, start: int) -> int | None:
    base = video.time_base
    if stamp is None or base is None:
        return None
    at_ms = (stamp - start) * 1000 * base.numerator // base.denominator
    return at_ms if 0 <= at_ms < _LATEST_MS else None


def _duration_ms(container: InputContainer, video: VideoStream) -> int | None:
    if video.duration is not None and video.time_base is not None:
        length = video.duration * 1000 * video.time_base.numerator // video.time_base.denominator
    elif container.duration is not None:
        length = container.duration // 1000
    else:
        return None
    return length if 0 <= length < _LATEST_MS else None


def _words(error: Exception) -> str:
    """What libav says, without the number and the name it prints around it."""
    return str(getattr(error, "strerror", None) or error)[:200]
