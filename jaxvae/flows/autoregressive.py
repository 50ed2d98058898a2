"""Inverse autoregressive flows: each dimension is shifted and scaled as those before it say (Kingma et al. 2016)."""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxvae.errors import check_shape
from jaxvae.flows.affine import AffineParams, affine, affine_inverse
from jaxvae.flows.chain import Step, chain, chain_inverse, check_flow, check_num_flows, over_latents
from jaxvae.nets.masked import MaskedMLP
from jaxvae.types import Array, Params, PRNGKey

Net = Callable[[Array], Array]  # z [D] -> [D, 2], row i a function of z[:i]


def autoregressive(net: Net, z: Array) -> tuple[Array, Array]:
    """Apply one autoregressive flow to one latent, all dimensions at once.

      y_i = m_i + sigma_i z_i,    (m_i, s_i) = net_i(z_0, ..., z_{i-1})    (eq. 10 and 12)
      sigma_i = exp(3 tanh(s_i / 3))
      log|det dy/dz| = sum_i log sigma_i

    Departs from eq. 13 and 14, where sigma = sigmoid(s) and y = sigma z + (1 - sigma) m: such layers can only contract,
    so that the density of the inverse, a masked autoregressive flow, could never exceed that of its base, and a sigma
    that underflows has no inverse. This scale goes both ways, is bounded both ways, and is 1 at s = 0.

    Args:
      net: z [D] -> m and s, [D, 2].
      z: one latent, [D].

    Returns:
      y [D] and log_det [].

    Raises:
      ValueError: if z is not one latent, or the net does not give two numbers for each dimension.

    References:
      Kingma et al., "Improving Variational Inference with Inverse Autoregressive Flow", 2016, arXiv:1606.04934.
    """
    return affine(_affine_params(net, z), z)


def autoregressive_inverse(net: Net, y: Array) -> tuple[Array, Array]:
    """Return the latent that an autoregressive flow maps to y, and the flow's log-determinant there.

      z_i = (y_i - m_i) / sigma_i, one dimension after the other: the net is evaluated D times.

    Args:
      net: z [D] -> m and s, [D, 2].
      y: [D].

    Returns:
      z [D] and log_det [] of the forward map at z.

    Raises:
      ValueError: as `autoregressive` does.
    """
    check_shape("y of an autoregressive flow", y, (None,))

    def solve(i: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        z, total = carry  # the z of the dimensions before i, zeros after them
        params = jax.tree.map(lambda leaf: leaf[i][None], _affine_params(net, z))
        solved, log_det = affine_inverse(params, y[i][None])
        return z.at[i].set(solved[0]), total + log_det

    return jax.lax.fori_loop(0, y.shape[-1], solve, (jnp.zeros_like(y), jnp.zeros((), y.dtype)))


class AutoregressiveFlow(nn.Module):
    """K autoregressive flows in a row, IAF: a `Flow` that is quick to sample from.

    The map is one pass of a masked net a layer, the inverse D of them. Every second layer takes the dimensions in
    reverse order. `Inverted` makes it a masked autoregressive flow, quick to evaluate and slow to sample from.

    The flow starts as the identity. Its nets have tanh units: their outputs are bounded, so the D steps of the inverse
    do not build up to an overflow.

    Attributes:
      latent_dim: D.
      num_flows: K; 0 is the identity.
      hidden: the width of each hidden layer of the masked nets.
      amortized: whether the context is an input of the nets.
    """

    latent_dim: int
    num_flows: int
    hidden: Sequence[int]
    amortized: bool = False

    def __call__(self, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        """Map z [S, B, D], with a context [B, F] or None, to z [S, B, D] and log_det [S, B]."""
        return self._over(autoregressive, chain, z, context)

    def inverse(self, y: Array, context: Array | None = None) -> tuple[Array, Array]:
        """Return what is mapped to y [S, B, D], and log_det [S, B] of the forward map there."""
        return self._over(autoregressive_inverse, chain_inverse, y, context)

    @nn.compact
    def _over(
        self,
        function: Callable[[Net, Array], tuple[Array, Array]],
        chained: Callable[[Step, Params, Array], tuple[Array, Array]],
        z: Array,
        context: Array | None,
    ) -> tuple[Array, Array]:
        check_flow(self, z, context)
        if self.num_flows == 0:
            return z, jnp.zeros(z.shape[:2], z.dtype)
        if not self.amortized:
            context = None
        elif context is None:
            raise ValueError(f"The nets of {type(self).__name__} depend on a context, expected [B, F], got None.")
        check_num_flows(type(self).__name__, self.variables.get("params", {}), self.num_flows)
        # Without a parent the net is a pair of pure functions, and this module the owner of all K sets of parameters.
        net: Any = MaskedMLP(2, self.hidden, nn.tanh, nn.initializers.lecun_normal(), parent=None)

        def init(key: PRNGKey) -> Params:
            one = None if context is None else jnp.zeros(context.shape[-1:], context.dtype)
            keys = jax.random.split(key, self.num_flows)
            return jax.vmap(lambda key: net.init(key, jnp.zeros(self.latent_dim, z.dtype), one)["params"])(keys)

        layers = (self.param("layers", init), jnp.arange(self.num_flows) % 2 == 1)

        def all_layers(context: Array | None, z: Array) -> tuple[Array, Array]:
            def step(layer: tuple[Params, Array], z: Array) -> tuple[Array, Array]:
                params, reverse = layer
                z, log_det = function(lambda z: net.apply({"params": params}, z, context), _turned(reverse, z))
                return _turned(reverse, z), log_det

            return chained(step, layers, z)

        return over_latents(all_layers, context, z, amortized=self.amortized)


# ---------- private


def _affine_params(net: Net, z: Array) -> AffineParams:
    check_shape("z of an autoregressive flow", z, (None,))
    out = net(z).astype(z.dtype)
    check_shape("net(z) of an autoregressive flow", out, (*z.shape, 2))
    return AffineParams(log_scale=out[:, 1], shift=out[:, 0])


def _turned(reverse: Array, z: Array) -> Array:
    return jnp.where(reverse, z[::-1], z)
