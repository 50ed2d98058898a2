"""How the step is run on devices: the one file that knows them.

The step is one pure function of (state, batch), and its noise belongs to an example of the global batch, so every
layout gives the same numbers to float32 rounding, on any number of devices and processes:

  step     one compiled step at a time on one device; the data stay in host memory
  scan     many steps in one program on one device, on data that stay on the device
  pmap     the same on every device with its part of the batch; gradients are averaged over the axis "data"
  sharded  the same program as `scan`, compiled for a mesh: the compiler divides the batch, and where a rule says so
           the parameters

Outside of this file a state is always one tree of global arrays, whatever the layout.
"""

import math
import time
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxvae.errors import UserError
from jaxvae.training.step import TrainStep
from jaxvae.types import Array, Batch, Dataset, LossFn, Metrics, StepInput, TrainState

Kind = Literal["step", "scan", "pmap", "sharded"]
Rule = Callable[[str, tuple[int, ...]], PartitionSpec]  # (path as "params.encoder.kernel", shape) -> its sharding
MakeStep = Callable[[str | None], TrainStep]  # axis_name -> step

AXIS = "data"
LARGE_MEMBER = 2**20  # bytes of a state: an MLP of 100,000 parameters with Adam's moments
RESIDENT_SHARE = 0.25  # of a device's memory that a data set may take


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


# ---------- programs


class Program:
    """A training step on the devices of a layout and a data set, compiled once for every number of steps.

    A data set stays on the devices, replicated, where one process has it and it takes at most a quarter of their
    memory; else the rows of each chunk are gathered in host memory, by each process those of its own devices.

    Args:
      layout: where and how.
      make_step: axis_name -> step.
      dataset: N examples in host memory.
      batch_size: B, or M, the members of a sweep: what is divided among the devices.
      members: whether this trains the members of a sweep, whose states and rows have an axis [M]. They take their steps
        side by side, by `vmap`; but members of more than `LARGE_MEMBER` bytes on one CPU device one after another, all
        steps of a program each: its matrix products gain nothing from a batch, and its caches hold one state, not all.

    Raises:
      UserError: if the devices do not divide the batch evenly.
    """

    def __init__(
        self, layout: Layout, make_step: MakeStep, dataset: Dataset, batch_size: int, *, members: bool = False
    ) -> None:
        if batch_size % layout.mesh.size:
            raise UserError(
                f"A batch of {batch_size} cannot be divided evenly among {layout.mesh.size} devices: choose a multiple "
                f"of {layout.mesh.size}, or fewer devices."
            )
        self.layout = layout
        self._members = members
        self.compile_seconds = 0.0
        self._step = make_step(AXIS if layout.kind == "pmap" else None)
        self._host = jax.tree.map(np.asarray, dataset)
        self._resident = put(layout, self._host) if _fits(layout, self._host) else None
        self._compiled: dict[int, Callable] = {}

    def feed(self, rows: np.ndarray) -> Any:
        """Return what the devices need for the steps that take rows [T, B] (members: [T, M, B]) of the data set."""
        if self.layout.kind == "step":
            return [put(self.layout, take(self._host, step_rows)) for step_rows in rows]
        if self.layout.kind == "pmap":
            parts = rows.reshape(len(rows), self.layout.mesh.size, -1)[:, _local_positions(self.layout.mesh)]
            return parts if self._resident is not None else take(self._host, parts)
        if self._resident is not None:
            return put(self.layout, rows, None, AXIS)
        sharding = divided(self.layout, None, AXIS)

        def gather(leaf: np.ndarray) -> Array:
            part = lambda index: leaf[rows[index[: rows.ndim]]]  # noqa: E731
            return jax.make_array_from_callback((*rows.shape, *leaf.shape[1:]), sharding, part)

        data = jax.tree.map(gather, self._host)
        return Batch(data.x, data.labels, put(self.layout, np.ones(rows.shape, np.float32), None, AXIS))

    def __call__(self, state: TrainState, chunk: Any) -> tuple[TrainState, Metrics]:
        """Run the steps of a chunk that `feed` gave: (new state, metrics [T]); the old state is donated.

        It returns as soon as the devices have their orders, but in the layout `step`.
        """
        if self.layout.kind == "step":
            return self._one_by_one(state, chunk)
        num_steps = len(jax.tree.leaves(chunk)[0])
        if num_steps not in self._compiled:
            self._compiled[num_steps] = self._compile(self._many_steps(state), state, self._resident, chunk)
        state, metrics = self._compiled[num_steps](state, self._resident, chunk)
        return (_global(self.layout, state) if self.layout.kind == "pmap" else state), metrics

    def _one_by_one(self, state: TrainState, batches: list[Batch]) -> tuple[TrainState, Metrics]:
        if 1 not in self._compiled:
            self._compiled[1] = self._compile(jax.jit(self._step, donate_argnums=0), state, batches[0])
        collected = []
        for batch in batches:
            state, metrics = self._compiled[1](state, batch)
            collected.append(metrics)
        return state, jax.tree.map(lambda *values: np.stack(values), *jax.device_get(collected))

    def _many_steps(self, state: TrainState) -> Any:
        def many_steps(state: TrainState, dataset: Dataset | None, chunk: Any) -> tuple[TrainState, Metrics]:
            def one(state: TrainState, entry: Any) -> tuple[TrainState, Metrics]:
                examples = entry if dataset is None else take(dataset, entry)
                if self.layout.kind == "sharded" and not self._members:
                    examples = jax.lax.with_sharding_constraint(examples, divided(self.layout, AXIS))
                return self._step(state, examples)

            return jax.lax.scan(one, state, chunk)

        if self._members:
            cpu = jax.default_backend() == "cpu" and self.layout.mesh.size == 1
            large = sum(leaf.nbytes for leaf in jax.tree.leaves(state)) > LARGE_MEMBER * len(state.step)
            members_steps = _in_turn(many_steps) if cpu and large else jax.vmap(many_steps, (0, None, 1), (0, 1))
            return jax.jit(members_steps, out_shardings=self._kept(state), donate_argnums=0)
        if self.layout.kind == "pmap":
            devices = list(self.layout.mesh.devices.flat)
            return jax.pmap(many_steps, AXIS, in_axes=(None, None, 1), out_axes=None, devices=devices, donate_argnums=0)
        return jax.jit(many_steps, out_shardings=self._kept(state), donate_argnums=0)

    def _kept(self, state: TrainState) -> Any:
        return jax.tree.map(lambda leaf: leaf.sharding, state), divided(self.layout)

    def _compile(self, function: Any, *arguments: Any) -> Callable:
        if self.layout.kind == "pmap" and jax.process_count() > 1:
            return function  # compiled ahead, it would ask for the arguments of all processes
        began = time.perf_counter()
        compiled = function.lower(*arguments).compile()
        self.compile_seconds += time.perf_counter() - began
        return compiled


# ---------- private


def _in_turn(steps: Callable) -> Callable:
    """`vmap` of a program over states [M, ...] and chunks [T, M, ...], one member after another, in place."""

    def all_members(state: TrainState, dataset: Dataset | None, chunk: Any) -> tuple[TrainState, Metrics]:
        def one(state: TrainState, entry: Any) -> tuple[TrainState, Metrics]:
            i, part = entry
            member = jax.tree.map(lambda leaf: jax.lax.dynamic_index_in_dim(leaf, i, keepdims=False), state)
            member, metrics = steps(member, dataset, part)
            put_back = lambda leaf, new: jax.lax.dynamic_update_index_in_dim(leaf, new, i, 0)  # noqa: E731
            return jax.tree.map(put_back, state, member), metrics

        parts = jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 1, 0), chunk)
        number = len(jax.tree.leaves(parts)[0])
        state, metrics = jax.lax.scan(one, state, (jnp.arange(number), parts))
        return state, jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, 1), metrics)

    return all_members


def _fits(layout: Layout, dataset: Dataset) -> bool:
    if layout.kind == "step" or jax.process_count() > 1:
        return False
    stats = layout.mesh.devices.flat[0].memory_stats() or {}  # None on a CPU, whose memory is the host's
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(dataset))
    return size <= RESIDENT_SHARE * stats.get("bytes_limit", math.inf)


def _local_positions(mesh: Mesh) -> list[int]:
    return [i for i, device in enumerate(mesh.devices.flat) if device.process_index == jax.process_index()]


def _global(layout: Layout, tree: Any) -> Any:
    """Arrays of all devices from what pmap returns, which knows only those of this process."""
    if jax.process_count() == 1:
        return tree

    def one(leaf: Array) -> Array:
        parts = [shard.data for shard in leaf.addressable_shards]
        return jax.make_array_from_single_device_arrays(leaf.shape, divided(layout), parts)

    return jax.tree.map(one, tree)
