"""Whether a training fits into memory: its state, before anything is compiled, and a program, before it runs."""

import math
from typing import Any

import jax

from jaxvae.data.limits import available_memory
from jaxvae.errors import UserError
from jaxvae.training.parallel import Layout, shardings
from jaxvae.types import TrainState


def check_state_fits(state: TrainState, layout: Layout, num_members: int = 1) -> None:
    """Raise unless the devices of a layout have room for a training: at least its state and what a step adds to it.

    What a step adds are the gradients, and beside it the best parameters so far are kept: each as large as the
    parameters. Activations, which depend on how a program is compiled, come on top.

    Args:
      state: arrays or `jax.ShapeDtypeStruct`s, those of all members with an axis of these.
      layout: on whose devices.
      num_members: of a sweep, for the message.

    Raises:
      UserError: it says how much would be needed, and which array is the largest.
    """
    sizes = _sizes(state, layout)
    needed = sum(sizes.values()) + 2 * sum(size for path, size in sizes.items() if path.startswith("params."))
    available = _available(layout)
    if needed > available:
        largest = max(sizes, key=lambda path: sizes[path])
        leaf = dict(_leaves(state))[largest]
        raise UserError(
            f"The training would take {needed / 1e9:,.1f} GB of memory or more, for the parameters, their gradients "
            f"and what the optimizer keeps of them, {available / 1e9:,.1f} GB are available: make the networks smaller"
            f"{', or train fewer of them together' * (num_members > 1)}. The largest array is {largest}, {leaf.shape}."
        )


def check_program_fits(compiled: Any, layout: Layout) -> None:
    """Raise a `UserError` unless there is room for what a compiled program needs beside its arguments."""
    found = compiled.memory_analysis()
    if found is None:  # of a backend that does not say
        return
    needed = found.temp_size_in_bytes + found.output_size_in_bytes - found.alias_size_in_bytes
    if needed > (available := _available(layout)):
        raise UserError(
            f"A training step would take {needed / 1e9:,.1f} GB of memory beside the parameters, "
            f"{available / 1e9:,.1f} GB are available: make the batch size, the networks or the images smaller."
        )


# ---------- private


def _available(layout: Layout) -> int:
    """Bytes that are free for one device of a layout; those of a CPU share the host's memory."""
    stats = layout.mesh.local_devices[0].memory_stats() or {}
    if "bytes_limit" in stats:
        return stats["bytes_limit"] - stats.get("bytes_in_use", 0)
    return available_memory() // layout.mesh.size


def _leaves(state: TrainState) -> list[tuple[str, Any]]:
    paths = jax.tree_util.tree_leaves_with_path(state)
    return [(jax.tree_util.keystr(path, simple=True, separator="."), leaf) for path, leaf in paths]


def _sizes(state: TrainState, layout: Layout) -> dict[str, int]:
    """Bytes of every leaf on one device."""
    placed = dict(_leaves(shardings(layout, state)))
    return {
        path: math.prod(placed[path].shard_shape(leaf.shape)) * leaf.dtype.itemsize for path, leaf in _leaves(state)
    }
