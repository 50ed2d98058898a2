import io

import numpy as np
import pytest
from PIL import Image

from jaxvae.explorer.pictures import png, sheet
from jaxvae.explorer.points import FEWEST, as_many, principal_axes


def read(file):
    return np.asarray(Image.open(io.BytesIO(file)))


@pytest.mark.parametrize("width", [5, 8, 19])
def test_png_of_zeros_and_ones_has_one_bit_a_pixel(width):
    x = (np.random.default_rng(0).random((7, width, 1)) < 0.4).astype(np.float32)
    file = png(x)
    assert Image.open(io.BytesIO(file)).mode == "1"
    np.testing.assert_array_equal(read(file), x[..., 0] == 1)


@pytest.mark.parametrize("channels", [1, 3])
def test_png_is_exact(channels):
    smooth = np.linspace(0, 255, 9 * 11).reshape(9, 11, 1) + 13 * np.arange(channels)
    for x in (np.random.default_rng(1).integers(0, 256, (9, 11, channels)), smooth.astype(int) % 256):
        np.testing.assert_array_equal(read(png(x.astype(np.float32) / 255)).reshape(x.shape), x)


def test_sheet_has_the_images_row_by_row():
    x = np.random.default_rng(0).integers(0, 256, (5, 3, 4, 1)) / 255
    file, columns = sheet(x)
    assert columns == 3
    picture = np.round(x * 255)
    found = read(file)
    assert found.shape == (6, 12)
    for i in range(5):
        row, column = divmod(i, columns)
        np.testing.assert_array_equal(found[3 * row : 3 * row + 3, 4 * column : 4 * column + 4], picture[i, ..., 0])


def test_as_many_pictures_as_there_is_room_for():
    x = np.random.default_rng(0).random((40, 8, 8, 1))
    file, _, shown = as_many(x, 2000)
    assert len(file) <= 2000
    assert 20 < shown < 40
    assert as_many(x, 10)[2] == FEWEST
    assert as_many(x[:5], 10)[2] == 5
    assert as_many(x, 10**6)[2] == 40


def test_principal_axes_are_those_of_the_covariance():
    codes = np.random.default_rng(0).standard_normal((200, 4)) @ np.diag([1.0, 3.0, 0.1, 2.0]) + 5.0
    mean, axes = principal_axes(codes)
    np.testing.assert_allclose(mean, codes.mean(axis=0))
    values, vectors = np.linalg.eigh(np.cov(codes.T))
    expected = vectors[:, np.argsort(values)[::-1][:2]].T
    np.testing.assert_allclose(np.abs((axes * expected).sum(axis=1)), 1, atol=1e-6)
    assert (np.take_along_axis(axes, np.abs(axes).argmax(1)[:, None], 1) > 0).all()


def test_principal_axes_of_one_latent_or_one_image():
    assert principal_axes(np.arange(3.0)[:, None])[1].shape == (1, 1)
    assert np.isfinite(principal_axes(np.ones((1, 3)))[1]).all()
