"""Optimizers with the learning rate as an array of their state, so that the members of a sweep can differ in it."""

import functools
from collections.abc import Callable
from typing import Any, Literal

import jax.numpy as jnp
import optax

from jaxvae.types import Array

FINAL_SHARE = 0.02  # of the learning rate, at the last step
OptimizerName = Literal["adam", "adamax", "muon"]


def cosine_adam(
    learning_rate: float, steps: int, eps: float = 1e-8, b1: float = 0.9, b2: float = 0.999
) -> optax.GradientTransformation:
    """Return Adam whose learning rate falls to 2 % by half a cosine; a sweep can vary `learning_rate`.

    Args:
      learning_rate: of the first step.
      steps: over which it falls.
      eps: Adam's.
      b1: decay of its mean of gradients.
      b2: decay of its mean of their squares.

    Returns:
      The transformation.
    """
    return _falling(functools.partial(optax.adam, b1=b1, b2=b2, eps=eps), learning_rate, steps)


def cosine_optimizer(
    name: OptimizerName, learning_rate: float, steps: int, weight_decay: float = 0.0
) -> optax.GradientTransformation:
    """Return an optimizer by name whose learning rate falls to 2 % by half a cosine; a sweep can vary `learning_rate`.

    Args:
      name: `adam`; `adamax`, with the largest of the last gradients in place of their mean square, which a few very
        large ones disturb less (Kingma & Ba 2015, sec. 7.1); `muon`, which makes the updates of matrices orthogonal
        (Jordan et al. 2024), with Adam for what is no matrix.
      learning_rate: of the first step; of Muon ten times that of Adam is usual.
      steps: over which it falls.
      weight_decay: by which parameters shrink in a step, times the learning rate (Loshchilov & Hutter 2019).

    Returns:
      The transformation.
    """
    make = {"adam": optax.adamw, "adamax": optax.adamaxw, "muon": optax.contrib.muon}[name]
    return _falling(functools.partial(make, weight_decay=weight_decay), learning_rate, steps)


def injected_learning_rate(optimizer: optax.GradientTransformation) -> float | None:
    """Return the learning rate that an optimizer has by `optax.inject_hyperparams`, None where it has none there."""
    state = optimizer.init({"any": jnp.zeros(1)})
    found = optax.tree.get_all_with_path(state, "learning_rate")
    return float(found[0][1]) if found else None


# ---------- private


def _falling(make: Callable[..., Any], learning_rate: float, steps: int) -> optax.GradientTransformation:
    """An optimizer whose learning rate falls by half a cosine, from what its state has."""

    def optimizer(learning_rate: Array) -> optax.GradientTransformation:
        return make(optax.cosine_decay_schedule(learning_rate, steps, alpha=FINAL_SHARE))

    return optax.inject_hyperparams(optimizer)(learning_rate=learning_rate)
