"""How the step is run on devices: layouts, and arrays on them.

The step is one pure function of (state, batch), and its noise belongs to an example of the global batch, so every
layout gives the same numbers to float32 rounding, on any number of devices and processes:

  step     one compiled step at a time on one device; the data stay in host memory
  scan     many steps in one program on one device, on data that stay on the device
  pmap     the same on every device with its part of the batch; gradients are averaged over the axis "data"
  sharded  the same program as `scan`, compiled for a mesh: the compiler divides the batch, and where a rule says so
           the parameters

Outside of this file and `program.py` a state is always one tree of global arrays, whatever the layout.
"""

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxvae.errors import UserError
from jaxvae.types import Array, Batch, Dataset, LossFn, StepInput, TrainState

Kind = Literal["step", "scan", "pmap", "sharded"]
Rule = Callable[[str, tuple[int, ...]], PartitionSpec]  # (path as "params.encoder.kernel", shape) -> its sharding

AXIS = "data"


class Layout(NamedTuple):
    """Where and how steps are run: what `make_layout` returns."""

    kind: Kind
    mesh: Mesh  # one axis, `AXIS`
    rule: Rule  # for every leaf of a state


# ---------- layouts


def make_layout(
    kind: Kind | None = None,
    num_devices: int | None = None,
    rule: Rule | None = None,
    *,
    uses_convolutions: bool = False,
) -> Layout:
    """Choose devices and the way to run on them.

    Args:
      kind: None takes `sharded` on several devices and `scan` on one; but `step` on a CPU for a model that uses XLA's
        convolutions, which are several times slower inside loops there.
      num_devices: None takes all devices of all processes, but one on a CPU, whose devices share the same cores.
      rule: how to shard the leaves of a state, `sharded` only; None replicates them.
      uses_convolutions: whether the step contains XLA's convolutions, see `contains_convolutions`.

    Returns:
      The layout.

    Raises:
      UserError: if the devices are not there, or the layout cannot use them.
    """
    there = jax.device_count()
    on_cpu = jax.default_backend() == "cpu"
    if num_devices is None:
        num_devices = 1 if (on_cpu and jax.process_count() == 1) or kind in ("step", "scan") else there
    if not 1 <= num_devices <= there:
        backend = jax.default_backend().upper()
        raise UserError(f"{num_devices} devices are asked for, expected 1 to {there}, the {backend} devices there are.")
    if kind is None:
        alone: Kind = "step" if on_cpu and uses_convolutions else "scan"
        kind = alone if num_devices == 1 else "sharded"
    if kind not in get_args(Kind):
        raise UserError(f"The layout is {kind!r}, expected one of {', '.join(get_args(Kind))}.")
    if kind in ("step", "scan") and num_devices > 1:
        raise UserError(f"The layout {kind} runs on one device, {num_devices} are asked for: choose sharded or pmap.")
    if jax.process_count() > 1 and num_devices < there:
        raise UserError(
            f"{jax.process_count()} processes have {there} devices and use all of them, {num_devices} are asked for: "
            "leave out the number and choose the layout sharded or pmap."
        )
    if rule is not None and kind != "sharded":
        raise UserError(f"The layout {kind} replicates parameters: choose sharded, which can divide them.")
    mesh = Mesh(np.array(jax.devices()[:num_devices]), (AXIS,), axis_types=(AxisType.Auto,))
    return Layout(kind, mesh, rule or replicated)


def sweep_layout(num_members: int, num_devices: int | None = None) -> Layout:
    """Return the layout that divides members among devices, as many as there are and divide them evenly.

    Args:
      num_members: M, the length of the first axis of every leaf of the state.
      num_devices: at most; None as in `make_layout`.

    Raises:
      UserError: as `make_layout`.
    """
    there = make_layout("sharded", num_devices).mesh.size
    used = max(number for number in range(1, there + 1) if num_members % number == 0)
    if jax.process_count() > 1:
        used = there  # no process can be left out: `Program` says what to do
    return make_layout("sharded", used, rule=lambda path, shape: PartitionSpec(AXIS))


def local_layout() -> Layout:
    """Return the layout of one device of this process, for what processes do each on their own."""
    return Layout("scan", Mesh(np.array(jax.local_devices()[:1]), (AXIS,), axis_types=(AxisType.Auto,)), replicated)


def replicated(path: str, shape: tuple[int, ...]) -> PartitionSpec:
    """Keep a leaf whole on every device: the `Rule` of data parallelism."""
    return PartitionSpec()


def shard_large(num_devices: int, min_size: int = 2**16) -> Rule:
    """Divide every leaf of at least `min_size` entries along its longest axis that the devices divide evenly.

    Parameters, moments of the optimizer and moving averages have the same shapes, so each device keeps the same part of
    all of them (Rajbhandari et al. 2020, arXiv:1910.02054: ZeRO, stage 3).
    """

    def rule(path: str, shape: tuple[int, ...]) -> PartitionSpec:
        axes = [axis for axis, size in enumerate(shape) if size % num_devices == 0]
        if math.prod(shape) < min_size or not axes:
            return PartitionSpec()
        longest = max(axes, key=lambda axis: shape[axis])
        return PartitionSpec(*([None] * longest), AXIS)

    return rule


def contains_convolutions(loss: LossFn, state: Any, inputs: StepInput) -> bool:
    """Whether a loss uses XLA's convolutions, found by tracing it with (abstract) arguments."""
    return "conv_general_dilated[" in str(jax.make_jaxpr(loss)(state.params, state.model_state, inputs))


def check_divides(layout: Layout, batch_size: int) -> None:
    """Raise a `UserError` unless the devices of a layout divide a batch evenly."""
    if batch_size % layout.mesh.size:
        raise UserError(
            f"A batch of {batch_size} cannot be divided evenly among {layout.mesh.size} devices: choose a multiple of "
            f"{layout.mesh.size}, or fewer devices."
        )


# ---------- arrays


def divided(layout: Layout, *spec: str | None) -> NamedSharding:
    """Return the sharding of an array divided along the axes named in `spec`, whole everywhere without any."""
    return NamedSharding(layout.mesh, PartitionSpec(*spec))


def shardings(layout: Layout, tree: Any) -> Any:
    """Return the sharding of every leaf of a state by the layout's rule."""

    def one(path: Any, leaf: Any) -> NamedSharding:
        return divided(layout, *layout.rule(jax.tree_util.keystr(path, simple=True, separator="."), leaf.shape))

    return jax.tree_util.tree_map_with_path(one, tree)


def abstract(layout: Layout, tree: Any) -> Any:
    """Return shapes, types and shardings of a state, which is what restoring it needs."""
    describe = lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)  # noqa: E731
    return jax.tree.map(describe, tree, shardings(layout, tree))


def create(layout: Layout, function: Callable[..., TrainState], *arguments: Any) -> TrainState:
    """Return function(*arguments), compiled, every leaf born where the layout wants it."""
    placed = shardings(layout, jax.eval_shape(function, *arguments))
    return jax.jit(function, out_shardings=placed)(*arguments)


def put(layout: Layout, tree: Any, *spec: str | None) -> Any:
    """Return numpy arrays, the same in every process, as global arrays divided along the axes named in `spec`."""

    def one(leaf: Any) -> Array:
        leaf = np.asarray(leaf)
        return jax.make_array_from_callback(leaf.shape, divided(layout, *spec), lambda index: leaf[index])

    return jax.tree.map(one, tree)


def on_one_device(layout: Layout, tree: Any) -> Any:
    """Return a copy of arrays on the first device of this process, for what is done outside of the layout."""
    copies = jax.jit(lambda tree: jax.tree.map(jnp.copy, tree), out_shardings=divided(layout))(tree)
    return jax.tree.map(lambda leaf: leaf.addressable_data(0), copies)


def take(dataset: Dataset, rows: Any) -> Batch:
    """Return the rows [..., B] of a data set: in host memory if both are numpy's, else inside a compiled program."""
    xp: Any = np if isinstance(rows, np.ndarray) else jnp
    data = jax.tree.map(lambda leaf: xp.take(leaf, rows, axis=0), dataset)
    return Batch(data.x, data.labels, xp.ones(rows.shape, np.float32))
