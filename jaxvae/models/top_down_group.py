"""One group of latents of a top-down hierarchy: its prior, its posterior, and what goes down to the next."""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Dtype

from jaxvae import distributions
from jaxvae.nets.conv import Conv
from jaxvae.nets.resnet import ResidualBlock
from jaxvae.types import Array, GaussianParams


class Inferred(NamedTuple):
    """Latents of q in the coordinates of their prior."""

    z: Array  # [..., D]
    q: GaussianParams  # [..., D]
    noise: Array  # [..., D], (z - mean) / sd of q


class TopDownGroup(nn.Module):
    """One group of latents: (h, encoder's map) -> (the next h, latents).

      p = N(mean_p, sd_p^2),  (mean_p, sd_p) of head(block(h))                       N(0, I) of the top group
      q = N(mean_q, sd_q^2),  (mean_q, sd_q) of head(block(1x1(encoder's map) + 1x1(h)))
      z = mean_p + sd_p e,    h' = block(h + 1x1(z))

    Heads are 1x1 convolutions that start at zero, so that q is p at first, and deviations a softplus. What z is made of
    is e, see `jaxvae.models.TopDownVAE`.

    Parameters: `p_block`, `p_head`, `q_encoder`, `q_above`, `q_block`, `q_head`, `z_in`, `block`.

    Attributes:
      channels: of h.
      latents: for each place.
      is_top: whether the prior is the model's own.
      dtype: of the networks.
    """

    channels: int
    latents: int
    is_top: bool = False
    dtype: Dtype | None = None

    @nn.compact
    def __call__(
        self, h: Array, features: Array | None, noise: Array | None, e: Array | None
    ) -> tuple[Array, Inferred | None]:
        """Return the next h and, where there are images, the latents.

        Args:
          h: map of the groups above, [..., h, w, channels].
          features: the encoder's map, [1, B, h, w, c] of all samples; None without images.
          noise: with which e is drawn of q, [..., D].
          e: given, [..., D], in place of noise.
        """
        shape = (*h.shape[-3:-1], self.latents)
        p = None if self.is_top else self._gaussian("p", h)
        found = None
        if features is not None:
            above = Conv(self.channels, (1, 1), use_bias=False, dtype=self.dtype, name="q_above")(h)
            q = self._gaussian("q", Conv(self.channels, (1, 1), dtype=self.dtype, name="q_encoder")(features) + above)
            found = _drawn(q if p is None else distributions.normal_relative(q, p), noise, e)
            e = found.z
        assert e is not None
        z = e if p is None else p.mean + jnp.exp(0.5 * p.log_var) * e
        z = z.reshape(*z.shape[:-1], *shape)
        h = h + Conv(self.channels, (1, 1), dtype=self.dtype, name="z_in")(z)
        return ResidualBlock(dtype=self.dtype, name="block")(h), found

    def _gaussian(self, name: str, h: Array) -> GaussianParams:
        """A Gaussian over all places, [..., D], float32."""
        h = ResidualBlock(dtype=self.dtype, name=f"{name}_block")(h)
        zeros = nn.initializers.zeros_init()
        raw = Conv(2 * self.latents, (1, 1), kernel_init=zeros, dtype=self.dtype, name=f"{name}_head")(h)
        mean, deviation = jnp.split(raw.astype(jnp.float32), 2, axis=-1)
        flat = lambda part: part.reshape(*part.shape[:-3], -1)  # noqa: E731
        return GaussianParams(flat(mean), distributions.softplus_log_var(flat(deviation)))


# ---------- private


def _drawn(q: GaussianParams, noise: Array | None, z: Array | None) -> Inferred:
    if noise is not None:
        return Inferred(q.mean + jnp.exp(0.5 * q.log_var) * noise, q, noise)
    assert z is not None
    q = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, z.shape), q)
    return Inferred(z, q, (z - q.mean) * jnp.exp(-0.5 * q.log_var))
