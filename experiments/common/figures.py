"""The figures of a finished model, in `figures/`."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.common.folder import read_records
from experiments.common.inspection import Inspected
from experiments.common.loading import Finished
from jaxvae import sampling, viz
from jaxvae.evaluation import latents
from jaxvae.types import Samples, Splits

SAMPLES = 0x73616D70  # folded into the seed's key, so that samples share no key with the training
NUM_SAMPLES = 100
NUM_RECONSTRUCTIONS = 30
NUM_COMPLETED = 30
NUM_FILTERS = 100
NUM_ANALOGIES = 12
NUM_POINTS = 5_000
MANIFOLD_SIDE = 20
INTERPOLATIONS = (8, 12)  # pairs of images, steps between them


def draw_vae(finished: Finished, splits: Splits, inspected: Inspected, metrics: dict[str, Any]) -> None:
    """Draw everything that a VAE allows."""
    folder = finished.folder / "figures"
    run = jax.jit(finished.experiment.decode)

    def decode(z: jax.Array) -> jax.Array:
        keys = jax.random.split(sample_key(finished), len(z))
        return run(finished.params, finished.model_state, keys, z)

    _draw_samples(finished, "Samples of the prior")

    some = _draw_codes(finished, splits, inspected, "Posterior means of test images")

    # In the latent that is decoded, between images and not between samples of the prior.
    pairs, steps = INTERPOLATIONS
    ends = inspected.means[0][some[: 2 * min(pairs, len(some) // 2)]].reshape(-1, 2, inspected.means[0].shape[1])
    paths = jnp.stack([sampling.spherical(a, b, steps) for a, b in ends]) if len(ends) else None
    if paths is not None:
        decoded = decode(paths.reshape(-1, paths.shape[-1]))
        viz.save_interpolations(
            folder / "interpolations.png", np.clip(decoded, 0, 1).reshape(len(ends), steps, *decoded.shape[1:])
        )
    if inspected.means[0].shape[1] == 2 and len(inspected.means) == 1:
        viz.save_manifold(folder / "manifold.png", np.clip(decode(sampling.manifold(MANIFOLD_SIDE)), 0, 1))
    if "kl_per_dimension" in metrics:
        active = np.asarray(latents.active_units(inspected.means[0], inspected.means_again[0]))
        viz.save_kl_per_dimension(folder / "kl_per_dimension.png", np.array(metrics["kl_per_dimension"]), active)
    viz.save_curves(folder / "curves.png", read_records(finished.folder))


def draw_autoencoder(finished: Finished, splits: Splits, inspected: Inspected) -> None:
    """Draw reconstructions, codes, the kernels that see the images, and the curves of an autoencoder."""
    folder = finished.folder / "figures"
    _draw_codes(finished, splits, inspected, "Codes of test images")
    kernel = np.asarray(finished.params["pairs_0"]["kernel"])
    shape = kernel.shape[:-1] if kernel.ndim == 4 else finished.experiment.spec.shape
    filters = np.moveaxis(kernel, -1, 0).reshape(-1, *shape)
    largest = np.argsort(-np.sum(np.square(filters), axis=(1, 2, 3)))[:NUM_FILTERS]
    scale = np.max(np.abs(filters[largest]), axis=(1, 2, 3), keepdims=True)
    grey = 0.5 + 0.5 * filters[largest] / np.maximum(scale, 1e-12)
    viz.save_grid(folder / "filters.png", grey, title="Kernels that see the images, the largest first; grey is 0")
    viz.save_curves(folder / "curves.png", read_records(finished.folder))


def draw_classifier(finished: Finished, splits: Splits) -> None:
    """Draw the curves of a classifier and, of a model of images and classes, samples and analogies."""
    folder, experiment = finished.folder / "figures", finished.experiment
    viz.save_curves(folder / "curves.png", read_records(finished.folder))
    if experiment.analogies is None:
        return
    num_classes = experiment.spec.num_classes
    x = draw_samples(finished, num_classes * min(10, max(1, NUM_SAMPLES // num_classes))).x
    viz.save_grid(folder / "samples.png", x, columns=num_classes, title="Styles drawn for every class, a column each")
    shown = np.random.default_rng(finished.config.seed).permutation(len(splits.test.x))[:NUM_ANALOGIES]
    noise, keys = jax.random.split(sample_key(finished), (2, len(shown)))
    x = experiment.prepare(noise, jnp.asarray(splits.test.x[shown]))
    labels = jnp.asarray(splits.test.labels[shown])
    changed = jax.jit(experiment.analogies)(finished.params, finished.model_state, keys, x, labels)
    rows = np.concatenate([np.asarray(x)[:, None], np.asarray(changed)], axis=1)
    title = "Test images, and their styles in every class"
    viz.save_grid(folder / "analogies.png", rows.reshape(-1, *x.shape[1:]), columns=num_classes + 1, title=title)


def draw_exact(finished: Finished, splits: Splits) -> None:
    """Draw samples, completions of test images and the curves of a model that draws pixel by pixel."""
    folder = finished.folder / "figures"
    experiment, params, model_state = finished.experiment, finished.params, finished.model_state
    _draw_samples(finished, "Samples")
    shown = np.random.default_rng(finished.config.seed).permutation(len(splits.test.x))[:NUM_COMPLETED]
    keys = jax.random.split(sample_key(finished), (2, len(shown)))
    labels = None if splits.test.labels is None else jnp.asarray(splits.test.labels[shown])
    x = experiment.prepare(keys[0], jnp.asarray(splits.test.x[shown]))
    known = np.arange(x.shape[1]) < x.shape[1] // 4 * 2  # even: a block of 2x2 pixels is known as a whole or not
    known = jnp.asarray(np.broadcast_to(known[:, None], x.shape[1:3]))
    completed = jax.jit(experiment.complete)(params, model_state, keys[1], x, labels, known)
    title = "Test images over completions of their upper halves"
    viz.save_reconstructions(
        folder / "completions.png", np.clip(x, 0, 1), np.clip(completed, 0, 1), title, ("original", "completion")
    )
    viz.save_curves(folder / "curves.png", read_records(finished.folder))


def sample_key(finished: Finished) -> jax.Array:
    """Return the key of a run's samples."""
    return jax.random.fold_in(jax.random.key(finished.config.seed), SAMPLES)


def draw_samples(finished: Finished, num: int) -> Samples:
    """Return a run's samples, [num, H, W, C] in [0, 1], and their means where there are."""
    draw = jax.jit(finished.experiment.sample, static_argnums=3)
    samples = draw(sample_key(finished), finished.params, finished.model_state, num)
    return jax.tree.map(lambda x: np.clip(x, 0, 1), samples)


# ---------- private


def _draw_codes(finished: Finished, splits: Splits, inspected: Inspected, title: str) -> np.ndarray:
    """Draw reconstructions and codes; return the order of images: parts of a data set can be in that of classes."""
    folder, some = (
        finished.folder / "figures",
        np.random.default_rng(finished.config.seed).permutation(len(inspected.x)),
    )
    shown, points = some[:NUM_RECONSTRUCTIONS], some[:NUM_POINTS]
    pair = inspected.x[shown], inspected.reconstructions[shown]
    viz.save_reconstructions(folder / "reconstructions.png", *pair, title="Test images over reconstructions")
    labels = None if splits.test.labels is None else np.asarray(splits.test.labels)[points]
    viz.save_latents(folder / "latents.png", inspected.means[0][points], labels, title=title)
    return some


def _draw_samples(finished: Finished, title: str) -> None:
    folder, samples = finished.folder / "figures", draw_samples(finished, NUM_SAMPLES)
    viz.save_grid(folder / "samples.png", samples.x, title=title)
    if samples.mean is not None:
        viz.save_grid(folder / "sample_means.png", samples.mean, title="Pixel means of the same samples")
