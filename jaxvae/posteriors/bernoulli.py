"""Posteriors of binary latents: exact for evaluation, and two that can be trained, all with the same parameters.

A draw of zeros and ones has no gradient, so one module trains and another one evaluates. Their parameters are in the
same places: `vae.clone(posterior=...)` exchanges them.
"""

import functools

import flax.linen as nn
import jax
from jax.typing import ArrayLike

from jaxvae import distributions
from jaxvae.errors import check_shape
from jaxvae.keys import check_keys
from jaxvae.posteriors.batching import draw_each, score_each
from jaxvae.types import Array, PRNGKey


class _Logits(nn.Module):
    """Log-odds of D bits that are linear in the features."""

    latent_dim: int

    def setup(self) -> None:
        self.logits = nn.Dense(self.latent_dim)

    def params_of(self, features: Array) -> Array:
        """Return the log-odds of a one, features [..., F] -> [..., D]."""
        return self.logits(features)


class BernoulliPosterior(_Logits):
    """Independent zeros and ones, drawn exactly: to evaluate, for their draws have no gradient.

    Attributes:
      latent_dim: D.
    """

    family = "independent bits"  # of q(z | x), by which a prior knows whether its closed KL is of it

    def __call__(self, keys: PRNGKey, features: Array, num_samples: int) -> tuple[Array, Array, Array]:
        """Draw samples of the latent.

        Args:
          keys: [B]; sample s of example b uses fold_in(keys[b], s).
          features: [B, F].
          num_samples: S.

        Returns:
          z [S, B, D], zeros and ones; their log-mass log q(z | x) [S, B] in nats; log-odds of a one [B, D].
        """
        check_keys(keys)
        check_shape("features", features, (keys.shape[0], None))
        logits = self.params_of(features)
        z = draw_each(distributions.bernoulli_sample, keys, logits, num_samples)
        return z, score_each(distributions.bernoulli_log_prob, logits, z), logits

    def mean(self, keys: PRNGKey, features: Array, num_samples: int) -> Array:
        """Return E[z | x], the probabilities of a one, of features [B, F], [B, D]; exact, without keys and samples."""
        del keys, num_samples
        return nn.sigmoid(self.params_of(features))

    def log_prob(self, features: Array, z: Array) -> Array:
        """Return log q(z | x) of given bits, features [B, F] and z [S, B, D] -> [S, B], or both with S, nats."""
        check_shape("z", z, (None, None, self.latent_dim))
        return score_each(distributions.bernoulli_log_prob, self.params_of(features), z)


class StraightThroughPosterior(BernoulliPosterior):
    """The same zeros and ones with the gradient of their probabilities: dz/dlogit = q (1 - q), biased but usable.

    It is to be trained with the KL in closed form (`objectives.elbo_analytic`): log q(z | x) at these draws has not the
    gradient that a sampled KL would need.

    Attributes:
      latent_dim: D.

    References:
      Bengio, Leonard & Courville, "Estimating or Propagating Gradients Through Stochastic Neurons for Conditional
      Computation", 2013, arXiv:1308.3432. Departs from their estimator in the factor q (1 - q), their variant.
    """

    def __call__(self, keys: PRNGKey, features: Array, num_samples: int) -> tuple[Array, Array, Array]:
        z, log_qz, logits = super().__call__(keys, features, num_samples)
        q = nn.sigmoid(logits)[None]
        return z + (q - jax.lax.stop_gradient(q)), log_qz, logits


class RelaxedBernoulliPosterior(_Logits):
    """Relaxed bits (binary concrete variables) by their logits y, reparameterised: to train.

    Prior and decoder have to be of the logits too (`models.relaxed` makes all three). The densities of both sides are
    those of the relaxed variables: masses of bits at relaxed ones would make the bound of no model (Maddison et al.
    2017, sec. 3.3 and appendix C).

    Attributes:
      latent_dim: D.
      temperature: of the relaxation, more than 0; may be traced.

    References:
      Maddison, Mnih & Teh, "The Concrete Distribution: A Continuous Relaxation of Discrete Random Variables", 2017,
      arXiv:1611.00712.
    """

    temperature: ArrayLike

    def __call__(self, keys: PRNGKey, features: Array, num_samples: int) -> tuple[Array, Array, Array]:
        """Draw samples of the logits of relaxed bits.

        Args:
          keys: [B]; sample s of example b uses fold_in(keys[b], s).
          features: [B, F].
          num_samples: S.

        Returns:
          y [S, B, D], log-density log q(y | x) [S, B] in nats, and log-odds of a one [B, D].
        """
        check_keys(keys)
        check_shape("features", features, (keys.shape[0], None))
        logits = self.params_of(features)
        draw = functools.partial(distributions.relaxed_bernoulli_sample_and_log_prob, temperature=self.temperature)
        y, log_qy = draw_each(draw, keys, logits, num_samples)
        return y, log_qy, logits

    def mean(self, keys: PRNGKey, features: Array, num_samples: int) -> Array:
        """Return E[y | x] of features [B, F], [B, D]; exact, so that keys and num_samples are not used."""
        del keys, num_samples
        return self.params_of(features) / self.temperature

    def log_prob(self, features: Array, z: Array) -> Array:
        """Return log q(y | x) of given y, features [B, F] and z = y [S, B, D] -> [S, B], or both with S, nats."""
        check_shape("z", z, (None, None, self.latent_dim))
        log_prob = functools.partial(distributions.relaxed_bernoulli_log_prob, temperature=self.temperature)
        return score_each(log_prob, self.params_of(features), z)
