"""Binary latents: the temperature of training, and that evaluation is of the discrete model."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.bernoulli_latents import Config, build
from jaxvae.errors import UserError
from jaxvae.likelihoods import bernoulli
from jaxvae.posteriors import StraightThroughPosterior
from jaxvae.priors import fair_bernoulli
from jaxvae.systems.bounds import closed_bound, sampled_bound
from jaxvae.systems.networks import gaussian_vae
from jaxvae.types import Batch, DataSpec, StepInput, StepKeys

SPEC = DataSpec(shape=(4, 4, 1), num_values=2, num_classes=0)
KEYS = jax.random.split(jax.random.key(0), 4)
BATCH = Batch(jax.random.bernoulli(jax.random.key(1), 0.5, (4, *SPEC.shape)).astype(jnp.uint8), None, jnp.ones(4))
SMALL = replace(Config(), latents="relaxed", latent_dim=3, steps=10, temperature=2.0, final_temperature=0.5)


def test_temperature_falls_by_the_same_factor_at_every_step_and_evaluation_has_none():
    trainable = build(SMALL, SPEC).trainable

    @jax.jit
    @jax.vmap
    def run(step, hparams):
        params, _ = trainable.init(jax.random.key(2), BATCH)
        inputs = StepInput(BATCH, StepKeys(KEYS, jax.random.key(3)), step, hparams)
        _, (_, metrics) = trainable.players[0].loss(params, {}, inputs)
        return metrics, trainable.evaluate(params, {}, KEYS, BATCH, hparams)

    hparams = {name: jnp.full(4, value) for name, value in trainable.hparams.items()}
    hparams["temperature"] = jnp.array([2.0, 2.0, 2.0, 1.0])
    metrics, evaluated = run(jnp.array([0, 5, 10, 5]), hparams)
    np.testing.assert_allclose(metrics["temperature"], [2.0, 1.0, 0.5, 0.5**0.5], rtol=1e-5)
    assert len(set(np.asarray(metrics["elbo"]).tolist())) == 4
    assert np.all(np.isfinite(metrics["elbo"]))
    assert all(np.all(value == value[:1]) for value in evaluated.values())
    assert evaluated["kl_per_dimension"].shape == (4, 4, 3)
    assert np.max(evaluated["kl_per_dimension"]) <= np.log(2.0)  # of bits to fair ones, not of relaxed ones


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_posteriors": 0}, "--num-posteriors is 0, expected at least 1"),
        ({"num_priors": 0}, "--num-priors is 0, expected at least 1"),
        ({"prior_temperature": 0.0}, "--prior-temperature is 0.0, expected more than 0"),
    ],
)
def test_impossible_values_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        replace(SMALL, **changes)


def test_straight_through_draws_are_refused_a_sampled_kl():
    vae = gaussian_vae("mlp", 3, bernoulli(), SPEC).clone(posterior=StraightThroughPosterior(3), prior=fair_bernoulli())
    with pytest.raises(ValueError, match="wrong gradient for a StraightThroughPosterior: use closed_bound"):
        sampled_bound(vae)
    assert callable(closed_bound(vae))
