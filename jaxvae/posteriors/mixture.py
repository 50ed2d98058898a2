"""A mixture of posteriors, whose weights are learned without a score function."""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxvae.keys import check_keys
from jaxvae.posteriors.batching import draw_each
from jaxvae.types import Array, PRNGKey


class MixtureParams(NamedTuple):
    """The statistics of a mixture of K components."""

    log_weights: Array  # [..., K], normalised
    components: Any  # the statistics of each: a pytree of arrays [..., K, D]


class MixturePosterior(nn.Module):
    """A mixture of K posteriors of one kind, whose weights depend on the image too.

      q(z | x) = sum_k w_k(x) q_k(z | x),      w = softmax of a linear map of the features

    Calling it draws as any posterior does: first a component, then its latent. These draws are to evaluate: the choice
    has no gradient. Training takes draws of all components (`stratified`) and `objectives.stratified_elbo`.

    Attributes:
      component: a `Posterior` with a `log_prob`; the mixture has K of it, with parameters [K, ...] of their own.
      num_components: K.

    References:
      Morningstar et al., "Automatic Differentiation Variational Inference with Mixtures", 2021, arXiv:2003.01687.
    """

    component: Any
    num_components: int

    def setup(self) -> None:
        if self.num_components < 1:
            raise ValueError(f"MixturePosterior has {self.num_components} components, expected at least 1.")
        self.weights = nn.Dense(self.num_components)

    @property
    def latent_dim(self) -> int:
        """D."""
        return self.component.latent_dim

    def __call__(self, keys: PRNGKey, features: Array, num_samples: int) -> tuple[Array, Array, MixtureParams]:
        """Draw samples of the mixture.

        Args:
          keys: [B]; sample s of example b depends on keys[b] and s alone.
          features: [B, F].
          num_samples: S.

        Returns:
          z [S, B, D], log q(z | x) [S, B] in nats, and the statistics.
        """
        choice = _split(keys, self.num_components)[-1]
        each = self._draws(keys, features, num_samples)
        stats = self.params_of(features)
        chosen = draw_each(jax.random.categorical, choice, stats.log_weights, num_samples)  # [S, B]
        z = jnp.take_along_axis(each, chosen[None, :, :, None], axis=0)[0]
        return z, self.log_prob(features, z), stats

    def stratified(self, keys: PRNGKey, features: Array, num_samples: int) -> tuple[Array, Array, Array]:
        """Draw samples of every component, reparameterised where the component's are.

        Args:
          keys: [B]; sample s of example b depends on keys[b] and s alone.
          features: [B, F].
          num_samples: S, of each component.

        Returns:
          z [K, S, B, D]; log q(z | x) of the whole mixture [K, S, B], nats; log-weights [B, K].
        """
        z = self._draws(keys, features, num_samples)
        log_qz = self.log_prob(features, z.reshape(-1, *z.shape[2:]))
        return z, log_qz.reshape(z.shape[:-1]), self._log_weights(features)

    def mean(self, keys: PRNGKey, features: Array, num_samples: int) -> Array:
        """Return E[z | x] of features [B, F], [B, D]; exact where the components' means are."""
        one = lambda component, keys: component.mean(keys, features, num_samples)  # noqa: E731
        means = self._of_each(one, 1)(self.component, _split(keys, self.num_components)[:-1])  # [B, K, D]
        return jnp.sum(jnp.exp(self._log_weights(features))[..., None] * means, axis=1)

    def params_of(self, features: Array) -> MixtureParams:
        """Return the statistics, features [..., F] -> arrays [..., K] and [..., K, D]."""
        components = self._of_each(lambda component: component.params_of(features), -2)(self.component)
        return MixtureParams(self._log_weights(features), components)

    def log_prob(self, features: Array, z: Array) -> Array:
        """Return log q(z | x) of given latents, features [B, F] and z [S, B, D] -> [S, B], or both with S, nats."""
        each = self._of_each(lambda component: component.log_prob(features, z), -1)(self.component)  # [S, B, K]
        log_weights = self._log_weights(features)
        return jax.nn.logsumexp(each + log_weights.reshape(-1, *each.shape[1:]), axis=-1)

    def _draws(self, keys: PRNGKey, features: Array, num_samples: int) -> Array:
        """Samples of every component, [K, S, B, D]."""
        one = lambda component, keys: component(keys, features, num_samples)[0]  # noqa: E731
        return self._of_each(one, 0)(self.component, _split(keys, self.num_components)[:-1])

    def _log_weights(self, features: Array) -> Array:
        return jax.nn.log_softmax(self.weights(features))

    def _of_each(self, function: Callable, out_axes: int) -> Callable:
        """Map a function of the component, and of arrays [K, ...], over the components' parameters."""
        return nn.vmap(
            function,
            in_axes=0,
            out_axes=out_axes,
            axis_size=self.num_components,
            variable_axes={"params": 0},
            split_rngs={"params": True},
        )


def _split(keys: PRNGKey, num_components: int) -> PRNGKey:
    """Keys [B] -> those of the components' noise and, last, of the choice [K + 1, B]."""
    check_keys(keys)
    return jax.vmap(lambda key: jax.random.split(key, num_components + 1), out_axes=1)(keys)
