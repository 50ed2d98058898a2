"""What a finished model is judged by: the test part, once, in numbers (`summary.json`) and figures."""

import datetime
import math
import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.common.figures import draw_autoencoder, draw_classifier, draw_exact, draw_vae
from experiments.common.folder import drawing, progress_bar, read_json, write_json
from experiments.common.inspection import Inspected, inspect, posterior_of, similarity
from experiments.common.judge_codec import judge_codec
from experiments.common.loading import Finished
from experiments.common.training import evaluation_batch
from experiments.common.vae import likelihood_estimator
from jaxvae.data import to_unit
from jaxvae.evaluation import images, latents
from jaxvae.evaluation.likelihood import LikelihoodEstimate
from jaxvae.training import evaluation_keys, in_batches, make_evaluator
from jaxvae.types import Batch, Dataset, Experiment, Splits

MI_IMAGES = 5_000
NLL_BATCH = 100  # images at a time in importance sampling
NLL_PIXELS = 784_000  # decoded at a time: they stay in the processor's caches, and images of any size in memory


def report(finished: Finished, splits: Splits) -> dict[str, Any]:
    """Evaluate on the test part, unless that was done for these steps, write `summary.json` and draw the figures.

    Args:
      finished: a VAE, a model whose likelihood is exact, a codec or an autoencoder.
      splits: its data.

    Returns:
      The summary.
    """
    num_samples = getattr(finished.config, "nll_samples", None)  # an exact likelihood has none
    before = read_json(finished.folder / "summary.json") if (finished.folder / "summary.json").exists() else {}
    done = (before.get("steps"), before.get("metrics", {}).get("nll_k"))
    if done == (finished.training["steps"], num_samples):
        print_metrics(finished.folder, before["metrics"])
        return before
    evaluate = make_evaluator(finished.experiment, min(evaluation_batch(finished.experiment.spec), len(splits.test.x)))
    per_image = evaluate(finished.params, finished.model_state, splits.test)
    metrics, draw_figures = _judge_of(finished.experiment)(finished, splits, per_image)
    valid = evaluate(finished.params, finished.model_state, splits.valid)
    scores = {name: float(np.mean(value)) for name, value in valid.items() if value.ndim == 1}
    summary = write_summary(finished.folder, finished.experiment.name, finished.training, metrics, valid=scores)
    print_metrics(finished.folder, metrics)
    with drawing(finished.folder):
        draw_figures()
    return summary


def judge_vae(
    finished: Finished, splits: Splits, per_image: dict[str, np.ndarray]
) -> tuple[dict[str, Any], Callable[[], None]]:
    """Return the numbers of a VAE and what draws its figures, from what `evaluate` gives of the test images."""
    inspected = inspect(finished, splits.test)
    estimate = estimate_likelihood(finished, splits.test, finished.config.nll_samples)
    metrics = {
        **likelihood_metrics(estimate, finished.config.nll_samples),
        **image_metrics(inspected, finished, splits),
        **latent_metrics(inspected, per_image),
        **information(finished, inspected),
    }
    warning = latents.diagnose_collapse(metrics["active_units"], metrics["latent_dim"], metrics["kl"])
    if warning:
        cures = [name for name in ("warmup_steps", "free_bits", "betas") if hasattr(finished.config, name)]
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in cures)
        warning += f" Flags: {flags}." if cures else ""
        print(f"warning: {warning}")
        metrics["warning"] = warning
    return metrics, lambda: draw_vae(finished, splits, inspected, metrics)


def judge_exact(
    finished: Finished, splits: Splits, per_image: dict[str, np.ndarray]
) -> tuple[dict[str, Any], Callable[[], None]]:
    """Return the numbers of a model whose likelihood is exact and what draws its figures, as `judge_vae`."""
    nll = per_image["nll"].astype(np.float64)
    metrics = {
        "nll": float(np.mean(nll)),
        "nll_stderr": float(np.std(nll) / np.sqrt(len(nll))),
        "bits_per_dim": float(np.mean(per_image["bits_per_dim"], dtype=np.float64)),
    }
    return metrics, lambda: draw_exact(finished, splits)


def judge_autoencoder(
    finished: Finished, splits: Splits, per_image: dict[str, np.ndarray]
) -> tuple[dict[str, Any], Callable[[], None]]:
    """Return the numbers of an autoencoder and what draws its figures, as `judge_vae`; images are not corrupted."""
    inspected = inspect(finished, splits.test)
    metrics = {
        "reconstruction": float(np.mean(per_image["reconstruction"], dtype=np.float64)),
        **similarity(inspected.x, inspected.reconstructions),
        "latent_dim": inspected.means[0].shape[1],
    }
    return metrics, lambda: draw_autoencoder(finished, splits, inspected)


def judge_classifier(
    finished: Finished, splits: Splits, per_image: dict[str, np.ndarray]
) -> tuple[dict[str, Any], Callable[[], None]]:
    """Return the error of a classifier, and the bound where it models images, and what draws its figures."""
    metrics = {name: float(np.mean(value, dtype=np.float64)) for name, value in per_image.items() if name != "loss"}
    metrics["error_stderr"] = float(np.std(per_image["error"]) / np.sqrt(len(per_image["error"])))
    return metrics, lambda: draw_classifier(finished, splits)


def estimate_likelihood(finished: Finished, dataset: Dataset, num_samples: int) -> LikelihoodEstimate:
    """Return importance sampling estimates of every image of a data set, arrays [N] in nats."""
    pixels = math.prod(finished.experiment.spec.shape)
    size = max(1, min(NLL_BATCH, len(dataset.x), NLL_PIXELS // pixels))
    estimate = likelihood_estimator(finished.experiment, num_samples, max(1, NLL_PIXELS // (pixels * size)))
    bar = progress_bar(total=len(dataset.x), unit="image", desc=f"test NLL, k = {num_samples}")

    def one(start: int, batch: Batch) -> LikelihoodEstimate:
        values = estimate(finished.params, finished.model_state, evaluation_keys(start, size), batch.x)
        jax.block_until_ready(values)
        if bar is not None:
            bar.update(int(batch.mask.sum()))
        return values

    estimates = in_batches(one, dataset, size)
    if bar is not None:
        bar.close()
    return estimates


def likelihood_metrics(estimate: LikelihoodEstimate, num_samples: int) -> dict[str, Any]:
    """Return the bound, its two parts and the NLL, means over images in nats."""
    nll = -estimate.log_likelihood
    return {
        "elbo": float(np.mean(estimate.elbo)),
        "reconstruction": float(np.mean(estimate.reconstruction)),
        "kl": float(np.mean(estimate.kl)),
        "nll": float(np.mean(nll)),
        "nll_k": num_samples,
        "nll_stderr": float(np.std(nll) / np.sqrt(len(nll))),
    }


def image_metrics(inspected: Inspected, finished: Finished, splits: Splits) -> dict[str, Any]:
    """Return the quality of reconstructions, and the NLL of a model whose pixels are all drawn from one histogram."""
    scores = similarity(inspected.x, inspected.reconstructions)
    # Beside a density the floor of a discrete likelihood means nothing.
    if getattr(finished.config, "likelihood", "bernoulli") == "bernoulli":
        spec = finished.experiment.spec
        histogram = images.intensity_histogram(np.asarray(to_unit(jnp.asarray(splits.train.x), spec.num_values)))
        scores["nll_of_independent_pixels"] = float(np.mean(images.histogram_nll(histogram, inspected.x)))
    return scores


def latent_metrics(inspected: Inspected, per_image: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return how many units are active, of how many, layer by layer where there are several, and each unit's KL."""
    pairs = zip(inspected.means, inspected.means_again, strict=True)
    active = [int(np.sum(latents.active_units(*pair))) for pair in pairs]
    dims = [means.shape[1] for means in inspected.means]
    metrics: dict[str, Any] = {"active_units": sum(active), "latent_dim": sum(dims)}
    if len(active) > 1:
        metrics["active_units_per_layer"] = active
    if "kl_per_dimension" in per_image:
        metrics["kl_per_dimension"] = [round(float(kl), 4) for kl in np.mean(per_image["kl_per_dimension"], axis=0)]
    return metrics


def information(finished: Finished, inspected: Inspected) -> dict[str, float]:
    """Return the mutual information of images and Gaussian latents; its estimate rises with the number of images."""
    posterior = finished.experiment.posterior
    if posterior is None:
        return {}
    x = inspected.x[np.random.default_rng(0).permutation(len(inspected.x))[:MI_IMAGES]]
    size = min(evaluation_batch(finished.experiment.spec), len(x))
    q = in_batches(
        lambda _, batch: posterior_of(posterior, finished.params, finished.model_state, batch.x), Dataset(x, None), size
    )
    estimate = jax.jit(latents.mutual_information)(jax.random.key(0), q)
    return {"mutual_information": float(estimate), "mutual_information_images": len(x)}


def write_summary(
    folder: Path, experiment: str, training: dict[str, Any], metrics: dict[str, Any], **more: Any
) -> dict[str, Any]:
    """Write and return `summary.json`: what was run, for how long, on what, and what came out."""
    devices = jax.devices()
    summary = {
        "experiment": experiment,
        "config": read_json(folder / "config.json")["config"],
        **training,
        "device": f"{len(devices)} x {devices[0].device_kind}",
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("jaxvae", "jax", "flax", "optax", "numpy")},
        },
        "date": datetime.date.today().isoformat(),
        "metrics": metrics,
        **more,
    }
    write_json(folder / "summary.json", summary)
    return summary


def with_earlier(folder: Path, name: str, rows: list[dict[str, Any]], keys: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return rows of a table after those that a resumed run has in its `summary.json` and did not make again."""
    path = folder / "summary.json"
    earlier = read_json(path).get(name, []) if path.exists() else []
    made = [[row[key] for key in keys] for row in rows]
    return [*(row for row in earlier if [row[key] for key in keys] not in made), *rows]


def print_metrics(folder: Path, metrics: dict[str, Any]) -> None:
    """Print the folder and its numbers, nats per image unless named."""
    numbers = {name: value for name, value in metrics.items() if isinstance(value, int | float)}
    print(f"{folder}: " + ", ".join(f"{name} {value:.4g}" for name, value in numbers.items()))


# ---------- private


def _judge_of(experiment: Experiment) -> Callable[..., tuple[dict[str, Any], Callable[[], None]]]:
    if experiment.classify is not None:
        return judge_classifier
    if experiment.codec is not None:
        return judge_codec
    if experiment.terms is not None:
        return judge_vae
    return judge_exact if experiment.encode is None else judge_autoencoder
