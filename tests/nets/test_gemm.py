import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.nets.gemm import Grid, collect, cut, merge, spread

GRIDS = {
    "4x4 of stride 2": Grid(image=(6, 8), num=(3, 4), strides=(2, 2), blocks=(2, 2), low=(1, 1)),
    "3x5 of stride 1": Grid(image=(4, 6), num=(4, 6), strides=(1, 1), blocks=(3, 5), low=(1, 2)),
    "5x3 of stride 2": Grid(image=(7, 5), num=(4, 3), strides=(2, 2), blocks=(3, 2), low=(2, 1)),
}


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize(("function", "transpose"), [(cut, merge), (spread, collect)])
def test_pairs_are_transposes(function, transpose, name, random_like):
    """<f(x), p> = <x, f^T(p)>, so each is the gradient of the other."""
    grid = GRIDS[name]
    x = random_like(jnp.zeros((2, *(grid.image if function is cut else grid.num), 3)))
    p = random_like(jax.eval_shape(lambda x: function(x, grid), x))
    y, back = jax.jit(lambda x, p: (function(x, grid), transpose(p, grid)))(x, p)
    assert back.shape == x.shape
    assert np.vdot(y, p) == pytest.approx(np.vdot(x, back), rel=1e-4)


def test_cut_equals_loop(random_like):
    """Row r of windows w holds the rows of stride r and the columns of window w; rows of zeros are left out."""
    grid = GRIDS["5x3 of stride 2"]
    x = random_like(jnp.zeros((1, *grid.image, 3)))
    padded = np.zeros((2 * (4 + 2), 2 * (3 + 1), 3))
    padded[2:9, 1:6] = x[0]
    windows = np.asarray(jax.jit(lambda x: cut(x, grid))(x)).reshape(4, 3, 2, 4, 3)
    assert grid.blank == (1, 1)
    assert not np.any(padded[[0, 1, -2, -1]])
    for row in range(1, 5):
        for column in range(3):
            want = padded[2 * row : 2 * row + 2, 2 * column : 2 * column + 4]
            np.testing.assert_array_equal(windows[row - 1, column], want)


def test_collect_equals_loop(random_like):
    grid = GRIDS["5x3 of stride 2"]
    p = random_like(jnp.zeros((1, 4, 3, 3 * 2)))
    rows = jnp.pad(p[0], ((1, 1), (0, 0), (0, 0)))  # the products of the rows outside the image
    want = [sum(rows[row + i, :, 2 * i : 2 * i + 2] for i in range(3)) for row in range(4)]
    np.testing.assert_allclose(jax.jit(lambda p: collect(p, grid))(p)[0], want, rtol=1e-5, atol=1e-6)
