"""The layout of devices that fits a system: what `fit` takes where none is given."""

import jax

from jaxvae.training.parallel import Kind, Layout, check_divides, contains_convolutions, make_layout, shard_large
from jaxvae.training.state import abstract_batch, abstract_state
from jaxvae.training.step import step_keys
from jaxvae.types import Dataset, StepInput, System


def choose_layout(
    system: System,
    dataset: Dataset,
    batch_size: int,
    kind: Kind | None = None,
    num_devices: int | None = None,
    *,
    shard_params: bool = False,
) -> Layout:
    """Return the layout in which a system trains fastest, as far as it is not given.

    Args:
      system: to be trained.
      dataset: its examples, of which nothing but shapes and types is looked at.
      batch_size: B.
      kind: None chooses, see `make_layout`.
      num_devices: None chooses.
      shard_params: whether to divide large parameters among the devices.

    Raises:
      UserError: as `make_layout`; if the devices do not divide the batch evenly.
    """
    if shard_params:
        size = make_layout(kind or "sharded", num_devices).mesh.size
        layout = make_layout(kind or "sharded", size, shard_large(size))
    else:
        convolves = jax.default_backend() == "cpu" and _convolves(system, dataset, batch_size)
        layout = make_layout(kind, num_devices, uses_convolutions=convolves)
    check_divides(layout, batch_size)
    return layout


def _convolves(system: System, dataset: Dataset, batch_size: int) -> bool:
    """Whether a loss uses XLA's convolutions, which are slow inside loops on a CPU."""
    batch, state = abstract_batch(dataset, batch_size), abstract_state(system, abstract_batch(dataset))
    keys = jax.eval_shape(lambda state: step_keys(state, batch_size), state)
    inputs = StepInput(batch, keys, state.step, state.hparams)
    return any(contains_convolutions(player.loss, state, inputs) for player in system.trainable.players)
