"""Features and latents of images: of these as they are, in their order."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.applications import features
from jaxvae.applications.features import features_of, latents_of
from jaxvae.errors import UserError
from jaxvae.likelihoods import bernoulli
from jaxvae.models import LadderNetwork
from jaxvae.systems.assemble import loaded
from jaxvae.systems.ladder import LadderParts
from jaxvae.systems.networks import gaussian_vae
from jaxvae.systems.pixels import binary_pixels, unit_pixels
from jaxvae.systems.vae_parts import VAEParts
from tests.squares import SPEC, batch_of_squares, squares

PARTS = VAEParts(SPEC, gaussian_vae("mlp", 3, bernoulli(), SPEC), binary_pixels(SPEC))
SYSTEM = loaded("vae", PARTS, {})


@pytest.fixture(scope="module")
def variables():
    return PARTS.init(jax.random.key(9), batch_of_squares(40))


def test_features_are_of_the_images_and_not_of_a_binarisation(variables):
    splits = squares()
    found = features_of(SYSTEM, *variables, splits)
    expected = jax.jit(PARTS.posterior)(*variables, splits.test.x.astype(np.float32) / 255.0).mean
    np.testing.assert_allclose(found.test.x, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found.test.labels, splits.test.labels)
    assert [len(part.x) for part in found] == [40, 10, 10]


def test_latents_are_those_of_images_in_their_order(variables, monkeypatch):
    monkeypatch.setattr(features, "evaluation_batch_size", lambda spec: 16)  # and 40 images
    train = squares().train
    found = latents_of(SYSTEM, *variables, train)
    for one, want in zip(found, PARTS.posterior(*variables, jnp.asarray(train.x) / 255), strict=True):
        np.testing.assert_allclose(one, want, rtol=1e-4, atol=1e-5)


def test_systems_without_codes_are_an_error():
    ladder = loaded("ladder", LadderParts(SPEC, LadderNetwork(3, (5,)), unit_pixels(SPEC)), {})
    with pytest.raises(UserError, match="ladder has no codes of images: expected one of VQ-VAEs, VAEs"):
        features_of(ladder, None, None, squares())
    with pytest.raises(UserError, match="ladder cannot give q"):
        latents_of(ladder, None, None, squares().train)
