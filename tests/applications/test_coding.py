"""Images as grids of codes: as evaluation sees them, counted, and on disk."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxvae.applications.coding import count_codes, encode_as_codes, read_codes, write_codes
from jaxvae.capabilities import Codes, require
from jaxvae.data import split_grids
from jaxvae.errors import UserError
from jaxvae.keys import split_each
from jaxvae.likelihoods import bernoulli
from jaxvae.quantizers import VectorQuantizer
from jaxvae.systems.pixels import binary_pixels
from jaxvae.systems.vqvae_networks import convolutional_vqvae
from jaxvae.systems.vqvae_parts import vqvae_system
from jaxvae.training import evaluation_keys
from tests.squares import SPEC, batch_of_squares, squares

QUANTIZER = VectorQuantizer(8, 3, kmeans_iterations=0)
SYSTEM = vqvae_system(
    name="vqvae",
    spec=SPEC,
    model=convolutional_vqvae(SPEC, QUANTIZER, bernoulli(), code_dim=3, channels=(4, 4), levels=2),
    prepare=binary_pixels(SPEC),
    optimizer=optax.adam(1e-3),
)


@pytest.fixture(scope="module")
def variables():
    return jax.jit(SYSTEM.trainable.init)(jax.random.key(0), batch_of_squares())


@pytest.fixture(scope="module")
def expected(variables):
    """Test images as evaluation binarises them, their codes, and what these decode to."""
    noise, _ = split_each(evaluation_keys(0, 10))
    x, codes = SYSTEM.prepare(noise, jnp.asarray(squares().test.x)), require(SYSTEM, Codes)
    grids = jax.jit(codes.encode)(*variables, x)
    return x, grids, jax.jit(codes.decode)(*variables, grids)


def test_images_are_coded_as_evaluation_sees_them(variables, expected):
    coded = encode_as_codes(SYSTEM, *variables, squares().test)
    np.testing.assert_array_equal(coded.x, expected[0])
    for grid, wanted in zip(coded.codes, expected[1], strict=True):
        np.testing.assert_array_equal(grid, wanted)
    np.testing.assert_allclose(coded.reconstructions, expected[2], rtol=1e-5, atol=1e-6)


def test_codes_on_disk_are_read_again_and_belong_to_one_model(variables, expected, tmp_path):
    splits = squares()
    write = lambda mark: write_codes(SYSTEM, *variables, splits, tmp_path, fingerprint=mark, show_progress=False)  # noqa: E731
    write("abc")
    codes = read_codes(tmp_path)
    assert [len(part.x) for part in codes] == [40, 10, 10]
    np.testing.assert_array_equal(codes.train.labels, splits.train.labels)
    for grid, wanted in zip(split_grids(codes.test.x, ((2, 2), (3, 3))), expected[1], strict=True):
        np.testing.assert_array_equal(grid, wanted)
    write("abc")  # all is there
    with pytest.raises(UserError, match="has codes of the codec abc, now it is xyz"):
        write("xyz")


def test_codes_are_counted_for_each_codebook():
    grid = np.array([[[0, 2], [2, 2]], [[1, 0], [0, 2]]])
    np.testing.assert_array_equal(count_codes(grid, 4), [3, 1, 4, 0])
    both = np.stack([grid, 3 - grid], axis=-1)
    np.testing.assert_array_equal(count_codes(both, 4), [[3, 1, 4, 0], [0, 4, 1, 3]])
