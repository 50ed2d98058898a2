"""Sample new images from a trained system."""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxvae.capabilities import Generates, GeneratesClasses, GeneratesTempered, find, require
from jaxvae.data.arrays import as_array
from jaxvae.data.limits import check_memory
from jaxvae.errors import UserError, whole_number
from jaxvae.progress import progress
from jaxvae.training import evaluation_batch_size
from jaxvae.types import Array, DataSpec, ModelState, Params, PRNGKey, Samples, System

BATCH = 100  # images that are drawn at a time
NUMBERS = 10_000  # or so many numbers, of what is smaller than images


def sample(
    system: System,
    params: Params,
    model_state: ModelState,
    key: PRNGKey,
    num: int,
    *,
    label: Any = None,
    temperature: float = 1.0,
) -> Samples:
    """Sample new images.

    They are drawn in batches of one size, the i-th with the key fold_in(key, i): one program for any number of them, in
    bounded memory, and fewer images are the first ones of more.

    Args:
      system: one that generates.
      params: its parameters.
      model_state: its state.
      key: of the draws.
      num: of images.
      label: class of all images, a number or its name, or of each, [num]; by default a system that knows classes draws
        them in turn.
      temperature: above 0, with which the standard deviation of a prior N(0, I) is multiplied, and by which the
        log-probabilities of an autoregressive model are divided: below 1 images are more likely and less various.

    Returns:
      Images [num, H, W, C] in [0, 1] as numpy arrays, and their means where there are any; points of a flow in the
      plane, [num, 2], as they are.

    Raises:
      UserError: if the system cannot draw images, or not so, an argument makes no sense, or there is no room for them.
    """
    num, size = whole_number("num", num), batch_size(system.spec)
    check_memory(2 * 4 * num * math.prod(system.spec.shape), f"{num:,} samples with their means")
    draw = _draw_of(system, label is not None, _positive("temperature", temperature))
    num_batches = -(-num // size)
    labels = labels_of(system, label, num, num_batches * size)
    parts = [
        jax.tree.map(np.asarray, draw(jax.random.fold_in(key, i), params, model_state, labels[i * size :][:size]))
        for i in progress(range(num_batches), "samples")
    ]
    drawn = jax.tree.map(lambda *leaves: np.concatenate(leaves)[:num], *parts)
    # What is drawn tells images, which codes may stand for, from points.
    return jax.tree.map(lambda x: np.clip(x, 0, 1), drawn) if drawn.x.ndim == 4 else drawn


def labels_of(system: System, label: Any, num: int, most: int) -> np.ndarray:
    """Return the classes of samples, [most] int32: those in turn by default, and as many as are asked for.

    Args:
      system: which draws them.
      label: a class, a number or its name, or one for each sample, [num]; or None.
      num: of samples.
      most: that are drawn.

    Raises:
      UserError: if there is no such class, or the system draws no images of classes.
    """
    able = find(system, GeneratesClasses)
    if label is None:
        return np.arange(most, dtype=np.int32) % (able.num_classes if able else 1)
    of_classes, names = require(system, GeneratesClasses), system.spec.classes
    if isinstance(label, str):
        if label not in names:
            raise UserError(f"label is {label!r}, expected one of {', '.join(names) or 'the numbers of classes'}.")
        label = names.index(label)
    given = as_array(label, "labels")
    if given.dtype.kind not in "ui" or given.shape not in ((), (num,)):
        raise UserError(f"label is {given.dtype} of shape {list(given.shape)}, expected a class, or {num} of them.")
    if given.min() < 0 or given.max() >= of_classes.num_classes:
        raise UserError(f"label is {label}, the classes of {system.name} are from 0 to {of_classes.num_classes - 1}.")
    each = np.broadcast_to(given, (num,)).astype(np.int32)
    return np.pad(each, (0, most - num), mode="edge")


def batch_size(spec: DataSpec) -> int:
    """Return how many examples are drawn at a time; of classes in turn, as many of every class."""
    most = max(BATCH, NUMBERS // math.prod(spec.shape))
    size, classes = min(most, evaluation_batch_size(spec)), max(1, spec.num_classes)
    return classes * max(1, size // classes)


# ---------- private


def _positive(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 < number < math.inf:
        raise UserError(f"{name} is {value}, expected a number above 0.")
    return number


def _draw_of(system: System, by_class: bool, temperature: float) -> Callable[..., Samples]:
    """(key, params, model_state, classes [N]) -> a batch of samples."""
    plain = require(system, Generates).sample
    if by_class:
        require(system, GeneratesClasses)
    if temperature != 1.0:
        return functools.partial(_tempered, require(system, GeneratesTempered).sample, np.float32(temperature))
    if by_class:
        return functools.partial(_of_classes, require(system, GeneratesClasses).sample)
    return lambda key, params, model_state, labels: _sample(plain, key, params, model_state, len(labels))


@functools.partial(jax.jit, static_argnums=(0, 4))
def _sample(draw: Callable[..., Any], key: Array, params: Params, model_state: ModelState, num: int) -> Samples:
    return draw(key, params, model_state, num)


@functools.partial(jax.jit, static_argnums=0)
def _of_classes(
    draw: Callable[..., Any], key: Array, params: Params, model_state: ModelState, labels: Array
) -> Samples:
    return draw(key, params, model_state, labels)


@functools.partial(jax.jit, static_argnums=0)
def _tempered(
    draw: Callable[..., Any], temperature: Array, key: Array, params: Params, model_state: ModelState, labels: Array
) -> Samples:
    return draw(key, params, model_state, labels, temperature)
