"""Made clips and ten edits of each: copies whose being missed or found measures a method.

The pictures are drawn from a seed: several octaves of noise with boxes and discs over it, panned, with one cut.
Nothing is read from disk or written to it. One encoder thread, so that the bytes depend on the encoder's version only.
"""

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import av
import numpy as np
import numpy.typing as npt

WIDTH, HEIGHT, RATE, FRAMES = 640, 480, 24, 72
UNCHANGED = "unchanged"
_MARGIN = 120  # how far a scene can be panned
_BLACK, _GREY = 16, 128

Plane = npt.NDArray[np.uint8]


class Picture(NamedTuple):
    """Planes of a picture as video has them: brightness [height, width], two of colour with half of both."""

    y: Plane
    u: Plane
    v: Plane

    def cut(self, y: slice, x: slice) -> "Picture":
        """A part; its bounds are even."""
        half = [slice(s.start // 2, s.stop // 2) for s in (y, x)]
        return Picture(self.y[y, x], self.u[half[0], half[1]], self.v[half[0], half[1]])


Edit = Callable[[list[Picture]], list[Picture]]


@dataclass(frozen=True, slots=True)
class Coding:
    """How a clip is encoded."""

    codec: str = "libx264"
    rate: int = RATE
    quality: int = 23
    keyframe_every: int = 60
    size: tuple[int, int] | None = None


def original(seed: int, number: int) -> bytes:
    """The bytes of a made clip: three seconds in two scenes."""
    return encode(_scenes(np.random.default_rng([seed, number])), Coding(quality=20))


def _scenes(random: np.random.Generator) -> Iterator[Picture]:
    cut = int(random.integers(FRAMES // 3, 2 * FRAMES // 3))
    for length in (cut, FRAMES - cut):
        canvas = _canvas(random)
        start, end = random.uniform(0, _MARGIN, (2, 2))
        for step in np.linspace(0, 1, length):
            y, x = (start + (end - start) * step).astype(int) // 2 * 2
            yield canvas.cut(slice(y, y + HEIGHT), slice(x, x + WIDTH))


def _canvas(random: np.random.Generator) -> Picture:
    height, width = HEIGHT + _MARGIN, WIDTH + _MARGIN
    bright = np.zeros((height, width), np.float32)
    for cell, strength in ((170, 90), (60, 60), (20, 30), (4, 10)):
        bright += _noise(random, height, width, cell, strength)
    rows, columns = np.ogrid[:height, :width]
    for _ in range(25):
        y, x = random.integers(0, height), random.integers(0, width)
        size, wide = random.integers(20, 140, 2)
        if random.integers(2):
            inside = (rows - y) ** 2 + (columns - x) ** 2 < size**2
        else:
            inside = (abs(rows - y) < size) & (abs(columns - x) < wide)
        bright[inside] = np.float32(0.4) * bright[inside] + np.float32(random.normal(0, 90))
    colours = [_noise(random, height // 2, width // 2, 50, 30) for _ in range(2)]
    return Picture(*(np.clip(plane + 128, 16, 235).astype(np.uint8) for plane in (bright, *colours)))


def _noise(random: np.random.Generator, height: int, width: int, cell: int, strength: float) -> npt.NDArray[np.float32]:
    """Random values at the corners of cells, bilinear between them."""
    plane = random.normal(0, strength, (height // cell + 2, width // cell + 2)).astype(np.float32)
    for axis in (0, 1):
        at = np.arange((plane.shape[axis] - 1) * cell) / np.float32(cell)
        low = at.astype(int)
        share = (at - low).astype(np.float32).reshape((-1, 1) if axis == 0 else (1, -1))
        plane = np.take(plane, low, axis) * (1 - share) + np.take(plane, low + 1, axis) * share
    return plane[:height, :width]


def edits() -> dict[str, tuple[Edit, Coding]]:
    """The edits by name: what is done to the pictures, and how they are encoded. Without HEVC where no encoder is."""
    found: dict[str, tuple[Edit, Coding]] = {
        "re-encode 360p": (list, Coding(quality=30, size=(WIDTH * 3 // 4, HEIGHT * 3 // 4))),
        "GOP 30": (list, Coding(keyframe_every=30)),
        "HEVC": (list, Coding("libx265", quality=28)),
        "colour": (_each(_recolour), Coding()),
        "12 fps": (lambda pictures: pictures[::2], Coding(rate=RATE // 2)),
        "trim 1.37 s": (lambda pictures: pictures[round(1.37 * RATE) :], Coding()),
        "corner box": (_each(_box), Coding()),
        "mirror": (_each(lambda picture: Picture(*(plane[:, ::-1] for plane in picture))), Coding()),
        "letterbox": (_each(_letterbox), Coding()),
        "crop 6 %": (_each(_crop), Coding()),
    }
    if "libx265" not in av.codecs_available:
        del found["HEVC"]
    return found


def edited(clip: bytes) -> Iterator[tuple[str, bytes]]:
    """Each edit of a clip, by its name."""
    with av.open(io.BytesIO(clip), "r") as container:
        pictures = [_picture(frame) for frame in container.decode(video=0)]
    for name, (edit, coding) in edits().items():
        yield name, encode(edit(pictures), coding)


def _picture(frame: av.VideoFrame) -> Picture:
    packed = frame.to_ndarray(format="yuv420p").astype(np.uint8)
    height, width = frame.height, frame.width
    colours = packed[height:].reshape(2, height // 2, width // 2)
    return Picture(packed[:height], colours[0], colours[1])


def _frame(picture: Picture) -> av.VideoFrame:
    """The heights of all pictures here are multiples of four, as packing wants it."""
    packed = np.concatenate([plane.reshape(-1, picture.y.shape[1]) for plane in picture])
    return av.VideoFrame.from_ndarray(packed, format="yuv420p")


def encode(pictures: Iterable[Picture], coding: Coding) -> bytes:
    """An MP4 of these pictures."""
    out = io.BytesIO()
    options = {"preset": "ultrafast", "crf": str(coding.quality), "threads": "1"}
    if coding.codec == "libx265":
        options["x265-params"] = "pools=none:frame-threads=1:wpp=0:log-level=none"
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream(coding.codec, rate=coding.rate, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        stream.gop_size = coding.keyframe_every
        for number, picture in enumerate(pictures):
            frame = _frame(picture)
            if coding.size:
                frame = frame.reformat(*coding.size)
            if number == 0:
                stream.width, stream.height = frame.width, frame.height
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return out.getvalue()


def _each(edit: Callable[[Picture], Picture]) -> Edit:
    return lambda pictures: [edit(picture) for picture in pictures]


_CONTRAST = np.clip((np.arange(256) - 128) * 1.2 + 140, 16, 235).astype(np.uint8)
_WARM = np.clip(np.arange(256) + 12, 16, 240).astype(np.uint8)


def _recolour(picture: Picture) -> Picture:
    """Brighter, more contrast, warmer."""
    return Picture(_CONTRAST[picture.y], picture.u, _WARM[picture.v])


def _box(picture: Picture) -> Picture:
    """A striped box over a quarter of the width and of the height."""
    y, u, v = (plane.copy() for plane in picture)
    box = y[-HEIGHT // 4 :, -WIDTH // 4 :]
    box[:] = 220
    box[8:-8:12, 10:-10] = 30
    for plane in (u, v):
        plane[-HEIGHT // 8 :, -WIDTH // 8 :] = _GREY
    return Picture(y, u, v)


def _letterbox(picture: Picture) -> Picture:
    """Black bars of an eighth of the height above and below."""
    bars = HEIGHT // 8
    y = np.pad(picture.y, ((bars, bars), (0, 0)), constant_values=_BLACK)
    u, v = (np.pad(plane, ((bars // 2, bars // 2), (0, 0)), constant_values=_GREY) for plane in picture[1:])
    return Picture(y, u, v)


def _crop(picture: Picture) -> Picture:
    """Without 6 % at each edge."""
    y, x = round(0.06 * HEIGHT) // 4 * 4, round(0.06 * WIDTH) // 4 * 4
    return picture.cut(slice(y, HEIGHT - y), slice(x, WIDTH - x))
