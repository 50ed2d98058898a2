"""How likely images are under a model, each with all that is known of it."""

import math
from typing import NamedTuple

import numpy as np

from jaxvae import capabilities
from jaxvae.applications.likelihood import estimate_likelihood, log_likelihood
from jaxvae.capabilities import require_any
from jaxvae.types import Dataset, DataSpec, ModelState, Params, PRNGKey, System


class Scores(NamedTuple):
    """Scores of N images, in nats but for the last."""

    elbo: np.ndarray | None  # [N], mean over the samples; None where log p(x) is exact
    log_likelihood: np.ndarray  # [N], exact, or an estimate that is a lower bound in expectation
    stderr: np.ndarray | None  # [N], standard error of the estimate; None of exact values and of one sample
    bits_per_dim: np.ndarray | None  # [N], -log2 p(x) / (H W C); None of a density, whose nats are no bits


def score(
    system: System,
    params: Params,
    model_state: ModelState,
    dataset: Dataset,
    num_samples: int = 500,
    key: PRNGKey | None = None,
) -> Scores:
    """Score images: ELBO and importance sampling estimate of a VAE, the exact log p(x) of an autoregressive model.

    Args:
      system: a VAE or an autoregressive model.
      params: its parameters.
      model_state: its state.
      dataset: N images as the data set has them, prepared as in training, and their labels where the model is
        conditional on these.
      num_samples: importance samples of a VAE.
      key: of the noise; by default that of evaluations.

    Returns:
      The scores.

    Raises:
      UserError: if the system has no likelihood of images, or labels that it needs are missing.
    """
    able = require_any(system, (capabilities.ScoresExactly, capabilities.Scores), "likelihood of images")
    elbo, stderr = None, None
    if isinstance(able, capabilities.ScoresExactly):
        values = log_likelihood(system, params, model_state, dataset, num_samples, key)
    else:
        estimate = estimate_likelihood(system, params, model_state, dataset, num_samples, key)
        values, elbo = np.asarray(estimate.log_likelihood), np.asarray(estimate.elbo)
        stderr = np.asarray(estimate.standard_error) if num_samples > 1 else None
    bits = -values * bits_per_nat(system.spec) if able.discrete else None
    return Scores(elbo, values, stderr, bits)


def bits_per_nat(spec: DataSpec) -> float:
    """Return the factor from nats per image to bits per dimension, 1 / (ln 2 H W C)."""
    return 1.0 / (math.log(2.0) * math.prod(spec.shape))
