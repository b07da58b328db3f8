"""Synthetic clips and pictures for tests of fingerprints: noise that moves, encoded by PyAV in memory."""

import io
from typing import Any

import av
import numpy as np
from av import VideoFrame

RATE = 25


def picture(seed: int, width: int = 320, height: int = 240, step: int = 0) -> np.ndarray:
    """A grey picture uint8[height, width] of smooth blocks; `step` moves the view."""
    rng = np.random.default_rng(seed)
    grid = rng.integers(0, 256, (height // 16 + 1, width // 16 + 1)).astype(np.uint8)
    large = np.kron(grid, np.ones((16, 16), np.uint8))
    return np.ascontiguousarray(np.roll(large, step, axis=1)[:height, :width])


def encode(frames: list[np.ndarray], container: str, codec: str, pixels: str = "yuv420p", **options: Any) -> bytes:
    """Grey frames as a file."""
    out = io.BytesIO()
    with av.open(out, "w", format=container) as target:
        stream = target.add_stream(codec, rate=RATE)
        stream.height, stream.width = frames[0].shape
        stream.pix_fmt = pixels
        stream.options = {name.replace("_", "-"): str(value) for name, value in options.items()}
        for number, grey in enumerate(frames):
            frame = VideoFrame.from_ndarray(np.repeat(grey[:, :, None], 3, 2), format="rgb24").reformat(format=pixels)
            frame.pts = number
            target.mux(stream.encode(frame))
        target.mux(stream.encode())
    return out.getvalue()


def scenes(count: int, length: int = RATE, **size: int) -> list[np.ndarray]:
    """Frames of so many different scenes."""
    return [picture(100 + scene, step=step, **size) for scene in range(count) for step in range(length)]


def apart(one: bytes, other: bytes) -> int:
    """Bits in which two fingerprints differ."""
    return (int.from_bytes(one) ^ int.from_bytes(other)).bit_count()
