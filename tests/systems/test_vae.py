"""A latent variable model of a person's own: a file with the methods of the protocol, and a system like any other."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxvae as jv
from jaxvae.capabilities import Infers, Scores, find
from jaxvae.distributions import normal_log_prob, normal_sample, standard_normal_log_prob
from jaxvae.systems.bounds import sampled_bound
from jaxvae.systems.pixels import binary_pixels, unit_pixels
from jaxvae.systems.vae_parts import vae_system
from jaxvae.types import Batch, Dataset, DataSpec, ELBOTerms, GaussianParams, Splits

SPEC = DataSpec((4, 4, 1), 256, 0)


class TopDown(nn.Module):
    """q(z_2 | x) q(z_1 | z_2, x), both Gaussian, the posterior from the top down as in ladder and very deep VAEs."""

    decoder: nn.Module
    likelihood: jv.Likelihood
    has_closed_kl = False
    has_gaussian_posterior = False

    def setup(self):
        self.top, self.bottom, self.prior = (nn.Dense(4) for _ in range(3))

    def __call__(self, keys, x, num_samples=1):
        pairs = [self._draw(jax.vmap(lambda key, s=s: jax.random.fold_in(key, s))(keys), x) for s in range(num_samples)]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *(terms for _, terms in pairs))

    def latent_means(self, keys, x, num_samples):
        return self._draw(keys, x)[0]

    def decode(self, z):
        return self.decoder(z, None)

    def prior_latents(self, keys):
        z = jax.vmap(lambda key: jax.random.normal(key, (2,)))(keys)
        return jax.vmap(normal_sample)(keys, self._gaussian(self.prior, z))

    def _draw(self, keys, x):
        flat = x.reshape(len(x), -1)
        q_2 = self._gaussian(self.top, flat)
        z_2 = jax.vmap(normal_sample)(keys, q_2)
        q_1 = self._gaussian(self.bottom, jnp.concatenate([flat, z_2], axis=-1))
        z_1 = jax.vmap(normal_sample)(jax.vmap(lambda key: jax.random.fold_in(key, 7))(keys), q_1)
        log_px = jax.vmap(self.likelihood.log_prob)(self.decode(z_1), x)
        p_1 = self._gaussian(self.prior, z_2)
        log_pz = jax.vmap(normal_log_prob)(p_1, z_1), jax.vmap(standard_normal_log_prob)(z_2)
        log_qz = jax.vmap(normal_log_prob)(q_1, z_1), jax.vmap(normal_log_prob)(q_2, z_2)
        return (z_1, z_2), ELBOTerms(log_px, jnp.stack(log_pz, axis=-1), jnp.stack(log_qz, axis=-1))

    def _gaussian(self, net, h):
        return GaussianParams(*jnp.split(net(h), 2, axis=-1))


def system_of(likelihood, prepare):
    model = TopDown(jv.ImageDecoder(jv.MLP((8,)), likelihood.param_shapes(SPEC.shape)), likelihood)

    return vae_system(
        name="top_down",
        spec=SPEC,
        vae=model,
        prepare=prepare(SPEC),
        bound=sampled_bound(model),
        optimizer=optax.adam(1e-3),
        hparams={"beta": 1.0, "warmup_steps": 0},
    )


def images():
    x = np.random.default_rng(0).integers(0, 256, (24, *SPEC.shape), np.uint8)
    return Splits(*(Dataset(part, None) for part in (x[:16], x[16:20], x[20:])))


@pytest.mark.slow
def test_an_own_model_trains_samples_encodes_and_scores():
    system, splits = system_of(jv.bernoulli(), binary_pixels), images()
    trained = jv.train(system, splits, steps=2, batch_size=8, progress=False)
    assert trained.sample(3).shape == (3, 4, 4, 1)
    assert [z.shape for z in trained.encode(splits.test.x)] == [(4, 2), (4, 2)]
    assert trained.reconstruct(splits.test.x).shape == (4, 4, 4, 1)
    assert np.all(trained.log_likelihood(splits.test.x, num_samples=5) < 0)
    batch = Batch(jnp.asarray(splits.test.x), None, jnp.ones(4))
    values = system.trainable.evaluate(trained.params, {}, jax.random.split(jax.random.key(0), 4), batch, {})
    np.testing.assert_allclose(values["elbo"], -values["reconstruction"] - values["kl"], rtol=1e-6)
    assert "kl_per_dimension" not in values


@pytest.mark.parametrize(("likelihood", "discrete"), [(jv.bernoulli(), True), (jv.gaussian(0.1), False)])
def test_a_system_states_whether_its_likelihood_is_a_probability_mass(likelihood, discrete):
    system = system_of(likelihood, binary_pixels if discrete else unit_pixels)
    assert find(system, Scores).discrete is discrete
    assert find(system, Infers) is None  # q(z | x) is Gaussian layer by layer alone
