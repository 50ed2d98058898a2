"""Fill in the unknown pixels of images, several times each."""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.applications.generation import BATCH, whole_number
from jaxvae.applications.given_classes import needed_labels
from jaxvae.capabilities import Completes, ScoresCompletions, find, require
from jaxvae.errors import UserError
from jaxvae.keys import split_each
from jaxvae.progress import progress_bar
from jaxvae.training import evaluation_keys, in_batches, program_batch_size
from jaxvae.types import Array, Batch, Dataset, ModelState, Params, Prepare, PRNGKey, Samples, System

PIXELS = 4_000_000  # that a VAE decodes at a time, of images that have DRAWS latents each
DRAWS = 256


def complete(
    system: System,
    params: Params,
    model_state: ModelState,
    dataset: Dataset,
    unknown: np.ndarray,
    key: PRNGKey | None = None,
    num: int = 4,
    *,
    drawn: bool = True,
) -> np.ndarray:
    """Return completions of images: the known pixels as they are, the others drawn given these.

    A VAE draws latents given the known pixels by importance resampling (`jaxvae.sampling.latents_given_pixels`), then
    the unknown pixels given a latent. An autoregressive model draws a few candidates, every unknown pixel given those
    before it in reading order, and takes one that suits the known pixels after them.

    Args:
      system: one that completes images.
      params: its parameters.
      model_state: its state.
      dataset: N images as the data set has them, prepared as in training, and their labels where the model is
        conditional on these. The values of unknown pixels do not matter.
      unknown: booleans, which pixels are filled in, [H, W] or [N, H, W].
      key: of the draws; by default that of evaluations.
      num: completions of each image; fewer are the first ones of more.
      drawn: whether unknown pixels are drawn, or are E[x | z].

    Returns:
      float32 [N, num, H, W, C] in [0, 1]; known pixels bit for bit those of the images, x / 255 of 8-bit ones.

    Raises:
      UserError: if the system cannot complete images, or has no means, or labels that it needs are missing.
    """
    able, num = require(system, Completes), whole_number("num", num)
    labels, x, spec = needed_labels(able.num_classes, dataset, system.name), np.asarray(dataset.x), system.spec
    unknown = np.broadcast_to(unknown, x.shape[:3])
    given = Dataset((np.where(unknown[..., None], np.zeros((), x.dtype), x), ~unknown), labels)
    most = max(1, min(BATCH // num, PIXELS // (DRAWS * math.prod(spec.shape))))
    size = program_batch_size(len(x), most)
    _check_means(able.complete, system, params, model_state, given, num, drawn)
    with progress_bar(total=len(x), unit="image", desc="completions", show=len(x) > size) as bar:

        def one(start: int, batch: Batch) -> Array:
            keys = evaluation_keys(start, size, key)
            found = _complete(system.prepare, able.complete, params, model_state, keys, *batch.x, batch.labels, num)
            values = jax.block_until_ready(found.x if drawn else found.mean)
            bar.update(int(batch.mask.sum()))
            return values

        completed = np.clip(in_batches(one, given, size), 0, 1)
    top = 1 if x.dtype.kind == "f" else spec.num_values - 1
    return np.where(unknown[:, None, ..., None], completed, (x / np.float32(top)).astype(np.float32)[:, None])


def log_unknown(
    system: System,
    params: Params,
    model_state: ModelState,
    dataset: Dataset,
    unknown: np.ndarray,
    key: PRNGKey | None = None,
    num_samples: int = 1_000,
) -> np.ndarray:
    """Return log p(unknown pixels | known pixels) of whole images, [N] nats.

    Of an autoregressive model it is exact where `is_exact` says so, which takes one pass of the net; for other masks,
    and of a VAE, it is an estimate by importance sampling, right in the limit of many samples and no bound.

    Args:
      system: one that completes images.
      params: its parameters.
      model_state: its state.
      dataset: N images as the data set has them, prepared as in training, and their labels where the model is
        conditional on these. The values of unknown pixels are those that are scored.
      unknown: booleans, which pixels those are, [H, W] or [N, H, W].
      key: of the draws; by default that of evaluations.
      num_samples: latents of a VAE, or candidates of an autoregressive model, for every image.

    Raises:
      UserError: if the system has no such density, or labels that it needs are missing.
    """
    able, num = require(system, ScoresCompletions), whole_number("num_samples", num_samples)
    labels, x = needed_labels(able.num_classes, dataset, system.name), np.asarray(dataset.x)
    known = ~np.broadcast_to(unknown, x.shape[:3])
    if np.all(able.is_exact(known)):
        num = 0
    given = Dataset((x, known), labels)
    size = program_batch_size(len(x), max(1, min(BATCH, PIXELS // (DRAWS * math.prod(system.spec.shape)))))
    with progress_bar(total=len(x), unit="image", desc="log p(unknown | known)", show=len(x) > size) as bar:

        def one(start: int, batch: Batch) -> Array:
            keys = evaluation_keys(start, size, key)
            arguments = system.prepare, able.log_prob, params, model_state, keys, *batch.x, batch.labels, num
            values = jax.block_until_ready(_log_unknown(*arguments))
            bar.update(int(batch.mask.sum()))
            return values

        return np.asarray(in_batches(one, given, size))


def is_exact(system: System, unknown: np.ndarray) -> bool:
    """Return whether completions are exact draws for all masks: of an autoregressive model, if they come last.

    Args:
      system: one that completes images.
      unknown: booleans, which pixels are filled in, [H, W] or [N, H, W].
    """
    able, masks = find(system, ScoresCompletions), np.asarray(unknown).reshape(-1, *system.spec.shape[:2])
    return able is not None and bool(np.all(able.is_exact(~masks)))


# ---------- private


def _check_means(
    function: Callable[..., Samples],
    system: System,
    params: Params,
    model_state: ModelState,
    given: Dataset,
    num: int,
    drawn: bool,
) -> None:
    """Raise before anything is compiled if means are asked for that a system has not."""
    if drawn:
        return
    (x, known), labels = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((1, *leaf.shape[1:]), leaf.dtype), given)
    arguments = system.prepare, function, params, model_state, evaluation_keys(0, 1), x, known, labels, num
    if _complete.eval_shape(*arguments).mean is None:
        raise UserError(
            f"{system.name} draws pixels one by one, and has no means of them: leave drawn=False out, and average "
            "several completions."
        )


@functools.partial(jax.jit, static_argnums=(0, 1, 8))
def _complete(
    prepare: Prepare,
    complete: Callable[..., Samples],
    params: Params,
    model_state: ModelState,
    keys: PRNGKey,
    x: Array,
    known: Array,
    labels: Array | None,
    num: int,
) -> Samples:
    noise, draw = split_each(keys)  # the same binarisation as in evaluations
    found = complete(params, model_state, draw, prepare(noise, x), labels, known, num)
    return jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, 1), found)


@functools.partial(jax.jit, static_argnums=(0, 1, 8))
def _log_unknown(
    prepare: Prepare,
    log_prob: Callable[..., Array],
    params: Params,
    model_state: ModelState,
    keys: PRNGKey,
    x: Array,
    known: Array,
    labels: Array | None,
    num: int,
) -> Array:
    noise, draw = split_each(keys)  # the same binarisation as in evaluations
    return log_prob(params, model_state, draw, prepare(noise, x), labels, known, num)
