"""Report of a VAE: likelihood, reconstructions, latents, and figures of its latent space."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae import sampling, viz
from jaxvae.applications.encoding import decode
from jaxvae.applications.features import posterior_of
from jaxvae.applications.given_classes import with_classes
from jaxvae.applications.interpolation import interpolate
from jaxvae.applications.likelihood import estimate_likelihood
from jaxvae.applications.reconstruction import Reconstructed, reconstruct
from jaxvae.applications.scoring import bits_per_nat
from jaxvae.capabilities import GivenClasses, HasGroups, Infers, Scores, find, require
from jaxvae.data import to_unit
from jaxvae.evaluation import images, latents, reconstruction_metrics
from jaxvae.evaluation.likelihood import LikelihoodEstimate
from jaxvae.evaluation.statistics import mean_and_error
from jaxvae.reports.classes import classes_asked, draw_classes
from jaxvae.reports.figures import (
    NUM_SAMPLES,
    draw_samples,
    figures_of,
    sample_key,
    save_codes,
    save_curves,
    save_samples,
)
from jaxvae.reports.foreground import diagnose_foreground, foreground_metrics
from jaxvae.reports.groups import draw_groups
from jaxvae.reports.recognition import classifier_of, recognition_metrics
from jaxvae.reports.values import evaluated
from jaxvae.runs.trained import Trained
from jaxvae.training import evaluation_batch_size, in_batches
from jaxvae.types import Dataset, Samples, Splits

DEFAULT_NLL_SAMPLES = 500
MI_IMAGES = 5_000
NUM_RECOGNISED = 1_000  # samples that a classifier judges
MANIFOLD_SIDE = 20
INTERPOLATIONS = (8, 12)  # pairs of images, steps between them
CURES = {  # settings against posterior collapse, and what to do with their flags
    "warmup_steps": "--warmup-steps",
    "free_bits": "--free-bits",
    "beta": "a smaller --beta",
    "learning_rate": "a lower --learning-rate",
}


def evaluate_vae(trained: Trained, splits: Splits) -> tuple[dict[str, Any], Callable[[], None]]:
    """Return the metrics of a VAE, and a function that draws its figures.

    What one image cannot tell is absent: standard errors, active units, mutual information and whether z is ignored.
    """
    model = trained.system, trained.params, trained.model_state
    num_samples = trained.config.get("nll_samples", DEFAULT_NLL_SAMPLES)
    found = reconstruct(*model, splits.test)
    likelihood = likelihood_metrics(estimate_likelihood(*model, splits.test, num_samples), num_samples)
    metrics = {
        **likelihood,
        **image_metrics(trained, found, splits, likelihood["nll"]),
        **latent_metrics(found, evaluated(trained, splits.test), find(trained.system, HasGroups)),
        **information(trained, found, splits.test.labels),
    }
    samples = draw_samples(trained, NUM_SAMPLES)
    metrics |= foreground_metrics(np.asarray(samples.x), splits.train, trained.spec.num_values)
    if (classifier := classifier_of(trained)) is not None:
        drawn = draw_samples(trained, NUM_RECOGNISED).x
        metrics |= recognition_metrics(classifier, drawn, found.x, classes_asked(trained, len(drawn)))
    active = metrics.get("active_units")
    collapse = None if active is None else latents.diagnose_collapse(active, metrics["latent_dim"], metrics["kl"])
    if collapse and np.all(splits.train.x == splits.train.x[:1]):
        warnings = ["All training images are the same: there is nothing to learn from these."]
    else:
        warnings = [" ".join([collapse, *cures(trained)])] if collapse else []
    if said := [*warnings, *filter(None, [diagnose_foreground(metrics)])]:
        metrics["warning"] = " ".join(said)
    return metrics, lambda: draw_vae(trained, splits, found, samples, metrics)


def cures(trained: Trained) -> list[str]:
    """Return a sentence with the flags of this run that help against posterior collapse, [] where it has none."""
    flags = [text for name, text in CURES.items() if name in trained.config]
    if not flags:
        return []
    return [f"Try {', '.join(flags[:-1])}{' or ' * (len(flags) > 1)}{flags[-1]}."]


def likelihood_metrics(estimate: LikelihoodEstimate, num_samples: int) -> dict[str, Any]:
    """Return the bound, its two parts and the NLL, means over images in nats."""
    return {
        "elbo": float(np.mean(estimate.elbo)),
        "reconstruction": float(np.mean(estimate.reconstruction)),
        "kl": float(np.mean(estimate.kl)),
        **mean_and_error("nll", -np.asarray(estimate.log_likelihood)),
        "nll_k": num_samples,
    }


def image_metrics(trained: Trained, found: Reconstructed, splits: Splits, nll: float) -> dict[str, Any]:
    """Return the quality of reconstructions and, of a discrete likelihood, bits/dim and the NLL of independent pixels.

    Args:
      trained: the model.
      found: the test images and their reconstructions.
      splits: its data.
      nll: of the test images, mean in nats.
    """
    scores = reconstruction_metrics(found.x, found.reconstructions)
    if require(trained.system, Scores).discrete:
        scores["nll_of_independent_pixels"] = nll_of_independent_pixels(found.x, splits, trained.spec.num_values)
        if not np.isin(found.x, (0, 1)).all():  # of binary images nats are usual
            scores["bits_per_dim"] = nll * bits_per_nat(trained.spec)
            scores["bits_per_dim_of_independent_pixels"] = scores["nll_of_independent_pixels"] * bits_per_nat(
                trained.spec
            )
    return scores


def nll_of_independent_pixels(x: np.ndarray, splits: Splits, num_values: int) -> float:
    """Return the mean NLL of prepared test images under one histogram of all training pixels, nats per image."""
    train = np.asarray(to_unit(jnp.asarray(splits.train.x), num_values))
    if np.isin(x, (0, 1)).all():  # binarised
        return float(np.mean(images.histogram_nll(images.intensity_histogram(train), x)))
    train, x = (np.round(values * (num_values - 1)) for values in (train, x))
    return float(np.mean(images.histogram_nll(images.pixel_histogram(train, num_values), x)))


def latent_metrics(
    found: Reconstructed, per_image: Mapping[str, np.ndarray], groups: HasGroups | None = None
) -> dict[str, Any]:
    """Return the numbers of active units and of latent dimensions, per layer or group of several, and their KL."""
    metrics: dict[str, Any] = {"latent_dim": sum(means.shape[1] for means in found.means)}
    if len(found.x) > 1:
        pairs = zip(found.means, found.means_again, strict=True)
        active = [active_units(*pair) for pair in pairs]
        metrics["active_units"] = int(sum(map(np.sum, active)))
        if len(active) > 1:
            metrics["active_units_per_layer"] = [int(np.sum(units)) for units in active]
        if groups is not None:
            ends = np.cumsum([math.prod(shape) for shape in groups.shapes])[:-1]
            metrics["active_units_per_group"] = [int(np.sum(units)) for units in np.split(active[0], ends)]
    for name in ("kl_per_dimension", "kl_per_group"):
        if name in per_image:
            metrics[name] = [round(float(kl), 4) for kl in np.mean(per_image[name], axis=0)]
    return metrics


def active_units(means: np.ndarray, means_again: np.ndarray) -> np.ndarray:
    """Return which units are active, [D]: see `evaluation.active_units`."""
    return np.asarray(latents.active_units(jnp.asarray(means), jnp.asarray(means_again)))


def information(trained: Trained, found: Reconstructed, labels: np.ndarray | None) -> dict[str, float]:
    """Return the mutual information of images and Gaussian latents; the estimate rises with the number of images.

    Args:
      trained: the model; of one that is conditional on classes, images stand for themselves and their classes.
      found: N images and their latents.
      labels: [N].
    """
    infers = find(trained.system, Infers)
    if infers is None or len(found.x) < 2:
        return {}
    rows = np.random.default_rng(0).permutation(len(found.x))[:MI_IMAGES]
    some = Dataset(found.x[rows], None if labels is None else np.asarray(labels)[rows])
    size = min(evaluation_batch_size(trained.spec), len(rows))
    q = in_batches(
        lambda _, batch: posterior_of(infers.posterior, trained.params, trained.model_state, batch.x),
        with_classes(trained.system, some),
        size,
    )
    estimate = jax.jit(latents.mutual_information)(jax.random.key(0), q)
    return {"mutual_information": float(estimate), "mutual_information_images": len(rows)}


def draw_vae(
    trained: Trained, splits: Splits, found: Reconstructed, samples: Samples, metrics: Mapping[str, Any]
) -> None:
    """Draw samples, reconstructions, latents, interpolations, the KL per dimension and training curves."""
    folder, model, key = figures_of(trained), (trained.system, trained.params, trained.model_state), sample_key(trained)
    save_samples(trained, samples, "Samples from the prior")
    some = save_codes(trained, splits, found, "Posterior means of test images")
    # In the latent that is decoded, between images and not between samples of the prior.
    pairs, steps = INTERPOLATIONS
    ends = found.means[0][some[: 2 * min(pairs, len(some) // 2)]].reshape(-1, 2, found.means[0].shape[1])
    if len(ends):
        labels = _classes_of_ends(trained, splits, some, len(ends))
        rows = np.stack(
            [interpolate(*model, key, *pair, steps, labels=of) for pair, of in zip(ends, labels, strict=True)]
        )
        viz.save_interpolations(folder / "interpolations.png", rows)
    classes = find(trained.system, GivenClasses)
    if classes is not None:
        draw_classes(trained)
    if found.means[0].shape[1] == 2 and len(found.means) == 1 and classes is None:
        grid = np.asarray(sampling.manifold(MANIFOLD_SIDE))
        viz.save_manifold(folder / "manifold.png", decode(*model, grid, key, same_noise=True))
    if "kl_per_dimension" in metrics and "active_units" in metrics:
        active = active_units(found.means[0], found.means_again[0])
        viz.save_kl_per_dimension(folder / "kl_per_dimension.png", np.array(metrics["kl_per_dimension"]), active)
    if find(trained.system, HasGroups) is not None:
        draw_groups(trained, folder, key)
    save_curves(trained)


# ---------- private


def _classes_of_ends(trained: Trained, splits: Splits, rows: np.ndarray, num: int) -> list[Any]:
    """The classes of pairs of test images, [2] each, None for a model that is not told them."""
    if find(trained.system, GivenClasses) is None:
        return [None] * num
    return list(np.asarray(splits.test.labels)[rows[: 2 * num]].reshape(num, 2))
