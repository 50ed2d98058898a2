"""Optimizers with the learning rate as an array of their state, so that the members of a sweep can differ in it."""

from typing import Literal

import jax.numpy as jnp
import optax

from jaxvae.types import Array

FINAL_SHARE = 0.02  # of the learning rate, at the last step
OptimizerName = Literal["adam", "adamax", "muon"]


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

    def optimizer(learning_rate: Array) -> optax.GradientTransformation:
        schedule = optax.cosine_decay_schedule(learning_rate, steps, alpha=FINAL_SHARE)
        if name == "muon":
            return optax.contrib.muon(schedule, weight_decay=weight_decay)
        scaled = optax.scale_by_adam() if name == "adam" else optax.scale_by_adamax()
        decayed = optax.add_decayed_weights(weight_decay) if weight_decay else optax.identity()
        return optax.chain(scaled, decayed, optax.scale_by_learning_rate(schedule))

    return optax.inject_hyperparams(optimizer)(learning_rate=learning_rate)


def injected_learning_rate(optimizer: optax.GradientTransformation) -> float | None:
    """Return the learning rate that an optimizer has by `optax.inject_hyperparams`, None where it has none there."""
    state = optimizer.init({"any": jnp.zeros(1)})
    found = optax.tree.get_all_with_path(state, "learning_rate")
    return float(found[0][1]) if found else None
