"""A prior over codes with its VQ-VAE as one model of images: what each of the two gives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.capabilities import Codes, Generates, GeneratesClasses, require
from jaxvae.data import split_grids
from jaxvae.keys import split_each
from jaxvae.systems.assemble import loaded
from jaxvae.systems.two_stages import HasStages, code_rows, of_images
from jaxvae.types import Batch
from tests.squares import SPEC, batch_of_squares
from tests.systems.test_code_prior import prior_of, random_like


@pytest.fixture(scope="module", params=[1, 2])
def stages(request):
    """The system, its parameters and its state, and the code prior that it is made of."""
    prior = prior_of(levels=request.param)
    shapes = jax.eval_shape(prior.parts.init, jax.random.key(0), batch_of_squares())
    return loaded("both", of_images(prior.parts), {}), *(random_like(tree, 2) for tree in shapes), prior.parts


def test_it_is_of_images_and_other_systems_are_as_they_are(stages):
    system, _, _, prior = stages
    assert system.spec == prior.codec.spec == SPEC
    assert of_images(prior.codec) is prior.codec
    found = require(system, HasStages)
    assert (found.codec.parts, found.prior.parts) == (prior.codec, prior)


@pytest.mark.slow
def test_it_encodes_as_the_codec_and_draws_as_the_prior(stages):
    system, params, state, prior = stages
    x = jnp.asarray(batch_of_squares().x[:3], jnp.float32) / 255
    codes, of_codec = require(system, Codes), (state["params"], state["state"])
    grids = codes.encode(params, state, x)
    for found, expected in zip(grids, prior.codec.encode(*of_codec, x), strict=True):
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(codes.decode(params, state, grids), prior.codec.decode(*of_codec, grids))
    np.testing.assert_array_equal(codes.log_px(params, state, x), prior.codec.log_px(*of_codec, x))
    for found, expected in zip(split_grids(code_rows(grids), prior.shapes), grids, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert require(system, Generates).sample == prior.sample
    assert require(system, GeneratesClasses).num_classes == SPEC.num_classes


@pytest.mark.slow
def test_images_are_evaluated_as_their_codes(stages):
    system, params, state, prior = stages
    batch = Batch(batch_of_squares().x[:3], np.array([0, 1, 2]), np.ones(3, np.float32))
    keys = jax.random.split(jax.random.key(1), 3)
    found = system.trainable.evaluate(params, state, keys, batch, {})
    prepared = system.prepare(split_each(keys)[0], batch.x)
    rows = code_rows(prior.codec.encode(state["params"], state["state"], prepared))
    np.testing.assert_allclose(found["nll"], prior.nll(params, rows, batch.labels), rtol=1e-5)
