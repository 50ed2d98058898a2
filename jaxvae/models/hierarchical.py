"""A VAE with several stochastic layers in a chain, as in Burda, Grosse & Salakhutdinov 2016 (their L = 2)."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxvae.keys import check_keys
from jaxvae.models.decoding import decoded, score_latents
from jaxvae.posteriors import GaussianPosterior
from jaxvae.priors import standard_normal
from jaxvae.types import Array, ELBOTerms, GaussianParams, Likelihood, Prior, PRNGKey


class HierarchicalVAE(nn.Module):
    """Latents z_1 ... z_L; both directions are chains.

      q(z | x) = q(z_1 | x) q(z_2 | z_1) ... q(z_L | z_{L-1})          bottom up
      p(x, z)  = p(z_L) p(z_{L-1} | z_L) ... p(z_1 | z_2) p(x | z_1)   top down

    Attributes:
      encoders: L nets: the first maps images to features, the others map z_{l-1} to features.
      posteriors: L modules, q(z_l | features).
      generators: L - 1 nets: z_{l+1} -> features of p(z_l | z_{l+1}).
      conditionals: L - 1 modules, p(z_l | features).
      decoder: (z_1, x) -> the likelihood's parameters.
      likelihood: of one image.
      prior: of z_L.

    References:
      Burda, Grosse & Salakhutdinov, "Importance Weighted Autoencoders", 2016, arXiv:1509.00519, sec. 2 and 5.
    """

    encoders: Sequence[nn.Module]
    posteriors: Sequence[GaussianPosterior]
    generators: Sequence[nn.Module]
    conditionals: Sequence[GaussianPosterior]
    decoder: nn.Module
    likelihood: Likelihood
    prior: Prior = standard_normal()

    def __call__(self, keys: PRNGKey, x: Array, num_samples: int = 1) -> ELBOTerms:
        """Return the terms of the bound: keys [B], x [B, H, W, C] -> log-densities [S, B] and [S, B, L]."""
        latents, log_qz = self._draw(keys, x, num_samples)
        return ELBOTerms(self._log_px(latents[0], x), self._log_pz(latents), log_qz)

    @property
    def has_closed_kl(self) -> bool:
        """False: the KL of a layer is of the samples of those below."""
        return False

    @property
    def has_gaussian_posterior(self) -> bool:
        """False: q(z | x) is Gaussian layer by layer alone."""
        return False

    # The three functions of `objectives.dreg`; z is the tuple of all latents.

    def draw(self, keys: PRNGKey, x: Array, num_samples: int) -> tuple[Array, ...]:
        """Return samples of q(z | x), L arrays [S, B, D_l]."""
        return self._draw(keys, x, num_samples)[0]

    def log_joint(self, x: Array, z: tuple[Array, ...]) -> Array:
        """Return log p(x, z), [S, B], nats."""
        return self._log_px(z[0], x) + self.log_prior(z)

    def log_prior(self, z: tuple[Array, ...]) -> Array:
        """Return log p(z) of all latents, L arrays [S, B, D_l] -> [S, B], nats."""
        return jnp.sum(self._log_pz(z), axis=-1)

    def log_posterior(self, x: Array, z: tuple[Array, ...]) -> Array:
        """Return log q(z | x), [S, B], nats."""
        total = self.posteriors[0].log_prob(self.encoders[0](x), z[0])
        for encoder, posterior, below, z_l in zip(self.encoders[1:], self.posteriors[1:], z[:-1], z[1:], strict=True):
            total = total + posterior.log_prob(encoder(below), z_l)
        return total

    def posterior_of(self, level: int, below: Array) -> GaussianParams:
        """Return q(z_l | z_l-1) of z_l-1 [B, D], or of images [B, H, W, C] if l is 0, [B, D_l]."""
        return self.posteriors[level].params_of(self.encoders[level](below))

    def conditional_of(self, level: int, above: Array) -> GaussianParams:
        """Return p(z_l | z_l+1) of z_l+1 [B, D], [B, D_l]."""
        return self.conditionals[level].params_of(self.generators[level](above))

    # What a trained model is used for.

    def latent_means(self, keys: PRNGKey, x: Array, num_samples: int) -> tuple[Array, ...]:
        """Return E_q[z_l | x] of every layer, L arrays [B, D_l]; above the first it is a mean over samples below."""
        latents = self.draw(keys, x, num_samples)
        means = [self.posteriors[0].params_of(self.encoders[0](x)).mean]
        for encoder, posterior, below in zip(self.encoders[1:], self.posteriors[1:], latents[:-1], strict=True):
            means.append(jnp.mean(posterior.params_of(encoder(below)).mean, axis=0))
        return tuple(means)

    def decode(self, z: Array) -> Any:
        """Return the likelihood's parameters for latents z_1 [..., D_1]."""
        return decoded(self.decoder, z)

    def prior_latents(self, keys: PRNGKey) -> Array:
        """Draw z_L, ..., z_1 and return the last, keys [N] -> [N, D_1]."""
        return self.draw_prior(keys)[0]

    def draw_prior(self, keys: PRNGKey) -> tuple[Array, ...]:
        """Draw z_L, ..., z_1, keys [N] -> L arrays [N, D_l], z_1 first."""
        check_keys(keys)
        key_of = lambda level: jax.vmap(lambda key: jax.random.fold_in(key, level))(keys)  # noqa: E731
        top = len(self.posteriors) - 1
        latents = [jax.vmap(lambda key: self.prior.sample(key, (self.posteriors[top].latent_dim,)))(key_of(top))]
        for level in reversed(range(top)):
            latents.insert(0, self.conditionals[level](key_of(level), self.generators[level](latents[0]), 1)[0][0])
        return tuple(latents)

    def _draw(self, keys: PRNGKey, x: Array, num_samples: int) -> tuple[tuple[Array, ...], Array]:
        check_keys(keys, x.shape[0])
        z, log_qz, _ = self.posteriors[0](keys, self.encoders[0](x), num_samples)
        latents, log_qs = [z], [log_qz]
        for level in range(1, len(self.posteriors)):
            features = self.encoders[level](latents[-1])
            # Every sample of the layer below is an example of this one: one key each, one draw each.
            level_keys = _keys_of_samples(keys, level, num_samples)
            flat = features.reshape(num_samples * keys.shape[0], -1)
            z, log_qz, _ = self.posteriors[level](level_keys.reshape(-1), flat, 1)
            latents.append(z.reshape(num_samples, keys.shape[0], -1))
            log_qs.append(log_qz.reshape(num_samples, keys.shape[0]))
        return tuple(latents), jnp.stack(log_qs, axis=-1)

    def _log_pz(self, latents: tuple[Array, ...]) -> Array:
        log_ps = [
            conditional.log_prob(generator(above), z)
            for generator, conditional, above, z in zip(
                self.generators, self.conditionals, latents[1:], latents[:-1], strict=True
            )
        ]
        log_ps.append(self.prior.log_prob(latents[-1]))
        return jnp.stack(log_ps, axis=-1)

    def _log_px(self, z: Array, x: Array) -> Array:
        return score_latents(self.likelihood, self.decoder, z, x, reads_x=True)


def _keys_of_samples(keys: PRNGKey, level: int, num_samples: int) -> PRNGKey:
    """Keys [B] -> [S, B] for one layer above the first."""
    # The first layer folds in sample indices 0, 1, ...: the levels start from the other end.
    fold = lambda key, sample: jax.random.fold_in(jax.random.fold_in(key, 0xFFFFFFFF - level), sample)  # noqa: E731
    over_examples = jax.vmap(fold, in_axes=(0, None))
    return jax.vmap(over_examples, in_axes=(None, 0))(keys, jnp.arange(num_samples))
