import numpy as np
import pytest

from jaxvae.data.resize import rare_value, resize, resize_parts
from jaxvae.types import Dataset, DataSpec, Splits


def _area_mean(image, size):
    """Each new pixel by its own sum over the old ones, weighed by overlap."""
    side = len(image)
    scale = side / size
    y = np.zeros((size, size, image.shape[2]))
    for i in range(size):
        for j in range(size):
            for p in range(side):
                for q in range(side):
                    high = min((i + 1) * scale, p + 1) - max(i * scale, p)
                    wide = min((j + 1) * scale, q + 1) - max(j * scale, q)
                    y[i, j] += max(high, 0) * max(wide, 0) / scale**2 * image[p, q]
    return y


@pytest.mark.parametrize(("side", "size"), [(8, 4), (7, 3), (5, 4), (3, 7), (6, 6)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_resize_is_the_mean_over_areas(rng, side, size, dtype):
    image = rng.random((side, side, 3)).astype(np.float32)
    image = (image * 255).astype(np.uint8) if dtype == np.uint8 else image
    y = resize(image, size)
    assert y.dtype == dtype
    expected = _area_mean(image, size)
    np.testing.assert_allclose(y, expected, atol=0.51 if dtype == np.uint8 else 1e-5)


@pytest.mark.parametrize(
    ("shape", "rows", "columns"), [((4, 8), slice(2, 6), slice(None)), ((8, 5), slice(None), slice(1, 6))]
)
def test_resize_pads_with_the_colour_of_the_border(rng, shape, rows, columns):
    image = np.full((*shape, 3), (200, 100, 50), np.uint8)
    image[1:-1, 1:-1] = rng.integers(0, 256, (shape[0] - 2, shape[1] - 2, 3))
    image[0, 0], image[-1, -1] = 0, 255  # a mark at the border is not its colour
    y = resize(image, 8)
    np.testing.assert_array_equal(y[rows, columns], image)
    around = np.ones((8, 8), bool)
    around[rows, columns] = False
    assert around.any()
    assert (y[around] == (200, 100, 50)).all()


def _stroke(kind):
    mask = np.zeros((512, 512, 1), np.uint8)
    t = np.arange(512)
    if kind == "row":
        mask[201] = 1
    elif kind == "column":
        mask[:, 18] = 1
    elif kind == "diagonal":
        mask[t, t] = 1
    else:
        mask[100 + t // 7, t] = 1
    return mask


def _any_ink(mask, size):
    y = np.zeros((size, size), np.uint8)
    for i, j in np.argwhere(mask):
        y[i * size // len(mask), j * size // len(mask)] = 1
    return y


def _connected(mask):
    """Whether the ink is one piece, neighbours at corners included."""
    left = {tuple(at) for at in np.argwhere(mask[..., 0])}
    edge = [left.pop()]
    while edge:
        i, j = edge.pop()
        near = {(i + di, j + dj) for di in (-1, 0, 1) for dj in (-1, 0, 1)} & left
        left -= near
        edge.extend(near)
    return not left


@pytest.mark.parametrize("kind", ["row", "column", "diagonal", "shallow"])
@pytest.mark.parametrize("ink", [1, 0])
def test_resize_keeps_strokes_of_one_pixel(kind, ink):
    mask = _stroke(kind)
    y = resize(mask if ink else 1 - mask, 28, ink)
    assert y.dtype == np.uint8
    assert set(np.unique(y)) == {0, 1}
    y = y if ink else 1 - y
    assert _connected(y)
    np.testing.assert_array_equal(y[..., 0], _any_ink(mask[..., 0], 28))
    if kind in ("row", "column"):
        assert y.sum() == 28  # and no wider than one pixel
    assert y.mean() < 0.15


def test_resize_keeps_a_single_dot():
    for at in [(0, 0), (511, 511), (18, 19), (300, 41)]:
        mask = np.zeros((512, 512, 1), np.uint8)
        mask[at] = 1
        y = resize(mask, 28, 1)
        assert y.sum() == 1
        assert y[at[0] * 28 // 512, at[1] * 28 // 512] == 1


@pytest.mark.parametrize("ink", [0, 1])
def test_resize_enlarges_masks_by_repetition(rng, ink):
    mask = rng.integers(0, 2, (5, 5, 1)).astype(np.uint8)
    np.testing.assert_array_equal(resize(mask, 15, ink), mask.repeat(3, 0).repeat(3, 1))


def test_rare_value_counts_over_all_images():
    assert rare_value([np.zeros((3, 3)), np.eye(3)]) == 1
    assert rare_value([np.ones((3, 3)), np.eye(3)]) == 0


def test_resize_parts_keeps_binary_data_binary(rng):
    x = (rng.random((6, 9, 7, 1)) < 0.1).astype(np.uint8)
    splits = Splits(*(Dataset(part, np.arange(len(part)), [str(len(part))]) for part in (x, x[:2], x[:1])))
    small, spec = resize_parts(splits, DataSpec((9, 7, 1), 2, 6), 4)
    assert spec[:3] == ((4, 4, 1), 2, 6)
    assert [part.x.shape for part in small] == [(6, 4, 4, 1), (2, 4, 4, 1), (1, 4, 4, 1)]
    np.testing.assert_array_equal(small.train.x.any(axis=(1, 2, 3)), x.any(axis=(1, 2, 3)))
    assert small.train.x.max() == 1
    assert [part.names for part in small] == [["6"], ["2"], ["1"]]
    grey, _ = resize_parts(splits, DataSpec((9, 7, 1), 256, 6), 4)
    assert grey.train.x.sum() < small.train.x.sum()


@pytest.mark.parametrize("ink", [None, 1])
def test_resize_to_other_proportions_pads_and_cuts_nothing(ink):
    image = np.ones((8, 4, 1), np.uint8)
    image[0, 0] = image[-1, -1] = 0
    y = resize(image, (8, 8), ink)
    np.testing.assert_array_equal(y[:, 2:6], image)
    np.testing.assert_array_equal(y[:, [0, 1, 6, 7]], 1)
    wide = resize(image, (4, 6), ink)  # of 8x12 pixels
    assert wide.shape == (4, 6, 1)
    np.testing.assert_array_equal(wide, resize(np.pad(image, ((0, 0), (4, 4), (0, 0)), constant_values=1), (4, 6), ink))


def test_resize_to_height_and_width_is_the_mean_over_areas(rng):
    image = rng.random((9, 6, 2)).astype(np.float32)
    expected = image.reshape(3, 3, 2, 3, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(resize(image, (3, 2)), expected, atol=1e-6)
