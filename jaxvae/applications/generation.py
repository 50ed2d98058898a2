"""Sample new images from a trained system."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.capabilities import Generates, GeneratesClasses, GeneratesTempered, find, require
from jaxvae.data.arrays import as_array
from jaxvae.data.limits import check_memory
from jaxvae.errors import UserError, shortened, whole_number
from jaxvae.progress import progress
from jaxvae.training.evaluate import examples_of
from jaxvae.types import Array, DataSpec, ModelState, Params, PRNGKey, Samples, System

Kind = Literal["number", "classes", "tempered"]  # what draws samples is given
Only = Literal["x", "mean"]

BATCH = 100  # images that are drawn at a time
NUMBERS = 10_000  # or so many numbers, of what is smaller than images
MOST_NUMBERS = 392_000  # of a batch; the same everywhere, as what is drawn depends on it


def sample(
    system: System,
    params: Params,
    model_state: ModelState,
    key: PRNGKey,
    num: int,
    *,
    label: Any = None,
    temperature: float | Sequence[float] = 1.0,
    only: Only | None = None,
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
        log-probabilities of an autoregressive model are divided: below 1 images are more likely and less various. Of
        several groups of latents, one number for all or one for each.
      only: what is wanted, draws or means; by default both, where there are means.

    Returns:
      Images [num, H, W, C] in [0, 1] as numpy arrays, and their means where there are any; points of a flow in the
      plane, [num, 2], as they are. What is not wanted is None.

    Raises:
      UserError: if the system cannot draw images, or not so, an argument makes no sense, or there is no room for them.
    """
    num, size, temperatures = whole_number("num", num), batch_size(system.spec), temperatures_of(system, temperature)
    draw, kind = _draw_of(system, label is not None, temperatures)
    wanted = " with their means" if only is None else ""
    check_memory((1 + bool(wanted)) * 4 * num * math.prod(system.spec.shape), f"{num:,} samples{wanted}")
    num_batches = -(-num // size)
    labels = labels_of(system, label, num, num_batches * size)

    def given(index: int) -> tuple[Any, ...]:
        some = labels[index * size :][:size]
        return draw, kind, only, key, np.int32(index), params, model_state, some, temperatures

    if only == "mean" and _batch.eval_shape(*given(0)).mean is None:
        raise UserError(
            f"{system.name} has no means of its samples: expected a VAE whose pixels are independent, M2 or a prior "
            "over codes; leave means out."
        )
    # One after another: two at once would drive each other out of a processor's caches.
    parts = [jax.tree.map(np.asarray, _batch(*given(index))) for index in progress(range(num_batches), "samples")]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:num], *parts)


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
    each = class_labels(system, require(system, GeneratesClasses).num_classes, label, num)
    return np.pad(each, (0, most - num), mode="edge")


def class_labels(system: System, num_classes: int, label: Any, num: int) -> np.ndarray:
    """Return the classes of images, [num] int32.

    Args:
      system: that knows them.
      num_classes: K.
      label: a class, a number or its name, or one for each image, [num].
      num: of images.

    Raises:
      UserError: if there is no such class.
    """
    names = system.spec.classes
    if isinstance(label, str):
        if label not in names:
            raise UserError(f"label is {label!r}, expected one of {', '.join(names) or 'the numbers of classes'}.")
        label = names.index(label)
    given = as_array(label, "labels")
    if given.dtype.kind not in "ui" or given.shape not in ((), (num,)):
        raise UserError(f"label is {given.dtype} of shape {list(given.shape)}, expected a class, or {num} of them.")
    if given.min() < 0 or given.max() >= num_classes:
        raise UserError(f"label is {label}, the classes of {system.name} are from 0 to {num_classes - 1}.")
    return np.broadcast_to(given, (num,)).astype(np.int32)


def temperatures_of(system: System, temperature: Any) -> np.ndarray:
    """Return the temperature of samples, [], or that of every group of latents, [L], float32.

    Args:
      system: which draws them.
      temperature: one number, or one for each group of latents.

    Raises:
      UserError: if one is not above 0, or there are not as many as groups.
    """
    try:
        numbers = np.asarray(temperature, np.float32)
    except (TypeError, ValueError):
        numbers = np.array(np.nan)
    if numbers.ndim > 1 or not numbers.size or not np.all((numbers > 0) & (numbers < np.inf)):
        each = ", or several of them" if numbers.ndim else ""
        raise UserError(f"temperature is {shortened(str(temperature))}, expected a number above 0{each}.")
    able = find(system, GeneratesTempered)
    num_groups = able.num_groups if able else 1
    if numbers.size == 1:
        return numbers.reshape(())
    if numbers.size != num_groups:
        expected = f"one number, or {num_groups} for its groups of latents" if num_groups > 1 else "one number"
        raise UserError(f"temperature has {numbers.size} numbers; {system.name} takes {expected}.")
    return numbers


def batch_size(spec: DataSpec) -> int:
    """Return how many examples are drawn at a time; of classes in turn, as many of every class."""
    most = max(BATCH, NUMBERS // math.prod(spec.shape))
    size, classes = min(most, examples_of(spec, MOST_NUMBERS)), max(1, spec.num_classes)
    return classes * max(1, size // classes)


# ---------- private


def _draw_of(system: System, by_class: bool, temperatures: np.ndarray) -> tuple[Callable[..., Samples], Kind]:
    """What draws a batch, and what it is given."""
    plain = require(system, Generates).sample
    of_classes = require(system, GeneratesClasses).sample if by_class else None
    if np.any(temperatures != 1.0):
        return require(system, GeneratesTempered).sample, "tempered"
    return (plain, "number") if of_classes is None else (of_classes, "classes")


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _batch(
    draw: Callable[..., Samples],
    kind: Kind,
    only: Only | None,
    key: PRNGKey,
    index: Array,
    params: Params,
    model_state: ModelState,
    labels: Array,
    temperature: Array,
) -> Samples:
    """A batch of samples; what is not wanted is not computed."""
    given = {"number": (len(labels),), "classes": (labels,), "tempered": (labels, temperature)}[kind]
    drawn = draw(jax.random.fold_in(key, index), params, model_state, *given)
    # What is drawn tells images, which codes may stand for, from points.
    drawn = jax.tree.map(lambda x: jnp.clip(x, 0.0, 1.0), drawn) if drawn.x.ndim == 4 else drawn
    return drawn if only is None else Samples(**{"x": None, "mean": None, only: getattr(drawn, only)})
