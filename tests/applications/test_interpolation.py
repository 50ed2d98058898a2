"""Paths between codes, decoded: against the decoder's own closed form."""

import jax
import numpy as np
import pytest

from jaxvae import UserError
from jaxvae.applications import encoding
from jaxvae.applications.interpolation import interpolate
from jaxvae.capabilities import Decodes
from tests.linear import SHAPE, B, W, linear_system

START, END = np.array([0.6, 0.0], np.float32), np.array([0.0, 0.8], np.float32)
MIDDLES = {
    "linear": [0.3, 0.4],
    "slerp": np.sqrt(0.5) * np.array([0.6, 0.8]),
    "norm": 0.7 * np.array([0.6, 0.8]),
    "geodesic": [0.3, 0.4],  # of a linear decoder
}


@pytest.mark.parametrize("path", MIDDLES)
def test_points_of_a_path_are_decoded(path):
    system, params = linear_system()
    images = interpolate(system, params, {}, jax.random.key(0), START, END, 5, path)
    assert images.shape == (5, *SHAPE)
    for image, z in ((images[0], START), (images[2], MIDDLES[path]), (images[-1], END)):
        np.testing.assert_allclose(image.ravel(), W @ z + B, rtol=1e-4)


def test_any_number_of_points_is_one_of_few_programs():
    system, params = linear_system()
    interpolate(system, params, {}, jax.random.key(0), START, END, 5)
    before = encoding._decode._cache_size()
    for num in (9, 16):
        assert len(interpolate(system, params, {}, jax.random.key(0), START, END, num)) == num
    assert encoding._decode._cache_size() == before


@pytest.mark.parametrize(("change", "message"), [
    ({"num": 1}, "num is 1, expected a whole number of at least 2"),
    ({"path": "arc"}, "path is 'arc', expected one of slerp, linear, norm, geodesic"),
    ({"end": END[:1]}, r"The codes are of shape \[1, 1\], those of linear of \[N, 2\]"),
])  # fmt: skip
def test_what_makes_no_sense_is_refused(change, message):
    system, params = linear_system()
    with pytest.raises(UserError, match=message):
        interpolate(system, params, {}, jax.random.key(0), **{"start": START, "end": END} | change)


def test_all_points_are_drawn_with_the_same_noise():
    """By a decoder that adds noise, as one whose pixels depend on each other."""
    system, params = linear_system()

    def noisy(params, model_state, keys, z):
        return jax.vmap(lambda key: jax.random.uniform(key, SHAPE))(keys)

    use = tuple(Decodes(noisy) if isinstance(one, Decodes) else one for one in system.use)
    images = interpolate(system._replace(use=use), params, {}, jax.random.key(0), START, END, 5)
    np.testing.assert_array_equal(images, np.tile(images[:1], (5, 1, 1, 1)))
    with pytest.raises(UserError, match="draws the pixels of an image one given others, so that there is no geodesic"):
        interpolate(system._replace(use=use), params, {}, jax.random.key(0), START, END, 5, "geodesic")
    different = encoding.decode(system._replace(use=use), params, {}, np.stack([START, END]), jax.random.key(0))
    assert (different[0] != different[1]).all()
