"""Synthetic clips, and edits of them, for measuring fingerprints: textured, moving, with changes of scene.

Nothing here comes from a camera: scenes are fractal noise under a moving and zooming window, with shapes that cross it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import av.filter
import numpy as np
from av import VideoFrame

RATE = 25
GRAIN = 5.0  # greys, of each frame's own noise: it makes a clip cost what a camera's does to store and decode


@dataclass(frozen=True)
class Edit:
    """What is done to a copy: filters of libavfilter, and how the result is encoded."""

    name: str
    filters: tuple[tuple[str, str], ...] = ()
    codec: str = "libx264"
    options: dict[str, str] = field(default_factory=dict)
    rate: int = RATE
    skip_frames: int = 0
    plain: bool = False  # the same picture, encoded otherwise


EDITS = [
    Edit("re-encode 360p", (("scale", "640:360"),), options={"crf": "30"}, plain=True),
    Edit("GOP 30", options={"g": "30"}, plain=True),
    Edit("HEVC", codec="libx265", options={"x265-params": "log-level=none", "crf": "30"}, plain=True),
    Edit("colour", (("lutyuv", "y=val*0.85+12:u=val*0.8+26"),), plain=True),
    Edit("12 fps", (("fps", "12"),), rate=12, plain=True),
    Edit("trim 1.37 s", skip_frames=34),
    Edit("corner box", (("drawbox", "x=iw*0.7:y=ih*0.7:w=iw*0.3:h=ih*0.3:color=white:t=fill"),)),
    Edit("mirror", (("hflip", ""),)),
    Edit("letterbox", (("scale", "1280:540"), ("pad", "1280:720:0:90"))),
    Edit("crop 6%", (("crop", "iw*0.94:ih*0.94:iw*0.03:ih*0.03"), ("scale", "1280:720"))),
]


def frames_of(seed: int, seconds: float, width: int = 1280, height: int = 720) -> Iterator[np.ndarray]:
    """Grey frames uint8[height, width] of one clip; scenes of two to seven seconds."""
    rng = np.random.default_rng(seed)
    left = int(seconds * RATE)
    while left > 0:
        length = min(left, int(rng.integers(2 * RATE, 7 * RATE)))
        yield from _scene(rng, length, width, height)
        left -= length


def _scene(rng: np.random.Generator, length: int, width: int, height: int) -> Iterator[np.ndarray]:
    texture = _fractal(rng, height * 2, width * 2)
    grain = np.rint(rng.normal(scale=GRAIN, size=(height + 64, width + 64))).astype(np.int16)
    at, speed = rng.uniform(0, [height, width]) / 2, rng.uniform(-2.5, 2.5, 2)
    shapes = [
        (rng.uniform(0, [height, width]), rng.uniform(-6, 6, 2), rng.integers(40, 220, 2), int(rng.integers(0, 256)))
        for _ in range(int(rng.integers(2, 7)))
    ]
    for step in range(length):
        y, x = np.clip(at + speed * step, 0, [height - 1, width - 1]).astype(int)
        frame = texture[y : y + height, x : x + width].copy()
        for start, motion, size, grey in shapes:
            top, left = (start + motion * step).astype(int)
            frame[max(0, top) : max(0, top + size[0]), max(0, left) : max(0, left + size[1])] = grey
        y, x = rng.integers(0, 64, 2)
        yield np.clip(frame + grain[y : y + height, x : x + width], 0, 255).astype(np.uint8)


def _fractal(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Sum of noise at doubling scales, each smoothed by interpolation, over the full range of greys."""
    total = np.zeros((height, width), np.float32)
    for octave in range(2, 9):
        cells, weight = 2**octave, 0.62**octave
        coarse = rng.normal(size=(cells + 1, cells + 1)).astype(np.float32)
        y, x = np.linspace(0, cells - 1e-3, height), np.linspace(0, cells - 1e-3, width)
        row, column = y.astype(int), x.astype(int)
        fy, fx = (y - row).astype(np.float32)[:, None], (x - column).astype(np.float32)[None]
        top = coarse[row][:, column] * (1 - fx) + coarse[row][:, column + 1] * fx
        bottom = coarse[row + 1][:, column] * (1 - fx) + coarse[row + 1][:, column + 1] * fx
        total += weight * (top * (1 - fy) + bottom * fy)
    low, high = np.percentile(total, [1, 99])
    return (np.clip((total - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def write_clip(path: Path, seed: int, seconds: float, keyframe_every: int) -> None:
    """One clip as H.264 in MP4."""
    frames = (
        VideoFrame.from_ndarray(frame, format="gray").reformat(format="yuv420p") for frame in frames_of(seed, seconds)
    )
    _encode(path, frames, "libx264", RATE, {"g": str(keyframe_every), "crf": "23", "preset": "superfast"})


def write_edit(source: Path, path: Path, edit: Edit, seconds: float) -> None:
    """An edited copy of a clip's first seconds."""
    options = {"preset": "ultrafast", "crf": "26", **edit.options}
    _encode(path, _filtered(source, edit, seconds), edit.codec, edit.rate, options)


def _filtered(source: Path, edit: Edit, seconds: float) -> Iterator[VideoFrame]:
    with av.open(str(source)) as container:
        video = container.streams.video[0]
        graph = av.filter.Graph()
        graph.link_nodes(
            graph.add_buffer(template=video, time_base=video.time_base),
            *[graph.add(name, arguments) for name, arguments in edit.filters],
            graph.add("buffersink"),
        ).configure()
        for number, frame in enumerate(container.decode(video)):
            if number >= seconds * RATE:
                break
            if number >= edit.skip_frames:
                graph.push(frame)
                yield from _pull(graph)
        graph.push(None)
        yield from _pull(graph)


def _pull(graph: av.filter.Graph) -> Iterator[VideoFrame]:
    while True:
        try:
            yield graph.pull()
        except (av.BlockingIOError, av.EOFError):
            return


def _encode(path: Path, frames: Iterator[VideoFrame], codec: str, rate: int, options: dict[str, str]) -> None:
    part = path.with_name(f"part-{path.name}")  # a run that is killed must not leave half a clip for the next
    with av.open(str(part), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.pix_fmt, stream.options = "yuv420p", options
        for number, frame in enumerate(frames):
            if number == 0:
                stream.width, stream.height = frame.width, frame.height
            frame.pts, frame.time_base, frame.pict_type = number, Fraction(1, rate), 0
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    part.rename(path)
