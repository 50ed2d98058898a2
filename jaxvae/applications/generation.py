"""Sample new images from a trained system."""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxvae.capabilities import Generates, require
from jaxvae.data.limits import check_memory
from jaxvae.errors import whole_number
from jaxvae.progress import progress
from jaxvae.training import evaluation_batch_size
from jaxvae.types import Array, DataSpec, ModelState, Params, PRNGKey, Samples, System

BATCH = 100  # images that are drawn at a time
NUMBERS = 10_000  # or so many numbers, of what is smaller than images


def sample(system: System, params: Params, model_state: ModelState, key: PRNGKey, num: int) -> Samples:
    """Sample new images.

    They are drawn in batches of one size, the i-th with the key fold_in(key, i): one program for any number of them, in
    bounded memory, and fewer images are the first ones of more.

    Args:
      system: one that generates.
      params: its parameters.
      model_state: its state.
      key: of the draws.
      num: of images.

    Returns:
      Images [num, H, W, C] in [0, 1] as numpy arrays, and their means where the pixels are independent; points of a
      flow in the plane, [num, 2], as they are.

    Raises:
      UserError: if the system cannot draw images, or `num` is no number of them, or of more than there is room for.
    """
    draw, num, size = require(system, Generates).sample, whole_number("num", num), batch_size(system.spec)
    check_memory(2 * 4 * num * math.prod(system.spec.shape), f"{num:,} samples with their means")
    parts = [
        jax.tree.map(np.asarray, _sample(draw, jax.random.fold_in(key, i), params, model_state, size))
        for i in progress(range(-(-num // size)), "samples")
    ]
    drawn = jax.tree.map(lambda *leaves: np.concatenate(leaves)[:num], *parts)
    # What is drawn tells images, which codes may stand for, from points.
    return jax.tree.map(lambda x: np.clip(x, 0, 1), drawn) if drawn.x.ndim == 4 else drawn


def batch_size(spec: DataSpec) -> int:
    """Return how many examples are drawn at a time; of classes in turn, as many of every class."""
    most = max(BATCH, NUMBERS // math.prod(spec.shape))
    size, classes = min(most, evaluation_batch_size(spec)), max(1, spec.num_classes)
    return classes * max(1, size // classes)


# ---------- private


@functools.partial(jax.jit, static_argnums=(0, 4))
def _sample(draw: Callable[..., Any], key: Array, params: Params, model_state: ModelState, num: int) -> Samples:
    return draw(key, params, model_state, num)
