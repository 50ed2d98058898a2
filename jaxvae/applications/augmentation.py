"""New images for each class of a labelled data set: variants of its images, images between two, samples of a class.

Letters in the shapes: N images, M new ones.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxvae.applications.encoding import decode, encode
from jaxvae.applications.generation import sample
from jaxvae.applications.given_classes import num_classes_of, with_classes
from jaxvae.capabilities import Decodes, DrawsPosterior, Encodes, Generates, GeneratesClasses, require
from jaxvae.choices import Method
from jaxvae.errors import UserError
from jaxvae.keys import split_each
from jaxvae.labelled import same_labels
from jaxvae.training import evaluation_batch_size, evaluation_keys, in_batches, program_batch_size
from jaxvae.types import Array, Batch, Dataset, ModelState, Params, Prepare, PRNGKey, System

METHODS: dict[Method, tuple[type[Any], ...]] = {  # and what a system can do that has them
    "variants": (DrawsPosterior, Decodes),
    "interpolation": (Encodes, Decodes),
    "samples": (Generates, GeneratesClasses),
}
PAIRS, POSITIONS, DRAWS = range(3)  # folded into a key


class NewImages(NamedTuple):
    """Images that were made."""

    x: np.ndarray  # [M, H, W, C] in [0, 1]
    labels: np.ndarray  # their classes, [M] int32
    sources: np.ndarray  # rows of the images that each was made of, [M, S]: S is 1 of variants, 2 between two, else 0


def check_method(system: System, method: Method) -> None:
    """Raise a `UserError` unless a system can make new images so."""
    if method not in METHODS:
        raise UserError(f"The method is {method!r}, expected one of {', '.join(METHODS)}.")
    for kind in METHODS[method]:
        require(system, kind)


def new_per_class(labels: Any, num: int | None = None, *, balance: bool = False) -> dict[int, int]:
    """Return how many new images each class gets.

    Args:
      labels: of the images, [N].
      num: new images of every class; by default as many as it has.
      balance: whether every class gets those that it lacks to the largest one, in place of the above.
    """
    classes, counts = np.unique(np.asarray(labels), return_counts=True)
    new = counts.max() - counts if balance else counts if num is None else np.full(len(counts), num)
    return dict(zip(classes.tolist(), new.tolist(), strict=True))


def new_images(
    system: System,
    params: Params,
    model_state: ModelState,
    dataset: Dataset,
    key: PRNGKey,
    per_class: dict[int, int],
    method: Method = "variants",
) -> NewImages:
    """Return new images of classes.

      variants        E[x | z], z ~ q(z | x) of an image x of the class, all of them in turn
      interpolation   E[x | z], z on the line between the codes of two images of the class, evenly at random
      samples         draws of p(x | class)

    Args:
      system: a VAE, or of interpolation an autoencoder, or of samples a model that is conditional on classes.
      params: its parameters.
      model_state: its state.
      dataset: N images as the data set has them, and their labels.
      key: of all draws.
      per_class: how many new ones of each class.
      method: how they are made.

    Returns:
      The images, those of each class beside each other.

    Raises:
      UserError: if the system cannot, or a class of which images are combined has fewer than two.
    """
    check_method(system, method)
    model = system, params, model_state
    labels = np.asarray(dataset.labels)
    new = np.repeat(list(per_class), list(per_class.values())).astype(np.int32)
    if method == "samples":
        drawn = np.asarray(sample(*model, key, len(new), label=new, only="x").x) if len(new) else _none(system)
        return NewImages(drawn, new, np.zeros((len(new), 0), np.int64))
    rng = np.random.default_rng(np.asarray(jax.random.key_data(jax.random.fold_in(key, PAIRS))))
    sources = [_sources(np.flatnonzero(labels == c), num, method, rng, c) for c, num in per_class.items()]
    rows = np.concatenate(sources) if len(new) else np.zeros((0, 2 if method == "interpolation" else 1), np.int64)
    if not len(new):
        return NewImages(_none(system), new, rows)
    draws = jax.random.fold_in(key, DRAWS)
    if method == "variants":
        return NewImages(variants(*model, Dataset(dataset.x[rows[:, 0]], labels[rows[:, 0]]), draws), new, rows)
    codes = np.asarray(encode(*model, dataset, draws)[0])
    t = np.asarray(jax.random.uniform(jax.random.fold_in(key, POSITIONS), (len(new), 1)))
    between = (1.0 - t) * codes[rows[:, 0]] + t * codes[rows[:, 1]]
    given = new if num_classes_of(system) else None
    return NewImages(decode(*model, between, draws, labels=given), new, rows)


def variants(
    system: System, params: Params, model_state: ModelState, dataset: Dataset, key: PRNGKey | None = None
) -> np.ndarray:
    """Return a variant of every image, E[x | z] of z ~ q(z | x); of several groups of latents all others follow.

    Args:
      system: a VAE.
      params: its parameters.
      model_state: its state.
      dataset: N images as the data set has them, prepared as in training, and their labels where the model is
        conditional on these.
      key: of the draws; by default that of evaluations.

    Returns:
      [N, H, W, C] in [0, 1].

    Raises:
      UserError: if the system draws no latents of images, or labels that it needs are missing.
    """
    draw, decode_latents = require(system, DrawsPosterior).draw, require(system, Decodes).decode
    size = program_batch_size(len(dataset.x), evaluation_batch_size(system.spec))

    def one(start: int, batch: Batch) -> Array:
        keys = evaluation_keys(start, size, key)
        return _variants(system.prepare, draw, decode_latents, params, model_state, keys, batch.x)

    return np.clip(in_batches(one, with_classes(system, dataset), size, shown="variants"), 0, 1)


# ---------- private


def _none(system: System) -> np.ndarray:
    return np.zeros((0, *system.spec.shape), np.float32)


def _sources(rows: np.ndarray, num: int, method: Method, rng: np.random.Generator, label: int) -> np.ndarray:
    """The rows of images that new ones of a class are made of, [num, 1] or [num, 2]: all of the class in turn."""
    rows = rng.permutation(rows)
    first = np.resize(rows, num)
    if method == "variants" or not num:
        return first[:, None] if method == "variants" else np.zeros((0, 2), np.int64)
    if len(rows) < 2:
        raise UserError(f"Class {label} has one image, expected two or more to make others between them.")
    # Another one of the class, evenly: the place of the first, moved on by 1 to all but once round.
    others = rows[(np.arange(num) + rng.integers(1, len(rows), num)) % len(rows)]
    return np.stack([first, others], axis=1)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _variants(
    prepare: Prepare,
    draw: Callable[..., tuple[Array, ...]],
    decode_latents: Callable[..., Array],
    params: Params,
    model_state: ModelState,
    keys: PRNGKey,
    x: Array,
) -> Array:
    noise, latents, pixels = split_each(keys, 3)
    z = draw(params, model_state, latents, prepare(noise, x))[0]
    return decode_latents(params, model_state, pixels, same_labels(x, z))
