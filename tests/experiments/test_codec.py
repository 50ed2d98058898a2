"""Models through codes as experiments: the same codebook under every layout, what they are judged by."""

import chex
import jax
import numpy as np
import optax
import pytest

from experiments.common.codec import codec_experiment
from experiments.common.judge_codec import count_codes
from experiments.common.vae import binary_pixels
from jaxvae.likelihoods import bernoulli
from jaxvae.models import VQVAE
from jaxvae.nets import ImageDecoder, MapDecoder, MapEncoder
from jaxvae.quantizers import VectorQuantizer
from jaxvae.types import Dataset, DataSpec, Splits
from tests.training.test_parallel import trained

SPEC = DataSpec(shape=(6, 6, 1), num_values=256, num_classes=0)


@pytest.fixture
def experiment():
    decoder = ImageDecoder(MapDecoder(SPEC.shape, (4,)), bernoulli().param_shapes(SPEC.shape), latent_axes=3)
    # With so few vectors a batch many codes are moved at every step.
    quantizer = VectorQuantizer(64, 3, restart_below=0.9, decay=0.7)
    model = VQVAE(MapEncoder(3, (4,)), quantizer, decoder, bernoulli())
    return codec_experiment(
        name="tiny", spec=SPEC, model=model, prepare=binary_pixels(SPEC), optimizer=optax.sgd(0.5 / 36)
    )


@pytest.fixture
def splits():
    x = np.random.default_rng(0).integers(0, 256, (70, *SPEC.shape)).astype(np.uint8)
    return Splits(*[Dataset(x, None)] * 3)


@pytest.fixture
def expected(experiment, splits):
    params, metrics, state = trained(experiment, splits, "scan", 1)
    return params[0], jax.device_get(state.model_state), metrics


@pytest.mark.parametrize(("kind", "num_devices"), [("sharded", 8), ("pmap", 2), ("pmap", 8)])
def test_codebooks_are_those_of_one_device_and_the_same_on_all(kind, num_devices, experiment, splits, expected):
    params, metrics, state = trained(experiment, splits, kind, num_devices)
    chex.assert_trees_all_close(params[0], expected[0], rtol=1e-4, atol=1e-5)
    chex.assert_trees_all_close(jax.device_get(state.model_state), expected[1], rtol=1e-4, atol=1e-5)
    chex.assert_trees_all_close(metrics, expected[2], rtol=1e-4, atol=1e-5)
    for path, leaf in jax.tree_util.tree_leaves_with_path(state.model_state):
        copies = [np.asarray(shard.data) for shard in leaf.addressable_shards]
        assert len(copies) == num_devices
        for copy in copies:
            np.testing.assert_array_equal(copy, copies[0], err_msg=jax.tree_util.keystr(path))


def test_codes_are_counted_for_each_codebook():
    grid = np.array([[[0, 2], [2, 2]], [[1, 0], [0, 2]]])
    np.testing.assert_array_equal(count_codes(grid, 4), [3, 1, 4, 0])
    both = np.stack([grid, 3 - grid], axis=-1)
    np.testing.assert_array_equal(count_codes(both, 4), [[3, 1, 4, 0], [0, 4, 1, 3]])
