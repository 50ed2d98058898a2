"""One training step, the same for every model and every device layout."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from jaxvae.types import Array, Batch, LossFn, Metrics, PRNGKey, StepInput, StepKeys, TrainState

TrainStep = Callable[[TrainState, Batch], tuple[TrainState, Metrics]]

_SHARED = 0xFFFFFFFF  # an index that no example of a batch has


def make_train_step(
    loss_fn: LossFn,
    optimizer: optax.GradientTransformation,
    *,
    ema_decay: float = 0.0,
    clip_norm: float | None = None,
    skip_norm: float | None = None,
    axis_name: str | None = None,
) -> TrainStep:
    """Return a pure step, (state, batch) -> (state, metrics), to be compiled by `jaxvae.training.parallel`.

    A step whose loss or gradients are not finite changes nothing, not even the step counter: the state stays
    the last good one, and the metric `finite` is 0, so that the loop can stop and name the step. With `skip_norm` it is
    skipped instead, as one whose gradient is far out: only the step counter moves, on to the next batch and noise
    (Child 2021, arXiv:2011.10650, appendix), and the metric `skipped` is 1.

    Args:
      loss_fn: mean loss of the examples at hand; its metrics may not be named `loss`, `grad_norm`, `finite` or
        `skipped`.
      optimizer: applied to the mean gradient.
      ema_decay: of the moving average in `state.ema_params`, (1 + t) / (10 + t) at step t while that is less; unused
        where the state keeps none.
      clip_norm: gradients of a larger global l2 norm are scaled down to it; None leaves them.
      skip_norm: steps of a larger global l2 norm, before clipping, are skipped; None skips none.
      axis_name: mapped axis of replicas that share the batch, None where one program sees the whole batch.

    Returns:
      The step. Metrics are those of the loss, averaged over replicas, and loss, grad_norm (global l2 norm, before
      clipping), finite and skipped.
    """

    def train_step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        keys = step_keys(state, batch.mask.shape[0], axis_name)
        inputs = StepInput(batch, keys, state.step, state.hparams, axis_name)
        # The gradient of the local loss, then the mean: differentiating through a mean over replicas would be wrong.
        gradient = jax.value_and_grad(loss_fn, has_aux=True)
        (loss, (model_state, metrics)), grads = gradient(state.params, state.model_state, inputs)
        if axis_name:
            loss, metrics, grads = jax.lax.pmean((loss, metrics, grads), axis_name)

        grad_norm = optax.tree.norm(grads)
        if clip_norm is not None:
            scale = jnp.minimum(1.0, clip_norm / jnp.maximum(grad_norm, jnp.finfo(jnp.float32).tiny))
            grads = jax.tree.map(lambda grad: grad * scale, grads)
        finite = jnp.isfinite(loss) & jnp.isfinite(grad_norm)
        if skip_norm is None:
            taken, skipped = finite, jnp.zeros((), jnp.float32)
        else:
            taken = finite & (grad_norm <= skip_norm)
            skipped = 1.0 - taken.astype(jnp.float32)
            finite = jnp.ones_like(taken)

        def updated(old: TrainState) -> TrainState:
            updates, opt_state = optimizer.update(grads, old.opt_state, old.params)
            params = optax.apply_updates(old.params, updates)
            ema_params = old.ema_params
            if ema_params is not None:
                # Early on a shorter memory, so that the initial parameters are soon forgotten.
                decay = jnp.minimum(ema_decay, (1.0 + old.step) / (10.0 + old.step))
                ema_params = optax.incremental_update(params, ema_params, 1.0 - decay)
            return old._replace(params=params, opt_state=opt_state, model_state=model_state, ema_params=ema_params)

        new_state = _where(taken, updated, state)
        new_state = new_state._replace(step=state.step + finite.astype(state.step.dtype))
        flags = {"finite": finite.astype(jnp.float32), "skipped": skipped}
        return new_state, {**metrics, "loss": loss, "grad_norm": grad_norm, **flags}

    return train_step


def _where(condition: Array, new: Callable[[TrainState], TrainState], old: TrainState) -> TrainState:
    """Return new(old) where a condition holds, else old.

    On a CPU, where memory is what an optimizer waits for, a branch saves the selection a pass over old and new (7 % of
    an MLP's step); on a GPU a branch would wait for the host at every step.
    """
    if jax.default_backend() == "cpu":
        return jax.lax.cond(condition, new, lambda old: old, old)
    return jax.tree.map(lambda a, b: b if a is b else jnp.where(condition, a, b), new(old), old)


def step_keys(state: TrainState, num_local: int, axis_name: str | None = None) -> StepKeys:
    """Return the keys of one step: noise belongs to an example of the global batch, never to a device.

    Args:
      state: its key and step are folded, never consumed.
      num_local: examples of this replica's part of the batch.
      axis_name: mapped axis of replicas; replica r holds examples r * num_local and following.
    """
    key = jax.random.fold_in(state.key, state.step)
    first = jax.lax.axis_index(axis_name) * num_local if axis_name else 0
    return StepKeys(
        examples=example_keys(key, first + jnp.arange(num_local)),
        shared=jax.random.fold_in(key, _SHARED),
    )


def example_keys(key: PRNGKey, indices: jax.Array) -> PRNGKey:
    """Return one key per example, key [] and indices [B] -> [B]."""
    return jax.vmap(lambda index: jax.random.fold_in(key, index))(indices)
