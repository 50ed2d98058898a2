"""The state of a training before its first step."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import optax

from jaxvae.errors import UserError
from jaxvae.training.checkpoint import Best
from jaxvae.types import Array, Batch, Experiment, PRNGKey, TrainState


def create_train_state(
    experiment: Experiment,
    key: PRNGKey,
    batch: Batch,
    *,
    keep_ema: bool = False,
    start: Best | None = None,
    hparams: Mapping[str, float | Array] | None = None,
) -> TrainState:
    """Return the state at step 0, built inside `jax.jit`, so that every leaf has a buffer of its own to donate.

    Args:
      experiment: gives the initialiser and the optimizer.
      key: split once for the parameters and for the steps.
      batch: real examples, for biases that follow the data.
      keep_ema: whether to keep a moving average of the parameters.
      start: parameters and model state to start from instead of the initialiser's (another run's, for transfer).
      hparams: values that differ from the experiment's own, or from those that its optimizer was given by
        `optax.inject_hyperparams`.

    Returns:
      The state; `init` and `optimizer.init` run compiled.

    Raises:
      UserError: if neither the experiment nor its optimizer has such a hyper-parameter.
    """
    given_values = dict(hparams or {})
    values = {name: given_values.pop(name, value) for name, value in experiment.hparams.items()}

    def create(key: PRNGKey, batch: Batch, given: Best | None) -> TrainState:
        init_key, step_key = jax.random.split(key)
        params, model_state = experiment.init(init_key, batch) if given is None else given
        opt_state = experiment.optimizer.init(params)
        for name, value in given_values.items():
            try:
                opt_state = optax.tree.set(opt_state, **{name: jnp.asarray(value, jnp.float32)})
            except KeyError as error:
                raise UserError(
                    f"There is no hyper-parameter {name} in {experiment.name}: expected one of "
                    f"{', '.join([*experiment.hparams, 'those of its optimizer'])}."
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
