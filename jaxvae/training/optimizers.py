"""Optimizers with the learning rate as an array of their state, so that the members of a sweep can differ in it."""

import jax.numpy as jnp
import optax

from jaxvae.types import Array

FINAL_SHARE = 0.02  # of the learning rate, at the last step


def cosine_adam(learning_rate: float, steps: int, eps: float = 1e-8) -> optax.GradientTransformation:
    """Return Adam whose learning rate falls to 2 % by half a cosine; a sweep can vary `learning_rate`.

    Args:
      learning_rate: of the first step.
      steps: over which it falls.
      eps: Adam's.

    Returns:
      The transformation.
    """

    def adam(learning_rate: Array) -> optax.GradientTransformation:
        return optax.adam(optax.cosine_decay_schedule(learning_rate, steps, alpha=FINAL_SHARE), eps=eps)

    return optax.inject_hyperparams(adam)(learning_rate=learning_rate)


def injected_learning_rate(optimizer: optax.GradientTransformation) -> float | None:
    """Return the learning rate that an optimizer has by `optax.inject_hyperparams`, None where it has none there."""
    state = optimizer.init({"any": jnp.zeros(1)})
    found = optax.tree.get_all_with_path(state, "learning_rate")
    return float(found[0][1]) if found else None
