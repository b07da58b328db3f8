"""PDQ from the luma plane is PDQ: the same bits and quality as the reference's code gives for the same luma."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geldspur.evidence.media.pdq import Rectangle, pdq, without_bars

pdqhash = pytest.importorskip("pdqhash", reason="the reference code, which has no wheel")


def reference(luma):
    """Hash, coefficients in order of bits, quality; grey as RGB has the same luma."""
    rgb = np.ascontiguousarray(np.repeat(luma[:, :, None], 3, 2))
    bits, quality = pdqhash.compute(rgb)
    return np.packbits(bits.astype(np.uint8)).tobytes(), pdqhash.compute_float(rgb)[0], quality


def textured(kind, rng, height, width):
    y, x = np.mgrid[0:height, 0:width]
    if kind == "noise":
        return rng.integers(0, 256, (height, width), dtype=np.uint8)
    if kind == "waves":
        total = sum(
            rng.random() * np.sin(2 * np.pi * (f * y / height + g * x / width) + rng.random() * 6)
            for f, g in rng.integers(1, 20, (12, 2))
        )
    else:
        total = np.cumsum(np.cumsum(rng.normal(size=(height, width)), 0), 1)
    return ((total - total.min()) / np.ptp(total) * 255).astype(np.uint8)


def undecided(coefficients):
    """Bits (as a mask of 256) whose coefficient lies so near the median that the reference's rounding decides."""
    median = np.sort(coefficients)[127]
    return np.abs(coefficients - median) < 1e-4 * np.abs(coefficients).max()


@settings(max_examples=40)
@given(
    kind=st.sampled_from(["noise", "waves", "walk"]),
    seed=st.integers(0, 2**32),
    height=st.integers(64, 1400),
    width=st.integers(64, 1400),
)
def test_textured_pictures_hash_as_the_reference_does(kind, seed, height, width):
    luma = textured(kind, np.random.default_rng(seed), height, width)
    expected, coefficients, quality = reference(luma)
    found = pdq(luma)
    differ = np.unpackbits(np.frombuffer(found.plain, np.uint8) ^ np.frombuffer(expected, np.uint8)).astype(bool)
    assert found.quality == quality
    assert not (differ & ~undecided(coefficients)).any()
    assert differ.sum() <= 2


@pytest.mark.parametrize("size", [(5, 5), (64, 64), (128, 129), (256, 2050), (1080, 1920), (2160, 3840), (4100, 300)])
def test_every_size_of_window_and_border_hashes_as_the_reference_does(size):
    luma = textured("walk", np.random.default_rng(sum(size)), *size)
    found, (expected, _, quality) = pdq(luma), reference(luma)
    assert (found.plain, found.quality) == (expected, quality)


def test_the_mirrored_hash_is_the_reference_s_for_that_turn_and_near_that_of_the_mirrored_picture():
    luma = textured("walk", np.random.default_rng(5), 720, 1280)
    turns, _ = pdqhash.compute_dihedral(np.ascontiguousarray(np.repeat(luma[:, :, None], 3, 2)))
    found = pdq(luma)
    assert found.mirrored == np.packbits(turns[5].astype(np.uint8)).tobytes()
    mirrored = np.frombuffer(pdq(np.ascontiguousarray(luma[:, ::-1])).plain, np.uint8)
    assert np.bitwise_count(mirrored ^ np.frombuffer(found.mirrored, np.uint8)).sum() <= 16


def test_flat_pictures_may_differ_but_are_below_the_quality_that_is_searched():
    luma = np.full((400, 600), 90, np.uint8)
    luma[100:200, 150:400] = 140
    found, (_, coefficients, quality) = pdq(luma), reference(luma)
    assert found.quality == quality < 50
    assert undecided(coefficients).sum() > 16  # why no two programs agree on such a picture


def test_padding_and_surroundings_do_not_count():
    rng = np.random.default_rng(7)
    luma = textured("walk", rng, 300, 500)
    plane = rng.integers(0, 256, (420, 704), dtype=np.uint8)
    plane[60:360, 80:580] = luma
    assert pdq(plane, Rectangle(60, 80, 300, 500)) == pdq(luma)


def test_limited_range_keeps_the_bits_and_the_quality_of_the_full_range():
    luma = textured("walk", np.random.default_rng(8), 480, 640)
    limited = np.rint(luma * (219 / 255) + 16).astype(np.uint8)
    full, scaled = pdq(luma), pdq(limited, limited=True)
    assert np.bitwise_count(np.frombuffer(full.plain, np.uint8) ^ np.frombuffer(scaled.plain, np.uint8)).sum() <= 4
    assert abs(full.quality - scaled.quality) <= 2
    assert pdq(limited).plain == scaled.plain


@pytest.mark.parametrize(
    ("plane", "part"),
    [
        (np.zeros((10, 10), np.uint8), Rectangle(1, 0, 10, 10)),
        (np.zeros((10, 10), np.uint8), Rectangle(0, -1, 5, 5)),
        (np.zeros((10, 10), np.float32), None),
        (np.zeros((10, 20), np.uint8)[:, ::2], None),
    ],
)
def test_a_part_outside_the_plane_is_refused(plane, part):
    with pytest.raises(ValueError, match="plane"):
        pdq(plane, part)
    with pytest.raises(ValueError, match="plane"):
        without_bars(plane, part)


def test_bars_are_found_through_noise_and_only_where_there_are_some():
    rng = np.random.default_rng(9)
    inner = textured("noise", rng, 200, 300) // 2 + 100
    plane = rng.integers(10, 25, (280, 400), dtype=np.uint8)
    plane[40:240, 60:360] = inner
    plane[rng.integers(0, 40, 6), rng.integers(0, 400, 6)] = 255  # single bright samples are noise
    assert without_bars(plane) == Rectangle(40, 60, 200, 300)
    assert pdq(plane, Rectangle(40, 60, 200, 300)).plain == pdq(np.ascontiguousarray(inner)).plain
    assert without_bars(inner) is None
    assert without_bars(np.full((100, 100), 16, np.uint8)) is None
