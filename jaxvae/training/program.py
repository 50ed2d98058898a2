"""A training step compiled for the devices of a layout, with the data on them or fed from host memory."""

import math
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxvae.training.memory import check_program_fits
from jaxvae.training.parallel import AXIS, Layout, check_divides, divided, put, take
from jaxvae.training.step import TrainStep
from jaxvae.types import Array, Batch, Dataset, Metrics, TrainState

MakeStep = Callable[[str | None], TrainStep]  # axis_name -> step

LARGE_MEMBER = 2**20  # bytes of a state: an MLP of 100,000 parameters with Adam's moments
RESIDENT_SHARE = 0.25  # of a device's memory that a data set may take


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
        check_divides(layout, batch_size)
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
        check_program_fits(compiled, self.layout)
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
