"""Optimizers with the learning rate as an array of their state, so that the members of a sweep can differ in it."""

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
