"""The luma plane of a decoded frame, without converting what the decoder already has."""

from typing import NamedTuple

from av import VideoFrame

from geldspur.evidence.media.pdq import Rectangle

_EIGHT_BIT_LUMA = frozenset(
    [f"yuv{layout}p" for layout in ("410", "411", "420", "422", "440", "444")]
    + [f"yuvj{layout}p" for layout in ("411", "420", "422", "440", "444")]
    + [f"yuva{layout}p" for layout in ("420", "422", "444")]
    + ["nv12", "nv16", "nv21", "nv24", "nv42", "gray"]
)
_FULL_RANGE = 2  # AVCOL_RANGE_JPEG
_UNSPECIFIED = 0


class Luma(NamedTuple):
    """A plane as `pdq.pdq` takes it."""

    plane: memoryview  # uint8[lines, stride]
    part: Rectangle
    limited: bool


def luma_of(frame: VideoFrame) -> Luma:
    """The luma plane of a frame; formats without one of eight bits (RGB, palettes, ten bits) are converted to one."""
    name = frame.format.name
    if name not in _EIGHT_BIT_LUMA or frame.planes[0].line_size < frame.width:
        frame = frame.reformat(format="gray", threads=1)  # which is full range whatever it comes from
        return Luma(*_rows(frame), limited=False)
    known = frame.color_range
    full = known == _FULL_RANGE or name.startswith("yuvj") or (known == _UNSPECIFIED and name == "gray")
    return Luma(*_rows(frame), limited=not full)


def _rows(frame: VideoFrame) -> tuple[memoryview, Rectangle]:
    plane = frame.planes[0]
    shape = frame.height, plane.line_size
    samples = memoryview(plane).cast("B")[: shape[0] * shape[1]].cast("B", shape)
    return samples, Rectangle(0, 0, frame.height, frame.width)
