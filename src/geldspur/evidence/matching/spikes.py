"""Made clips and ten edits of each: copies whose being missed or found measures a method.

The pictures are drawn from a seed: several octaves of noise under boxes and discs, panned over, with a cut. Nothing is
read from disk or written to it. One encoder thread, so that the bytes depend only on the encoder's version.
"""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import av
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]  # [height, width, 3], RGB

WIDTH, HEIGHT, RATE, FRAMES = 640, 480, 24, 72
_MARGIN = 120  # how far a scene can be panned
UNCHANGED = "unchanged"


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
            y, x = (start + (end - start) * step).astype(int)
            yield canvas[y : y + HEIGHT, x : x + WIDTH]


def _canvas(random: np.random.Generator) -> Picture:
    height, width = HEIGHT + _MARGIN, WIDTH + _MARGIN
    canvas = np.zeros((height, width, 3), np.float32)
    for cell, strength in ((170, 90), (60, 60), (20, 30), (4, 10)):
        coarse = random.normal(0, strength, (height // cell + 2, width // cell + 2, 3)).astype(np.float32)
        canvas += _spread(coarse, cell)[:height, :width]
    rows, columns = np.mgrid[:height, :width]
    for _ in range(25):
        y, x = random.integers(0, height), random.integers(0, width)
        size, wide = random.integers(20, 140, 2)
        if random.integers(2):
            inside = (rows - y) ** 2 + (columns - x) ** 2 < size**2
        else:
            inside = (abs(rows - y) < size) & (abs(columns - x) < wide)
        canvas[inside] = 0.4 * canvas[inside] + random.normal(0, 90, 3).astype(np.float32)
    return np.clip(canvas + 128, 0, 255).astype(np.uint8)


def _spread(coarse: npt.NDArray[np.float32], cell: int) -> npt.NDArray[np.float32]:
    """Bilinear enlargement."""
    for axis in (0, 1):
        at = np.arange((coarse.shape[axis] - 1) * cell) / np.float32(cell)
        low = at.astype(int)
        share = (at - low).astype(np.float32).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        coarse = np.take(coarse, low, axis) * (1 - share) + np.take(coarse, low + 1, axis) * share
    return coarse


def edits() -> dict[str, tuple[Callable[[list[Picture]], list[Picture]], Coding]]:
    """The edits by name: what is done to the pictures, and how they are encoded. Without HEVC where no encoder is."""
    found: dict[str, tuple[Callable[[list[Picture]], list[Picture]], Coding]] = {
        "re-encode 360p": (_same, Coding(quality=30, size=(WIDTH * 3 // 4, HEIGHT * 3 // 4))),
        "GOP 30": (_same, Coding(keyframe_every=30)),
        "HEVC": (_same, Coding("libx265", quality=28)),
        "colour": (_each(_recolour), Coding()),
        "12 fps": (lambda pictures: pictures[::2], Coding(rate=RATE // 2)),
        "trim 1.37 s": (lambda pictures: pictures[round(1.37 * RATE) :], Coding()),
        "corner box": (_each(_box), Coding()),
        "mirror": (_each(lambda picture: picture[:, ::-1]), Coding()),
        "letterbox": (_each(lambda picture: np.pad(picture, ((60, 60), (0, 0), (0, 0)))), Coding()),
        "crop 6 %": (_each(_crop), Coding()),
    }
    if "libx265" not in av.codecs_available:
        del found["HEVC"]
    return found


def edited(clip: bytes) -> Iterator[tuple[str, bytes]]:
    """Each edit of a clip, by its name."""
    with av.open(io.BytesIO(clip), "r") as container:
        pictures = [frame.to_ndarray(format="rgb24").astype(np.uint8) for frame in container.decode(video=0)]
    for name, (edit, coding) in edits().items():
        yield name, encode(edit(pictures), coding)


def encode(pictures: "Iterator[Picture] | list[Picture]", coding: Coding) -> bytes:
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
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            width, height = coding.size or (frame.width, frame.height)
            frame = frame.reformat(width, height, "yuv420p")
            if number == 0:
                stream.width, stream.height = width, height
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return out.getvalue()


def _same(pictures: list[Picture]) -> list[Picture]:
    return pictures


def _each(edit: Callable[[Picture], Picture]) -> Callable[[list[Picture]], list[Picture]]:
    return lambda pictures: [edit(picture) for picture in pictures]


def _recolour(picture: Picture) -> Picture:
    """Brighter, more contrast, warmer."""
    table = (np.arange(256) - 128) * np.float32(1.2)
    table = np.clip(table[:, None] + np.array([150, 138, 122]), 0, 255).astype(np.uint8)
    return np.stack([table[picture[..., colour], colour] for colour in range(3)], axis=-1)


def _box(picture: Picture) -> Picture:
    """A striped box over a quarter of the width and of the height."""
    boxed = picture.copy()
    box = boxed[-HEIGHT // 4 :, -WIDTH // 4 :]
    box[:] = 240
    box[8:-8:12, 10:-10] = 20
    return boxed


def _crop(picture: Picture) -> Picture:
    """Without 6 % at each edge."""
    y, x = round(0.06 * HEIGHT) // 2 * 2, round(0.06 * WIDTH) // 2 * 2
    return picture[y:-y, x:-x]
