"""VQ-VAEs as systems: their losses, what they can do, the same codebook under every layout."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxvae.capabilities import Codes, require
from jaxvae.keys import split_each
from jaxvae.likelihoods import bernoulli, gaussian
from jaxvae.models import VQVAE
from jaxvae.nets import ImageDecoder, MapDecoder, MapEncoder
from jaxvae.quantizers import GumbelQuantizer, VectorQuantizer
from jaxvae.systems.pixels import binary_pixels, unit_pixels
from jaxvae.systems.vqvae_networks import convolutional_vqvae
from jaxvae.systems.vqvae_parts import vqvae_system
from jaxvae.training import create_train_state
from jaxvae.training.step import step_keys
from jaxvae.types import Dataset, DataSpec, Splits, StepInput, StepKeys
from tests import squares
from tests.squares import batch_of_squares
from tests.training.test_parallel import trained

SPEC = DataSpec(shape=(6, 6, 1), num_values=256, num_classes=0)


def system_of_squares(quantizer=None, levels=1, likelihood=None, **options):
    quantizer = quantizer or VectorQuantizer(7, 3, kmeans_iterations=0)
    likelihood = likelihood or gaussian(0.5)
    model = convolutional_vqvae(squares.SPEC, quantizer, likelihood, code_dim=3, channels=(4,), levels=levels)
    return vqvae_system(
        name="vqvae",
        spec=squares.SPEC,
        model=model,
        prepare=unit_pixels(squares.SPEC),
        optimizer=optax.adam(1e-2),
        **options,
    )


def first_step(system, batch):
    """A state whose decoder has learnt something, and the inputs of a step."""
    state, generator = create_train_state(system, jax.random.key(0), batch), np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: leaf + 0.3 * generator.standard_normal(leaf.shape, np.float32), state.params)
    state = state._replace(params=params)
    return state, StepInput(batch, step_keys(state, len(batch.mask)), state.step + 3, {})


def terms_of(system, state, inputs, **options):
    @jax.jit
    def terms(state, inputs):
        noise, draw = split_each(inputs.keys.examples)
        return system.parts.model.apply(
            {"params": state.params, **state.model_state},
            system.prepare(noise, inputs.batch.x),
            StepKeys(draw, inputs.keys.shared),
            train=True,
            mutable=list(state.model_state),
            **options,
        )[0]

    return terms(state, inputs)


def loss_of(system, state, inputs):
    return jax.jit(system.trainable.players[0].loss)(state.params, state.model_state, inputs)


# ---------- losses


def test_loss_weighs_the_penalty_as_all_values_of_an_image_by_default():
    system = system_of_squares()
    state, inputs = first_step(system, batch_of_squares())
    terms = terms_of(system, state, inputs)
    loss, (_, metrics) = loss_of(system, state, inputs)
    assert float(jnp.mean(terms.penalty)) > 0
    assert float(loss) == pytest.approx(float(jnp.mean(-terms.log_px + 144 * terms.penalty)), rel=1e-5)
    assert float(metrics["reconstruction"]) == pytest.approx(float(jnp.mean(-terms.log_px)), rel=1e-5)
    assert float(metrics["penalty"]) == pytest.approx(float(jnp.mean(terms.penalty)), rel=1e-5)


def test_given_loss_is_that_of_the_terms_and_its_mean_is_taken():
    seen = []

    def loss(terms, inputs):
        seen.append((terms.log_px.shape, terms.penalty.shape))
        return 2.0 * terms.penalty + inputs.step

    system = system_of_squares(loss=loss, weight=5.0)
    state, inputs = first_step(system, batch_of_squares())
    value, _ = loss_of(system, state, inputs)
    assert seen == [((8,), (8,))]
    assert float(value) == pytest.approx(3 + 2.0 * float(jnp.mean(terms_of(system, state, inputs).penalty)), rel=1e-5)


@pytest.mark.slow
def test_evaluation_has_the_loss_and_its_terms_of_every_image():
    system, batch = system_of_squares(weight=5.0), batch_of_squares()
    state, _ = first_step(system, batch)
    keys = jax.random.split(jax.random.key(1), 8)
    found = jax.jit(system.trainable.evaluate)(state.params, state.model_state, keys, batch, {})
    assert all(value.shape == (8,) for value in found.values())
    np.testing.assert_allclose(found["loss"], found["reconstruction"] + 5.0 * found["penalty"], rtol=1e-6)
    log_px = require(system, Codes).log_px(state.params, state.model_state, jnp.asarray(batch.x) / 255)
    np.testing.assert_allclose(found["reconstruction"], -log_px, rtol=1e-5)


def test_temperature_is_that_of_the_step():
    system = system_of_squares(GumbelQuantizer(7, 3), weight=0.1, temperature=lambda step: 0.5 ** (step / 3))
    state, inputs = first_step(system, batch_of_squares())
    cold, warm = (terms_of(system, state, inputs, temperature=value) for value in (0.5, 1.0))
    value, (_, metrics) = loss_of(system, state, inputs)
    assert float(value) == pytest.approx(float(jnp.mean(-cold.log_px + 0.1 * cold.penalty)), rel=1e-5)
    # A hard draw does not change with the temperature, its distance from the soft one does.
    errors = [float(terms.stats[0]["quantization_error"]) for terms in (cold, warm)]
    assert float(metrics["quantization_error"]) == pytest.approx(errors[0], rel=1e-5)
    assert errors[0] < 0.8 * errors[1]


# ---------- what it can do


def test_output_starts_at_the_mean_image():
    batch = batch_of_squares()
    params, state = jax.jit(system_of_squares(likelihood=bernoulli()).trainable.init)(jax.random.key(0), batch)
    np.testing.assert_allclose(
        jax.nn.sigmoid(params["decoder"]["bias"]), np.clip(np.mean(batch.x / 255, axis=0), 1e-2, 1 - 1e-2), atol=0.02
    )
    assert set(state) == {"codebook"}


def test_two_grids_are_encoded_and_decoded_the_coarse_one_first():
    system, batch = system_of_squares(levels=2), batch_of_squares()
    state, _ = first_step(system, batch)
    codes, variables = require(system, Codes), (state.params, state.model_state)
    assert codes.num_codes == (7, 7)
    x = jnp.asarray(batch.x) / 255
    grids = jax.jit(codes.encode)(*variables, x)
    assert [grid.shape for grid in grids] == [(8, 3, 3), (8, 6, 6)]
    assert [vectors.shape for vectors in codes.vectors(*variables, grids)] == [(8, 3, 3, 3), (8, 6, 6, 3)]
    images = jax.jit(codes.decode)(*variables, grids)
    assert images.shape == x.shape
    # Of a Gaussian, log p(x | codes) is the squared distance from the image of the codes.
    distance = jnp.sum(jnp.square(x - images), axis=(1, 2, 3)) / (2 * 0.25)
    constant = -144 * (np.log(0.5) + 0.5 * np.log(2 * np.pi))
    np.testing.assert_allclose(jax.jit(codes.log_px)(*variables, x), constant - distance, rtol=1e-4)


# ---------- codebooks that devices share


@pytest.fixture
def system():
    decoder = ImageDecoder(MapDecoder(SPEC.shape, (4,)), bernoulli().param_shapes(SPEC.shape), latent_axes=3)
    # With so few vectors a batch many codes are moved at every step.
    quantizer = VectorQuantizer(64, 3, restart_below=0.9, decay=0.7)
    model = VQVAE(MapEncoder(3, (4,)), quantizer, decoder, bernoulli())
    return vqvae_system(name="tiny", spec=SPEC, model=model, prepare=binary_pixels(SPEC), optimizer=optax.sgd(0.5 / 36))


@pytest.fixture
def splits():
    x = np.random.default_rng(0).integers(0, 256, (70, *SPEC.shape)).astype(np.uint8)
    return Splits(*[Dataset(x, None)] * 3)


@pytest.fixture
def expected(system, splits):
    params, metrics, state = trained(system, splits, "scan", 1)
    return params[0], jax.device_get(state.model_state), metrics


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "num_devices"), [("sharded", 8), ("pmap", 2), ("pmap", 8)])
def test_codebooks_are_those_of_one_device_and_the_same_on_all(kind, num_devices, system, splits, expected):
    params, metrics, state = trained(system, splits, kind, num_devices)
    chex.assert_trees_all_close(params[0], expected[0], rtol=1e-4, atol=1e-5)
    chex.assert_trees_all_close(jax.device_get(state.model_state), expected[1], rtol=1e-4, atol=1e-5)
    chex.assert_trees_all_close(metrics, expected[2], rtol=1e-4, atol=1e-5)
    for path, leaf in jax.tree_util.tree_leaves_with_path(state.model_state):
        copies = [np.asarray(shard.data) for shard in leaf.addressable_shards]
        assert len(copies) == num_devices
        for copy in copies:
            np.testing.assert_array_equal(copy, copies[0], err_msg=jax.tree_util.keystr(path))
