"""What a finished VAE is judged by: the test part, once, in numbers (`summary.json`) and figures."""

import datetime
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.common.figures import draw
from experiments.common.folder import progress_bar, read_json, write_json
from experiments.common.vae import split_each
from experiments.run import Finished
from jaxvae.data import padded_batches, to_unit
from jaxvae.evaluation import images, latents
from jaxvae.evaluation.likelihood import LikelihoodEstimate, importance_estimate
from jaxvae.training import make_evaluator
from jaxvae.training.loop import evaluation_keys
from jaxvae.types import Dataset, Splits

BATCH = 500  # images evaluated at a time
NLL_BATCH = 100  # images at a time in importance sampling
NLL_CHUNK = 10  # samples of each at a time: 1,000 decoder outputs stay in the processor's caches


class Inspected(NamedTuple):
    """A data set as the model sees it, in its order."""

    x: np.ndarray  # [N, H, W, C], binarised or scaled
    means: tuple[np.ndarray, ...]  # E_q[z_l | x], [N, D_l]
    reconstructions: np.ndarray  # E[x | E_q[z_1 | x]], [N, H, W, C]


def report(finished: Finished, splits: Splits) -> dict[str, Any]:
    """Evaluate on the test part, unless that was done for these steps, write `summary.json` and draw the figures.

    Args:
      finished: a VAE.
      splits: its data.

    Returns:
      The summary.
    """
    path = finished.folder / "summary.json"
    if path.exists() and read_json(path)["steps"] == finished.training["steps"]:
        return read_json(path)
    inspected = inspect(finished, splits.test)
    evaluate = make_evaluator(finished.experiment, min(BATCH, len(splits.test.x)))
    per_image = evaluate(finished.params, finished.model_state, splits.test)
    estimate = estimate_likelihood(finished, splits.test, finished.config.nll_samples)
    metrics = {
        **likelihood_metrics(estimate, finished.config.nll_samples),
        **image_metrics(inspected, finished, splits),
        **latent_metrics(inspected, per_image),
    }
    warning = latents.diagnose_collapse(metrics["active_units"], metrics["latent_dim"], metrics["kl"])
    if warning:
        print(f"warning: {warning}")
        metrics["warning"] = warning
    valid = evaluate(finished.params, finished.model_state, splits.valid)
    scores = {name: float(np.mean(value)) for name, value in valid.items() if value.ndim == 1}
    draw(finished, splits, inspected, metrics)
    summary = write_summary(finished.folder, finished.experiment.name, finished.training, metrics, valid=scores)
    print_metrics(finished.folder, metrics)
    return summary


def inspect(finished: Finished, dataset: Dataset) -> Inspected:
    """Return the images of a data set as the model sees them, their latents and reconstructions."""
    experiment, params, model_state = finished.experiment, finished.params, finished.model_state
    assert experiment.encode is not None
    assert experiment.decode is not None
    encode, decode = experiment.encode, experiment.decode

    @jax.jit
    def one(keys: jax.Array, x: jax.Array) -> Inspected:
        noise, draw = split_each(keys)  # the same binarisation as in `evaluate` and `estimate_likelihood`
        prepared = experiment.prepare(noise, x)
        means = encode(params, model_state, draw, prepared)
        return Inspected(prepared, means, decode(params, model_state, means[0]))

    size = min(BATCH, len(dataset.x))
    parts = []
    for start, batch in padded_batches(dataset, size):
        real = batch.mask > 0
        parts.append(jax.tree.map(lambda leaf: np.asarray(leaf)[real], one(evaluation_keys(start, size), batch.x)))  # noqa: B023
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)


def estimate_likelihood(finished: Finished, dataset: Dataset, num_samples: int) -> LikelihoodEstimate:
    """Return importance sampling estimates of every image of a data set, arrays [N] in nats."""
    experiment = finished.experiment
    assert experiment.terms is not None
    terms = experiment.terms

    @jax.jit
    def estimate(params: Any, model_state: Any, keys: jax.Array, x: jax.Array) -> LikelihoodEstimate:
        noise, draw = split_each(keys)
        prepared = experiment.prepare(noise, x)
        return importance_estimate(
            lambda keys: terms(params, model_state, keys, prepared), draw, num_samples, NLL_CHUNK
        )

    parts = []
    size = min(NLL_BATCH, len(dataset.x))
    bar = progress_bar(total=len(dataset.x), unit="image", desc=f"test NLL, k = {num_samples}")
    for start, batch in padded_batches(dataset, size):
        values = estimate(finished.params, finished.model_state, evaluation_keys(start, size), batch.x)
        real = batch.mask > 0
        parts.append(LikelihoodEstimate(*(np.asarray(value)[real] for value in values)))
        if bar is not None:
            bar.update(int(real.sum()))
    if bar is not None:
        bar.close()
    return LikelihoodEstimate(*(np.concatenate(part) for part in zip(*parts, strict=True)))


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
    scores = {"psnr": float(np.mean(images.psnr(inspected.x, inspected.reconstructions)))}
    if min(inspected.x.shape[1:3]) >= 3:
        scores["ssim"] = float(np.mean(images.ssim(inspected.x, inspected.reconstructions)))
    if set(np.unique(inspected.x)) <= {0.0, 1.0}:
        spec = finished.experiment.spec
        histogram = images.intensity_histogram(np.asarray(to_unit(jnp.asarray(splits.train.x), spec.num_values)))
        scores["nll_of_independent_pixels"] = float(np.mean(images.histogram_nll(histogram, inspected.x)))
    return scores


def latent_metrics(inspected: Inspected, per_image: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return how many units are active, of how many, layer by layer where there are several, and each unit's KL."""
    active = [int(np.sum(latents.active_units(means))) for means in inspected.means]
    dims = [means.shape[1] for means in inspected.means]
    metrics: dict[str, Any] = {"active_units": sum(active), "latent_dim": sum(dims)}
    if len(active) > 1:
        metrics["active_units_per_layer"] = active
    if "kl_per_dimension" in per_image:
        metrics["kl_per_dimension"] = [round(float(kl), 4) for kl in np.mean(per_image["kl_per_dimension"], axis=0)]
    return metrics


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


def print_metrics(folder: Path, metrics: dict[str, Any]) -> None:
    """Print the folder and its numbers, nats per image unless named."""
    numbers = {name: value for name, value in metrics.items() if isinstance(value, int | float)}
    print(f"{folder}: " + ", ".join(f"{name} {value:.4g}" for name, value in numbers.items()))
