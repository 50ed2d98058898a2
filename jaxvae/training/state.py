"""The state of a training before its first step."""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxvae.errors import UserError
from jaxvae.training.checkpoint import Best
from jaxvae.training.checks import check_initial
from jaxvae.training.step import initial_opt_states
from jaxvae.types import Array, Batch, Dataset, PRNGKey, System, TrainState

COUNTED = 2**31 - 1
ENOUGH = 2**16  # images of which nothing but shapes is computed: codebooks start from no fewer vectors than codes


def create_train_state(
    system: System,
    key: PRNGKey,
    batch: Batch,
    *,
    keep_ema: bool = False,
    start: Best | None = None,
    hparams: Mapping[str, float | Array] | None = None,
) -> TrainState:
    """Return the state at step 0, built inside `jax.jit`, so that every leaf has a buffer of its own to donate.

    Args:
      system: gives the initialiser and the optimizers.
      key: split once for the parameters and for the steps.
      batch: real examples, for biases that follow the data.
      keep_ema: whether to keep a moving average of the parameters.
      start: parameters and model state to start from instead of the initialiser's (another run's, for transfer).
      hparams: values that differ from the system's own, or from those that its optimizers were given by
        `optax.inject_hyperparams`.

    Returns:
      The state; initialisers run compiled.

    Raises:
      UserError: if neither the system nor its optimizers have such a hyper-parameter, or it was loaded for use alone.
    """
    trainable, given_values = system.trainable, dict(hparams or {})
    values = {name: given_values.pop(name, value) for name, value in trainable.hparams.items()}
    if not trainable.players:
        raise UserError(f"{system.name} was loaded for use and has no loss: build it anew to train it further.")

    def create(key: PRNGKey, batch: Batch, given: Best | None) -> TrainState:
        init_key, step_key = jax.random.split(key)
        found = trainable.init(init_key, batch) if given is None else given
        check_initial(found)
        params, model_state = found
        opt_state: Any = initial_opt_states(trainable.players, params)
        for name, value in given_values.items():
            try:
                opt_state = optax.tree.set(opt_state, **{name: jnp.asarray(value, jnp.float32)})
            except KeyError as error:
                raise UserError(
                    f"There is no hyper-parameter {name} in {system.name}: expected one of "
                    f"{', '.join([*trainable.hparams, 'those of its optimizer'])}."
                ) from error
        return TrainState(
            step=jnp.zeros((), jnp.int32),
            params=params,
            opt_state=opt_state,
            model_state=model_state,
            ema_params=jax.tree.map(jnp.copy, params) if keep_ema else None,
            hparams={name: jnp.asarray(value, jnp.float32) for name, value in values.items()},
            key=step_key,
        )

    return jax.jit(create)(key, batch, start)


def abstract_batch(dataset: Dataset, num: int | None = None) -> Batch:
    """Return shapes and types of a batch.

    Args:
      dataset: arrays or `jax.ShapeDtypeStruct`s with an entry an example, [N, ...].
      num: examples of the batch; what these are too few for raises the `UserError` that it would in a training. None
        takes more than are ever needed, of large images no more than have numbers that int32 counts.
    """
    if num is None:
        num = max(1, min(ENOUGH, COUNTED // math.prod(jax.tree.leaves(dataset.x)[0].shape[1:])))
    some = lambda leaf: jax.ShapeDtypeStruct((num, *leaf.shape[1:]), leaf.dtype)  # noqa: E731
    return Batch(*jax.tree.map(some, tuple(dataset)), jax.ShapeDtypeStruct((num,), np.float32))


def abstract_state(system: System, batch: Batch, *, keep_ema: bool = False) -> TrainState:
    """Return the shapes and types of a training's state, without computing any of it."""
    create = lambda key, batch: create_train_state(system, key, batch, keep_ema=keep_ema)  # noqa: E731
    return jax.eval_shape(create, jax.random.key(0), batch)
