"""A prior of latents with the noise of rounding: masses of bins of width one, wherever their middle."""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxvae.errors import check_shape
from jaxvae.types import Array, PRNGKey


class LogisticMixture(NamedTuple):
    """Mixtures of K logistics, one for every dimension."""

    logits: Array  # of the weights, [D, K], not normalised
    mean: Array  # [D, K]
    log_scale: Array  # [D, K]


class BinnedPrior(nn.Module):
    """Independent latents that are a mixture of logistics each, with uniform noise of width 1 added: a `Prior`.

      p(z_d) = P(z_d - 1/2 < y_d < z_d + 1/2),  y_d of the mixture

    It is a density, and at whole numbers the mass of what is rounded to them: the rate of a rounded latent is -log p.

    Parameters: `logits`, `mean` and `log_scale`, [D, K].

    Attributes:
      latent_dim: D.
      num_components: K.

    References:
      Ballé et al., "Variational image compression with a scale hyperprior", 2018, arXiv:1802.01436, appendix 6.1, whose
      cumulative distribution is a small network.
    """

    latent_dim: int
    num_components: int = 3

    def setup(self) -> None:
        shape = (self.latent_dim, self.num_components)
        spread = lambda key, shape: jnp.broadcast_to(jnp.linspace(-1.0, 1.0, shape[1]), shape)  # noqa: E731
        self.logits = self.param("logits", nn.initializers.zeros_init(), shape)
        self.mean = self.param("mean", spread, shape)
        self.log_scale = self.param("log_scale", nn.initializers.zeros_init(), shape)

    def log_prob(self, z: Array) -> Array:
        """Return log p(z), z [..., D] -> [...], nats."""
        check_shape("z of BinnedPrior", z, (*z.shape[:-1], self.latent_dim))
        mixture = self.mixture()
        return jnp.vectorize(lambda z: jnp.sum(log_mass(mixture, z, 1.0)), signature="(d)->()")(z)

    def sample(self, key: PRNGKey, shape: tuple[int, ...]) -> Array:
        """Draw latents of a shape [..., D]."""
        if shape[-1:] != (self.latent_dim,):
            raise ValueError(
                f"Latents of shape {list(shape)} are asked of a prior, expected {self.latent_dim} dimensions."
            )
        which, logistic, noise = jax.random.split(key, 3)
        chosen = jax.random.categorical(which, self.logits, shape=shape)[..., None]
        of = lambda leaf: jnp.take_along_axis(jnp.broadcast_to(leaf, (*shape, leaf.shape[1])), chosen, -1)[..., 0]  # noqa: E731
        y = of(self.mean) + jnp.exp(of(self.log_scale)) * jax.random.logistic(logistic, shape)
        return y + jax.random.uniform(noise, shape) - 0.5

    def mixture(self) -> LogisticMixture:
        """Return the mixtures of the latents before the noise."""
        return LogisticMixture(self.logits, self.mean, self.log_scale)


def log_mass(mixture: LogisticMixture, z: Array, width: ArrayLike) -> Array:
    """Return the logarithm of the mass of bins around one latent.

    Args:
      mixture: of every dimension, leaves [D, K].
      z: middles of the bins, [D].
      width: of the bins.

    Returns:
      [D], nats; exact in both tails.
    """
    width = jnp.asarray(width)
    inverse, half = jnp.exp(-mixture.log_scale), 0.5 * width
    centred = z[..., None] - mixture.mean
    # F(a) - F(b) = F(a) F(-b) (1 - exp(b - a)), of which no factor loses digits to another.
    above, below = inverse * (centred + half), inverse * (centred - half)
    inner = jnp.log(-jnp.expm1(-width * inverse))
    each = jax.nn.log_sigmoid(above) + jax.nn.log_sigmoid(-below) + inner
    return jax.nn.logsumexp(jax.nn.log_softmax(mixture.logits, axis=-1) + each, axis=-1)
