"""Training steps of a model on the devices of a layout, through the library's own `Program`."""

import functools
from typing import Any

import jax
import numpy as np

from benchmarks.models import Model
from benchmarks.records import Record, record, share
from benchmarks.timing import spread
from jaxvae.data import batch_indices, padded_batches
from jaxvae.training import Layout, Program, create_train_state, make_train_step
from jaxvae.training.parallel import create
from jaxvae.types import Dataset, TrainState


class Steps:
    """Training steps of a model, one program of them a call, fed as `fit` feeds them."""

    def __init__(self, model: Model, layout: Layout, num_images: int, batch_size: int, num_steps: int) -> None:
        system, dataset = model.system, Dataset(model.data(num_images), None)
        self.model, self.layout = model, layout
        self.batch_size, self.num_images = batch_size, batch_size * num_steps
        self._rows = lambda start: batch_indices(0, num_images, batch_size, start, num_steps)
        make_step = functools.partial(make_train_step, system.trainable.players)
        self._program = Program(layout, lambda axis_name: make_step(axis_name=axis_name), dataset, batch_size)
        batch = next(padded_batches(dataset, min(1000, num_images)))[1]
        self._state = create(layout, functools.partial(create_train_state, system), jax.random.key(0), batch)
        self._done, self._num_steps = 0, num_steps
        self._chunk = self._program.feed(self._rows(0))

    def __call__(self) -> TrainState:
        """Take the steps and return the state, which the next call donates."""
        self._state, _ = self._program(self._state, self._chunk)
        self._done += self._num_steps
        self._chunk = self._program.feed(self._rows(self._done))  # while the devices are busy
        return self._state

    @property
    def compile_seconds(self) -> float:
        """Of lowering and compilation, after the first call."""
        return self._program.compile_seconds


def training_record(
    suite: str, case: str, steps: Steps, seconds: np.ndarray, ceiling: float, quick: bool, **more: Any
) -> Record:
    """Return the record of some steps.

    Args:
      suite: name.
      case: name.
      steps: what ran.
      seconds: of every repetition.
      ceiling: FLOP/s of matrix products of the same type on one device.
      quick: whether the sizes are tiny.
      **more: further numbers.
    """
    rate = spread(steps.num_images / seconds)
    devices = 1 if jax.default_backend() == "cpu" else steps.layout.mesh.size  # those of a CPU share its cores
    return record(
        suite,
        case,
        layout=steps.layout.kind,
        images_per_second=rate,
        compile_seconds=steps.compile_seconds,
        **share(rate.median, steps.model.flops.training, ceiling * devices),
        batch_size=steps.batch_size,
        repetitions=len(seconds),
        **more,
        quick=quick,
    )
