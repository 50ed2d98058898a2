"""Report of an adversarial system: samples, how far they are from the data, and how well they are told apart."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae import sampling, viz
from jaxvae.applications.reconstruction import Reconstructed, reconstruct
from jaxvae.capabilities import Decodes, Encodes, HasPrior, find, require
from jaxvae.data import to_unit
from jaxvae.evaluation import energy_score, reconstruction_metrics
from jaxvae.reports.figures import (
    NUM_SAMPLES,
    draw_samples,
    figures_of,
    sample_key,
    save_codes,
    save_curves,
    save_samples,
    shuffled,
)
from jaxvae.reports.recognition import classifier_of, recognition_metrics
from jaxvae.reports.values import evaluated
from jaxvae.runs.trained import Trained
from jaxvae.systems.adversarial_parts import SCORED, HasDiscriminator
from jaxvae.training import evaluation_batch_size
from jaxvae.types import Array, Dataset, ModelState, Params, PRNGKey, Samples, Splits

NUM_RECOGNISED = 1_000  # samples that a classifier judges
NUM_COMPARED = 1_000  # images that the discriminator compares with samples
INTERPOLATIONS = (8, 12)  # paths, images of each


def evaluate_adversarial(trained: Trained, splits: Splits) -> tuple[dict[str, Any], Callable[[], None]]:
    """Return the metrics of an adversarial system, and a function that draws its figures.

    Args:
      trained: a GAN, a VAE-GAN or an adversarial autoencoder.
      splits: its data.
    """
    values = evaluated(trained, splits.test)
    # No standard error: it would be that of the test images, which are the same for all models.
    metrics: dict[str, Any] = {"energy_score": float(np.mean(values["energy_score"], dtype=np.float64))}
    if len(splits.train.x) > 1:
        metrics["energy_score_of_images"] = score_of_images(trained, splits)
    found = None
    if find(trained.system, Encodes) is not None:
        found = reconstruct(trained.system, trained.params, trained.model_state, splits.test)
        metrics |= reconstruction_metrics(found.x, found.reconstructions)
        metrics |= {name: float(np.mean(values[name])) for name in ("reconstruction", "kl") if name in values}
    metrics |= {f"told_apart_{part}": told_apart(trained, getattr(splits, part)) for part in ("train", "test")}
    samples = draw_samples(trained, NUM_SAMPLES)
    if (classifier := classifier_of(trained)) is not None:
        test = np.asarray(to_unit(jnp.asarray(splits.test.x), trained.spec.num_values))
        metrics |= recognition_metrics(classifier, draw_samples(trained, NUM_RECOGNISED).x, test)
    return metrics, lambda: draw_adversarial(trained, splits, found, samples)


def score_of_images(trained: Trained, splits: Splits) -> float:
    """Return the energy score of training images in the place of samples: about what a perfect model would have."""
    some = shuffled(trained, len(splits.train.x))[:SCORED]
    x, images = (to_unit(jnp.asarray(part), trained.spec.num_values) for part in (splits.test.x, splits.train.x[some]))
    return float(jnp.mean(energy_score(x, images)))


def told_apart(trained: Trained, dataset: Dataset) -> float:
    """Return the share of pairs in which the discriminator prefers what is real to what is made, one half by chance.

    Where this share of training images is far above that of test images, the discriminator knows those by heart.

    Args:
      trained: the system.
      dataset: whose images, or codes, are compared with as many samples.
    """
    compare = require(trained.system, HasDiscriminator).logits
    rows = np.resize(shuffled(trained, len(dataset.x)), NUM_COMPARED)
    size = max(1, evaluation_batch_size(trained.spec) // 4) * 4  # packs of up to four images are whole
    shares = []
    for start in range(0, len(rows), size):
        some = np.resize(rows[start : start + size], size)
        key = jax.random.fold_in(sample_key(trained), start)
        prepared = trained.system.prepare(jax.random.split(key, size), jnp.asarray(dataset.x[some]))
        shares.append(_preferred(compare, trained.params, trained.model_state, key, prepared))
    return float(np.mean(shares))


def draw_adversarial(trained: Trained, splits: Splits, found: Reconstructed | None, samples: Samples) -> None:
    """Draw samples, paths between latents, training curves and, where images are encoded, reconstructions and codes."""
    save_samples(trained, samples, "Samples")
    paths, steps = INTERPOLATIONS
    if found is None:
        dim = require(trained.system, HasPrior).quantiles(trained.params, trained.model_state, jnp.zeros(1)).shape[1]
        ends, title = jax.random.normal(sample_key(trained), (paths, 2, dim)), "From sample to sample"
    else:
        some = save_codes(trained, splits, found, "Codes of test images")
        pairs = found.means[0][some[: 2 * min(paths, len(some) // 2)]]
        ends, title = jnp.asarray(pairs).reshape(-1, 2, pairs.shape[1]), "From test image to test image"
    if len(ends):
        decode = require(trained.system, Decodes).decode
        rows = np.asarray(_paths(decode, trained.params, trained.model_state, sample_key(trained), ends, steps))
        viz.save_interpolations(figures_of(trained) / "interpolations.png", rows, title)
    save_curves(trained)


# ---------- private


@functools.partial(jax.jit, static_argnums=0)
def _preferred(compare: Callable, params: Params, model_state: ModelState, key: PRNGKey, x: Array) -> Array:
    real, made = compare(params, model_state, jax.random.split(key, len(x)), x)
    return jnp.mean((real > made).astype(jnp.float32))


@functools.partial(jax.jit, static_argnums=(0, 5))
def _paths(decode: Callable, params: Params, model_state: ModelState, key: PRNGKey, ends: Array, num: int) -> Array:
    """Images on the arcs between pairs of latents [R, 2, D], [R, num, H, W, C] in [0, 1]."""
    points = jax.vmap(lambda pair: sampling.spherical(pair[0], pair[1], num))(ends)
    flat = points.reshape(-1, ends.shape[-1])
    images = decode(params, model_state, jax.random.split(key, len(flat)), flat)
    return jnp.clip(images, 0.0, 1.0).reshape(*points.shape[:2], *images.shape[1:])
