"""The trained first stage of a two-stage system: its variables are part of the second stage's model state."""

import jax
import jax.numpy as jnp

from jaxvae.training.state import abstract_batch
from jaxvae.types import Dataset, ModelState, Params, Parts, System


def variables_or_zeros(parts: Parts, variables: tuple[Params, ModelState] | None) -> ModelState:
    """Return parameters and state of the first stage as part of the second stage's model state.

    Args:
      parts: of the model.
      variables: its parameters and state; None where shapes are enough, as for restoring a checkpoint.

    Returns:
      {"params": ..., "state": ...}.
    """
    if variables is None:
        variables = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), abstract_variables(parts))
    return dict(zip(("params", "state"), variables, strict=True))


def abstract_variables(model: Parts | System) -> tuple[Params, ModelState]:
    """Return shapes and types of a model's parameters and state, without computing any of it and without data."""
    images = Dataset(jax.ShapeDtypeStruct((1, *model.spec.shape), jnp.uint8), None)
    init = model.trainable.init if isinstance(model, System) else model.init
    return jax.eval_shape(init, jax.random.key(0), abstract_batch(images))
