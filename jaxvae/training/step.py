"""One training step, the same for every model and every device layout."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import optax

from jaxvae.keys import example_keys
from jaxvae.training.checks import check_loss
from jaxvae.types import Array, Batch, Metrics, ModelState, Params, Player, StepInput, StepKeys, TrainState, owns_all

TrainStep = Callable[[TrainState, Batch], tuple[TrainState, Metrics]]

_SHARED = 0xFFFFFFFF  # an index that no example of a batch has


def make_train_step(
    players: Sequence[Player],
    *,
    alternating: bool = False,
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
      players: each with a name of its own, the mean loss of the examples at hand, whose metrics may not be named
        `loss`, `grad_norm`, `finite` or `skipped`, and an optimizer that is applied to the mean gradient of the
        parameters it owns. The model state goes from one to the next; all get the same keys, so that they see the same
        noise unless they fold in something of their own.
      alternating: whether a player sees the parameters that those before it have moved in this step, or all take their
        gradients at the same parameters.
      ema_decay: of the moving average in `state.ema_params`, (1 + t) / (10 + t) at step t while that is less; unused
        where the state keeps none.
      clip_norm: the gradient of every player that has a larger global l2 norm is scaled down to it; None leaves all.
      skip_norm: a step is skipped as a whole if the global l2 norm of the gradients of all players together, before
        clipping, is larger; None skips none.
      axis_name: mapped axis of replicas that share the batch, None where one program sees the whole batch.

    Returns:
      The step. Metrics are those of all players, averaged over replicas, and loss, grad_norm (global l2 norm of all
      gradients, before clipping), finite and skipped. What a later player calls as one before it has the name of the
      player behind it: loss_NAME, kl_NAME. The first trace raises a `UserError` for a loss that is not one number
      beside its state and metrics.

    Raises:
      ValueError: if two players have the same name.
    """
    names = [player.name for player in players]
    if len(set(names)) < len(names):
        raise ValueError(f"The players are called {', '.join(names)}, expected a name of its own for each.")
    turns = [[move] for move in enumerate(players)] if alternating else [list(enumerate(players))]

    def train_step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        keys = step_keys(state, batch.mask.shape[0], axis_name)
        inputs = StepInput(batch, keys, state.step, state.hparams, axis_name)
        metrics: Metrics = {}
        at, norms, losses = state, [], []
        for turn in turns:
            before, moves = at, []
            for place, player in turn:
                grads, model_state, found = _gradient(player, before.params, at.model_state, inputs)
                at = at._replace(model_state=model_state)
                losses.append(found["loss"])
                metrics |= _told_apart(found, metrics, player)
                norms.append(optax.tree.norm(grads))
                if clip_norm is not None:
                    scale = jnp.minimum(1.0, clip_norm / jnp.maximum(norms[-1], jnp.finfo(jnp.float32).tiny))
                    grads = jax.tree.map(lambda grad, scale=scale: grad * scale, grads)
                moves.append((place, player, grads))
            if turn is not turns[-1]:
                at = _moved(at, moves)
        grad_norm = norms[0] if len(norms) == 1 else jnp.linalg.norm(jnp.stack(norms))
        finite = jnp.isfinite(sum(losses)) & jnp.isfinite(grad_norm)
        if skip_norm is None:
            taken, skipped = finite, jnp.zeros((), jnp.float32)
        else:
            taken = finite & (grad_norm <= skip_norm)
            skipped = 1.0 - taken.astype(jnp.float32)
            finite = jnp.ones_like(taken)

        def updated(old: TrainState) -> TrainState:
            new = _moved(at._replace(params=old.params, opt_state=old.opt_state) if len(turns) == 1 else at, moves)
            if old.ema_params is None:
                return new
            # Early on a shorter memory, so that the initial parameters are soon forgotten.
            decay = jnp.minimum(ema_decay, (1.0 + old.step) / (10.0 + old.step))
            return new._replace(ema_params=optax.incremental_update(new.params, old.ema_params, 1.0 - decay))

        new_state = _where(taken, updated, state)
        new_state = new_state._replace(step=state.step + finite.astype(state.step.dtype))
        flags = {"finite": finite.astype(jnp.float32), "skipped": skipped}
        return new_state, {**metrics, "grad_norm": grad_norm, **flags}

    return train_step


def _gradient(
    player: Player, params: Params, model_state: ModelState, inputs: StepInput
) -> tuple[Params, ModelState, Metrics]:
    """The gradient of what a player owns, the new model state, and its loss and metrics, means over the replicas."""

    def loss(owned: Params) -> tuple[Array, tuple[ModelState, Metrics]]:
        found = player.loss(_put_back(player, params, owned), model_state, inputs)
        check_loss(player.name, found)
        return found

    # The gradient of the local loss, then the mean: differentiating through a mean over replicas would be wrong.
    (value, (model_state, metrics)), grads = jax.value_and_grad(loss, has_aux=True)(_owned(player, params))
    if inputs.axis_name:
        value, metrics, grads = jax.lax.pmean((value, metrics, grads), inputs.axis_name)
    return grads, model_state, {**metrics, "loss": value}


def _told_apart(found: Metrics, before: Metrics, player: Player) -> Metrics:
    """The metrics of a player, with its name behind those that players before it have too."""
    return {f"{name}_{player.name}" if name in before else name: value for name, value in found.items()}


def _moved(state: TrainState, moves: Sequence[tuple[int, Player, Params]]) -> TrainState:
    """The state after the updates of some players: (place among all players, player, its gradient)."""
    params, opt_states = state.params, list(state.opt_state)
    for place, player, grads in moves:
        owned = _owned(player, params)
        updates, opt_states[place] = player.optimizer.update(grads, opt_states[place], owned)
        params = _put_back(player, params, optax.apply_updates(owned, updates))
    return state._replace(params=params, opt_state=tuple(opt_states))


def _owned(player: Player, params: Params) -> Params:
    if player.owns is owns_all:
        return params
    return {name: entry for name, entry in params.items() if player.owns(name)}


def _put_back(player: Player, params: Params, owned: Params) -> Params:
    return owned if player.owns is owns_all else {**params, **owned}


def initial_opt_states(players: Sequence[Player], params: Params) -> tuple[optax.OptState, ...]:
    """Return the state of every player's optimizer, for the parameters that it owns.

    Raises:
      ValueError: if an entry of the parameters has no owner, or several.
    """
    if not (len(players) == 1 and players[0].owns is owns_all):
        for name in params:
            owners = [player.name for player in players if player.owns(name)]
            if len(owners) != 1:
                raise ValueError(f"The parameters {name} are owned by {owners or 'no player'}, expected one of them.")
    return tuple(player.optimizer.init(_owned(player, params)) for player in players)


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
