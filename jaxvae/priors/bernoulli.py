"""Priors of binary latents, and their relaxed counterparts for training with `RelaxedBernoulliPosterior`.

Each pair has the same parameters in the same places. The relaxed ones score and draw logits y of relaxed bits.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxvae import distributions
from jaxvae.errors import check_shape
from jaxvae.priors.mixture import mixture_log_prob, mixture_sample
from jaxvae.recipes import recorded
from jaxvae.types import Array, PRNGKey, Recipe

# ---------- fair coins


class FairBernoulli(NamedTuple):
    """Bits of probability 1/2: a `Prior` without learned parameters."""

    log_prob: Callable[[Array], Array]
    sample: Callable[[PRNGKey, tuple[int, ...]], Array]
    kl: Callable[[Array], Array]  # log-odds of q [..., D] -> KL(q || p) per dimension [..., D], nats
    recipe: Recipe | None = None

    kl_of = "independent bits"  # the `family` of the posteriors that `kl` is of


class RelaxedFairBernoulli(NamedTuple):
    """The relaxation of `FairBernoulli`, independent logistic variables: a `Prior` without learned parameters."""

    log_prob: Callable[[Array], Array]
    sample: Callable[[PRNGKey, tuple[int, ...]], Array]


@recorded
def fair_bernoulli() -> FairBernoulli:
    """Return the prior of bits of probability 1/2, for latents of any dimension."""
    log_prob = jnp.vectorize(lambda z: distributions.bernoulli_log_prob(jnp.zeros_like(z), z), signature="(d)->()")
    return FairBernoulli(
        log_prob=log_prob,
        sample=lambda key, shape: distributions.bernoulli_sample(key, jnp.zeros(shape)),
        kl=lambda logits: distributions.bernoulli_kl(logits, jnp.zeros_like(logits)),
    )


def relaxed_fair_bernoulli(temperature: ArrayLike) -> RelaxedFairBernoulli:
    """Return the relaxation of `fair_bernoulli` of a temperature, which may be traced."""
    density = functools.partial(distributions.relaxed_bernoulli_log_prob, temperature=temperature)
    return RelaxedFairBernoulli(
        log_prob=jnp.vectorize(lambda z: density(jnp.zeros_like(z), z), signature="(d)->()"),
        sample=lambda key, shape: distributions.relaxed_bernoulli_sample(key, jnp.zeros(shape), temperature),
    )


# ---------- learned coins


class _Logits(nn.Module):
    """Log-odds of D bits; they start at fair ones."""

    latent_dim: int

    def setup(self) -> None:
        self.logits = self.param("logits", nn.initializers.zeros_init(), (self.latent_dim,))

    def _broadcast(self, shape: tuple[int, ...]) -> Array:
        """The log-odds for latents of a shape [..., D]."""
        z = jax.ShapeDtypeStruct(shape, jnp.float32)
        check_shape(f"z of {type(self).__name__}", z, (*shape[:-1], self.latent_dim))
        return jnp.broadcast_to(self.logits, shape)


class BernoulliPrior(_Logits):
    """Independent bits with learned probabilities: a `Prior`.

    Attributes:
      latent_dim: D.
    """

    kl_of = "independent bits"  # the `family` of the posteriors that `kl` is of

    def log_prob(self, z: Array) -> Array:
        """Return log p(z), zeros and ones z [..., D] -> [...], nats."""
        return _batched(distributions.bernoulli_log_prob)(self._broadcast(z.shape), z)

    def sample(self, key: PRNGKey, shape: tuple[int, ...]) -> Array:
        """Draw zeros and ones of a shape [..., D]."""
        return distributions.bernoulli_sample(key, self._broadcast(shape))

    def kl(self, logits: Array) -> Array:
        """Return KL(q || p) per dimension from the log-odds of q, [..., D] -> [..., D], nats."""
        return distributions.bernoulli_kl(logits, self._broadcast(logits.shape))


class RelaxedBernoulliPrior(_Logits):
    """The relaxation of `BernoulliPrior`: a `Prior` of logits of relaxed bits.

    Attributes:
      latent_dim: D.
      temperature: of the relaxation, more than 0; may be traced, and differ from the posterior's.
    """

    temperature: ArrayLike

    def log_prob(self, z: Array) -> Array:
        """Return log p(y), logits of relaxed bits z = y [..., D] -> [...], nats."""
        density = functools.partial(distributions.relaxed_bernoulli_log_prob, temperature=self.temperature)
        return _batched(density)(self._broadcast(z.shape), z)

    def sample(self, key: PRNGKey, shape: tuple[int, ...]) -> Array:
        """Draw logits of relaxed bits of a shape [..., D]."""
        return distributions.relaxed_bernoulli_sample(key, self._broadcast(shape), self.temperature)


# ---------- mixtures


class _Mixture(nn.Module):
    """Weights and log-odds of K components, none of which starts like another."""

    latent_dim: int
    num_components: int

    def setup(self) -> None:
        shape = (self.num_components, self.latent_dim)
        self.weights = self.param("weights", nn.initializers.zeros_init(), shape[:1])  # logits
        self.logits = self.param("logits", nn.initializers.normal(1.0), shape)


class BernoulliMixturePrior(_Mixture):
    """A mixture of independent bits, whose weights and probabilities are learned: a `Prior`.

      p(z) = sum_k pi_k prod_d Bernoulli(z_d; p_kd)

    Attributes:
      latent_dim: D.
      num_components: K.
    """

    def log_prob(self, z: Array) -> Array:
        """Return log p(z), zeros and ones z [..., D] -> [...], nats."""
        check_shape("z of BernoulliMixturePrior", z, (*z.shape[:-1], self.latent_dim))
        return mixture_log_prob(self.weights, self.logits, z, distributions.bernoulli_log_prob)

    def sample(self, key: PRNGKey, shape: tuple[int, ...]) -> Array:
        """Draw zeros and ones of a shape [..., D]."""
        return mixture_sample(key, self.weights, self.logits, shape, distributions.bernoulli_sample)


class RelaxedBernoulliMixturePrior(_Mixture):
    """The relaxation of `BernoulliMixturePrior`, a mixture of relaxed components: a `Prior` of logits of relaxed bits.

    Attributes:
      latent_dim: D.
      num_components: K.
      temperature: of the relaxation, more than 0; may be traced, and differ from the posterior's.
    """

    temperature: ArrayLike

    def log_prob(self, z: Array) -> Array:
        """Return log p(y), logits of relaxed bits z = y [..., D] -> [...], nats."""
        check_shape("z of RelaxedBernoulliMixturePrior", z, (*z.shape[:-1], self.latent_dim))
        density = functools.partial(distributions.relaxed_bernoulli_log_prob, temperature=self.temperature)
        return mixture_log_prob(self.weights, self.logits, z, density)

    def sample(self, key: PRNGKey, shape: tuple[int, ...]) -> Array:
        """Draw logits of relaxed bits of a shape [..., D]."""
        draw = functools.partial(distributions.relaxed_bernoulli_sample, temperature=self.temperature)
        return mixture_sample(key, self.weights, self.logits, shape, draw)


# ---------- private


def _batched(log_prob: Callable[[Array, Array], Array]) -> Callable[[Array, Array], Array]:
    """From one latent, [D] -> [], to any leading axes, [..., D] -> [...]."""
    return jnp.vectorize(log_prob, signature="(d),(d)->()")
