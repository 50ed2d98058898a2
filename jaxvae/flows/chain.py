"""Flows in a row: one after another over stacked parameters, in a program whose size does not grow with their number.

Shapes: K flows in the chain, S samples, B examples, D latent dimensions, F features of the context.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxvae.errors import check_shape
from jaxvae.types import Array

Step = Callable[[Any, Array], tuple[Array, Array]]  # (params of one flow, z [D]) -> (z [D], log_det [])


def chain(step: Step, params: Any, z: Array) -> tuple[Array, Array]:
    """Apply K flows of one kind to one latent, the first one first.

      z_K = f_K o ... o f_1 (z_0),  log|det dz_K/dz_0| = sum_k log|det df_k/dz_{k-1}|    (Rezende & Mohamed 2015, eq. 6)

    Args:
      step: one flow.
      params: of all flows, each leaf [K, ...].
      z: one latent, [D].

    Returns:
      z_K [D] and the log-determinant [].

    Raises:
      ValueError: if the parameters are not of one number of flows.
    """
    check_num_flows("A chain", params)

    def one(carry: tuple[Array, Array], layer: Any) -> tuple[tuple[Array, Array], None]:
        z, total = carry
        z, log_det = step(layer, z)
        return (z, total + log_det), None

    return jax.lax.scan(one, (z, jnp.zeros((), z.dtype)), params)[0]


def chain_inverse(inverse: Step, params: Any, y: Array) -> tuple[Array, Array]:
    """Undo `chain`, the last flow first.

    Args:
      inverse: (params of one flow, y [D]) -> (z [D], log_det [] of the forward map at z).
      params: of all flows, each leaf [K, ...].
      y: what `chain` gives, [D].

    Returns:
      z_0 [D] and the log-determinant of `chain` at z_0, [].

    Raises:
      ValueError: if the parameters are not of one number of flows.
    """
    check_num_flows("A chain", params)

    def one(carry: tuple[Array, Array], layer: Any) -> tuple[tuple[Array, Array], None]:
        y, total = carry
        z, log_det = inverse(layer, y)
        return (z, total + log_det), None

    return jax.lax.scan(one, (y, jnp.zeros((), y.dtype)), params, reverse=True)[0]


def check_inverse(flow: Any) -> None:
    """Raise a `ValueError` unless a flow has an inverse."""
    if not hasattr(flow, "inverse"):
        raise ValueError(f"{type(flow).__name__} has no inverse, expected a flow that has one.")


def check_num_flows(name: str, params: Any, num_flows: int | None = None) -> None:
    """Raise a `ValueError` unless the leaves of stacked parameters [K, ...] agree about K, the number given if any."""
    found = sorted({leaf.shape[0] if leaf.ndim else 0 for leaf in jax.tree.leaves(params)})
    if len(found) > 1 or (num_flows is not None and found not in ([], [num_flows])):
        expected = "one number" if num_flows is None else num_flows
        raise ValueError(f"{name} has parameters of {' and '.join(map(str, found))} flows, expected {expected}.")


def over_latents(function: Step, params: Any, z: Array, *, amortized: bool) -> tuple[Array, Array]:
    """Apply a function of one latent to all samples of all examples.

    Args:
      function: (params, z [D]) -> (z [D], log_det []).
      params: leaves [B, ...], those of each example, if `amortized`; else the same for all.
      z: [S, B, D].
      amortized: whether the parameters are of an example.

    Returns:
      z [S, B, D] and log_det [S, B].
    """
    over_examples = jax.vmap(function, in_axes=(0 if amortized else None, 0))
    return jax.vmap(over_examples, in_axes=(None, 0))(params, z)


def through_layers(flow: Any, function: Step, z: Array, context: Array | None) -> tuple[Array, Array]:
    """Apply a function of one latent with the parameters of a flow, which nothing is asked of if it has no layer.

    Args:
      flow: a module with `latent_dim`, `num_flows`, `amortized` and its `ChainParams` as `layers`.
      function: (parameters of all layers by name, [K, ...] each, z [D]) -> (z [D], log_det []).
      z: [S, B, D].
      context: [B, F] or None.

    Returns:
      z [S, B, D] and log_det [S, B].

    Raises:
      ValueError: as `check_flow` does.
    """
    check_flow(flow, z, context)
    if flow.num_flows == 0:
        return z, jnp.zeros(z.shape[:2], z.dtype)
    return over_latents(function, flow.layers(context), z, amortized=flow.amortized)


class ChainParams(nn.Module):
    """The parameters of K flows: arrays of its own, or linear in a context, one set an example.

    Attributes:
      num_flows: K, at least 1.
      shapes: of the parameters of one flow, by name.
      inits: of the parameters of one flow, by name: (key, shape [K, ...]) -> values. Linear in a context, they are the
        values at a context of 0, and the kernel starts small.
      amortized: whether they are linear in the context.
    """

    num_flows: int
    shapes: Mapping[str, tuple[int, ...]]
    inits: Mapping[str, nn.initializers.Initializer]
    amortized: bool = False

    @nn.compact
    def __call__(self, context: Array | None) -> dict[str, Array]:
        """Return the parameters by name: [K, ...] each, or for a context [B, F] those of each example, [B, K, ...]."""
        stacked = {name: (self.num_flows, *shape) for name, shape in self.shapes.items()}
        flow = type(self.parent).__name__
        for name, leaf in self.variables.get("params", {}).items():  # Linen's own error is no ValueError
            if self.amortized:
                check_shape(f"the kernel of {name} of {flow}", leaf["kernel"], (None, math.prod(stacked[name])))
            else:
                check_shape(f"{name} of {flow}", leaf, stacked[name])
        if not self.amortized:
            return {name: self.param(name, self.inits[name], shape) for name, shape in stacked.items()}
        if context is None:
            raise ValueError(f"The parameters of {flow} depend on a context, expected [B, F], got None.")
        values = {}
        for name, shape in stacked.items():

            def bias(key: Array, flat: tuple[int, ...], dtype: Any, name: str = name, shape: Any = shape) -> Array:
                return self.inits[name](key, shape, dtype).reshape(flat)

            dense = nn.Dense(math.prod(shape), kernel_init=nn.initializers.normal(0.01), bias_init=bias, name=name)
            values[name] = dense(context).reshape(len(context), *shape)
        return values


def check_flow(flow: Any, z: Array, context: Array | None) -> None:
    """Raise unless z [S, B, latent_dim] and a context of B examples are what a flow expects.

    Args:
      flow: a module with `latent_dim` and `num_flows`.
      z: what it is given.
      context: what it is given, [B, F] or None.

    Raises:
      ValueError: that names the flow, what it got and what it expected.
    """
    name = type(flow).__name__
    if flow.num_flows < 0:
        raise ValueError(f"{name} has num_flows {flow.num_flows}, expected at least 0.")
    check_shape(f"z of {name}", z, (None, None, flow.latent_dim))
    if context is not None:
        check_shape(f"context of {name}", context, (z.shape[1], None))
