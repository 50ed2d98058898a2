"""What a finished VAE is judged by: the test part, once, in numbers (`summary.json`) and figures."""

import datetime
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.common.folder import progress_bar, read_json, write_json
from experiments.run import Finished
from jaxvae.data import padded_batches
from jaxvae.evaluation.likelihood import LikelihoodEstimate, importance_estimate
from jaxvae.training.loop import evaluation_keys
from jaxvae.types import Dataset, Splits

NLL_BATCH = 100  # test images at a time
NLL_CHUNK = 10  # importance samples of each at a time: 1,000 decoder outputs stay in the processor's caches


def report(finished: Finished, splits: Splits) -> dict[str, Any]:
    """Evaluate on the test part, unless that was done for these steps, and write `summary.json`.

    Returns:
      The summary.
    """
    path = finished.folder / "summary.json"
    if path.exists() and read_json(path)["steps"] == finished.training["steps"]:
        return read_json(path)
    estimate = estimate_likelihood(finished, splits.test, finished.config.nll_samples)
    nll = -estimate.log_likelihood
    metrics = {
        "elbo": float(np.mean(estimate.elbo)),
        "reconstruction": float(np.mean(estimate.reconstruction)),
        "kl": float(np.mean(estimate.kl)),
        "nll": float(np.mean(nll)),
        "nll_k": finished.config.nll_samples,
        "nll_stderr": float(np.std(nll) / np.sqrt(len(nll))),
    }
    summary = {
        "experiment": finished.experiment.name,
        "config": read_json(finished.folder / "config.json")["config"],
        **finished.training,
        "device": device_name(),
        "versions": versions(),
        "date": datetime.date.today().isoformat(),
        "metrics": metrics,
    }
    write_json(path, summary)
    print(finished.folder, metrics)
    return summary


def estimate_likelihood(finished: Finished, dataset: Dataset, num_samples: int) -> LikelihoodEstimate:
    """Return importance sampling estimates of every image of a data set, arrays [N] in nats."""
    experiment = finished.experiment
    assert experiment.terms is not None
    terms = experiment.terms

    @jax.jit
    def estimate(params: Any, model_state: Any, keys: jax.Array, x: jax.Array) -> LikelihoodEstimate:
        noise, draw = jnp.moveaxis(jax.vmap(jax.random.split)(keys), 1, 0)
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


def device_name() -> str:
    """Return the kind and number of devices."""
    devices = jax.devices()
    return f"{len(devices)} x {devices[0].device_kind}" if devices[0].platform != "cpu" else "cpu"


def versions() -> dict[str, str]:
    """Return the versions that a number depends on."""
    import platform
    from importlib.metadata import version

    packages = ("jaxvae", "jax", "flax", "optax", "numpy")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}
