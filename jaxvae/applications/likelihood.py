"""Log-likelihood of images: importance sampling for VAEs, exact values for autoregressive models."""

import functools
import math
from collections.abc import Callable

import jax
import numpy as np

from jaxvae.applications.given_classes import needed_labels, with_classes
from jaxvae.capabilities import Scores, ScoresExactly, require, require_any
from jaxvae.errors import whole_number
from jaxvae.evaluation.likelihood import LikelihoodEstimate, importance_estimate, jit_estimate
from jaxvae.keys import split_each
from jaxvae.progress import progress_bar
from jaxvae.training import evaluation_batch_size, evaluation_keys, in_batches, program_batch_size
from jaxvae.types import Array, Batch, Dataset, ELBOTerms, ModelState, Params, Prepare, PRNGKey, System

BATCH = 100  # images at a time in importance sampling
PIXELS = 784_000  # decoded at a time: they stay in the processor's caches, and images of any size in memory


def estimate_likelihood(
    system: System,
    params: Params,
    model_state: ModelState,
    dataset: Dataset,
    num_samples: int,
    key: PRNGKey | None = None,
) -> LikelihoodEstimate:
    """Estimate log p(x) of every image by importance sampling.

    Args:
      system: a VAE.
      params: its parameters.
      model_state: its state.
      dataset: N images as the data set has them, prepared as in training, and their labels where the model is
        conditional on these.
      num_samples: k, latents for every image.
      key: of the noise; by default that of evaluations.

    Returns:
      Estimates as numpy arrays [N], nats.

    Raises:
      UserError: if the system has no bound of log p(x), there are no samples, or labels that it needs are missing.
    """
    num_samples, pixels = whole_number("num_samples", num_samples), math.prod(system.spec.shape)
    given = with_classes(system, dataset)
    size = program_batch_size(len(dataset.x), max(1, min(BATCH, PIXELS // pixels)))
    estimate = likelihood_estimator(system, num_samples, max(1, PIXELS // (pixels * size)))
    with progress_bar(total=len(dataset.x), unit="image", desc=f"NLL with {num_samples} samples") as bar:

        def one(start: int, batch: Batch) -> LikelihoodEstimate:
            values = estimate(params, model_state, evaluation_keys(start, size, key), batch.x)
            jax.block_until_ready(values)
            bar.update(int(batch.mask.sum()))
            return values

        return in_batches(one, given, size)


def log_likelihood(
    system: System,
    params: Params,
    model_state: ModelState,
    dataset: Dataset,
    num_samples: int = 500,
    key: PRNGKey | None = None,
) -> np.ndarray:
    """Return log p(x) of every image, [N] nats: exact where the system knows it, else `estimate_likelihood`.

    Args:
      system: a VAE or an autoregressive model.
      params: its parameters.
      model_state: its state.
      dataset: N images, and their labels where the model is conditional on these.
      num_samples: importance samples of a VAE.
      key: of the noise; by default that of evaluations.

    Raises:
      UserError: if the system has no likelihood of images, or labels that it needs are missing.
    """
    exact = require_any(system, (ScoresExactly, Scores), "likelihood of images")
    if isinstance(exact, Scores):
        return np.asarray(estimate_likelihood(system, params, model_state, dataset, num_samples, key).log_likelihood)
    dataset = dataset._replace(labels=needed_labels(exact.num_classes, dataset, system.name))
    size = program_batch_size(len(dataset.x), evaluation_batch_size(system.spec))

    def one(start: int, batch: Batch) -> Array:
        keys = evaluation_keys(start, size, key)
        return _exact(system.prepare, exact.log_prob, params, model_state, keys, batch.x, batch.labels)

    return in_batches(one, dataset, size, shown="log-likelihood")


def likelihood_estimator(
    system: System, num_samples: int, chunk_size: int
) -> Callable[[Params, ModelState, PRNGKey, Array], LikelihoodEstimate]:
    """Return the compiled importance sampling estimate of a VAE's images.

    Args:
      system: a VAE.
      num_samples: k, latents for every image.
      chunk_size: of them at a time; the memory is in proportion.

    Returns:
      (params, model_state, keys [B], x of a `Batch`) -> estimates of the images as `evaluate` prepares them, [B] nats.
    """
    return _estimator(require(system, Scores).terms, system.prepare, num_samples, chunk_size)


# ---------- private


@functools.lru_cache(maxsize=4)  # members of a sweep share the program, and a few numbers of images have one each
def _estimator(terms: Callable[..., ELBOTerms], prepare: Prepare, num_samples: int, chunk_size: int) -> Callable:
    @jit_estimate
    def estimate(params: Params, model_state: ModelState, keys: PRNGKey, x: Array) -> LikelihoodEstimate:
        noise, draw = split_each(keys)
        prepared = prepare(noise, x)
        return importance_estimate(
            lambda keys: terms(params, model_state, keys, prepared), draw, num_samples, chunk_size
        )

    return estimate


@functools.partial(jax.jit, static_argnums=(0, 1))
def _exact(
    prepare: Prepare,
    log_prob: Callable[..., Array],
    params: Params,
    model_state: ModelState,
    keys: PRNGKey,
    x: Array,
    labels: Array | None,
) -> Array:
    noise, _ = split_each(keys)  # the same binarisation as in evaluations
    return log_prob(params, model_state, prepare(noise, x), labels)
