"""What images take without a model, counted by hand where that can be done."""

import lzma
import sys

import numpy as np
import pytest
from PIL import Image

from jaxvae.applications.compression import formats
from jaxvae.applications.compression.formats import sizes

RNG = np.random.default_rng(0)


def by_name(values, num_values):
    return {one.name: one for one in sizes(values, num_values)}


def test_pngs_are_those_that_pillow_writes(tmp_path):
    values = RNG.integers(0, 256, (3, 6, 5, 1), np.uint8)
    total = 0
    for i, x in enumerate(values):
        Image.fromarray(x[..., 0]).save(tmp_path / f"{i}.png", optimize=True)
        total += (tmp_path / f"{i}.png").stat().st_size
    found = by_name(values, 256)
    assert found["PNG"] == ("PNG", total, 3)
    assert 3 * 30 < found["WebP, lossless"].num_bytes < 3 * 120


def test_binary_images_are_one_bit_a_pixel(tmp_path):
    values = RNG.integers(0, 2, (40, 16, 16, 1), np.uint8)
    found = by_name(values, 2)
    noise = 40 * 16 * 16 // 8
    expected = lzma.compress(np.packbits(values.ravel()).tobytes(), format=lzma.FORMAT_ALONE, preset=9)
    assert found["lzma of all together"].num_bytes == pytest.approx(len(expected), abs=2)
    assert noise < len(expected) < 1.1 * noise
    for i, x in enumerate(values):
        Image.fromarray(x[..., 0] > 0).save(tmp_path / f"{i}.png", optimize=True)
    assert found["PNG"].num_bytes == sum(path.stat().st_size for path in tmp_path.iterdir())
    colours = by_name(RNG.integers(0, 2, (2, 6, 5, 3), np.uint8), 2)
    assert set(colours) == set(found)
    assert by_name(values * 255, 256) == found  # as a model of 256 values has them


def test_a_part_stands_for_many(monkeypatch):
    values = np.repeat(RNG.integers(0, 256, (1, 6, 5, 1), np.uint8), 12, axis=0)
    whole = by_name(values, 256)
    monkeypatch.setattr(formats, "MOST_PIXELS", 4 * 30)
    some = by_name(values, 256)
    assert some["PNG"] == ("PNG", whole["PNG"].num_bytes, 4)
    assert some["lzma of all together"] == whole["lzma of all together"]


def test_without_pillow_there_is_lzma_alone(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert set(by_name(RNG.integers(0, 256, (3, 6, 5, 1), np.uint8), 256)) == {"lzma of all together"}
