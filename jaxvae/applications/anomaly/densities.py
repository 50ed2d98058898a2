"""log p of images and of their codes, without labels: of models of classes, that of all classes together."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.applications.likelihood import log_likelihood
from jaxvae.applications.prepared import of_prepared, without_keys
from jaxvae.capabilities import Codes, ScoresExactly, find, require
from jaxvae.systems.two_stages import HasStages, code_rows
from jaxvae.types import Array, Dataset, ModelState, Params, PRNGKey, System


def marginal_log_likelihood(
    system: System, params: Params, model_state: ModelState, dataset: Dataset, num_samples: int, key: PRNGKey
) -> np.ndarray:
    """Return log p(x) of every image, [N] nats: exact where the system knows it, else by importance sampling.

    Of a model that is conditional on classes it is log 1/K sum_k p(x | k): what a new image is, nobody has said.

    Args:
      system: a VAE or an autoregressive model.
      params: its parameters.
      model_state: its state.
      dataset: N images as the data set has them.
      num_samples: importance samples of a VAE.
      key: of the noise.

    Raises:
      UserError: if the system has no likelihood of images.
    """
    exact = find(system, ScoresExactly)
    num_classes = 0 if exact is None else exact.num_classes

    def given(labels: np.ndarray | None) -> np.ndarray:
        return log_likelihood(system, params, model_state, Dataset(dataset.x, labels), num_samples, key)

    if not num_classes:
        return given(None)
    each = [given(np.full(len(dataset.x), number, np.int32)) for number in range(num_classes)]
    return np.asarray(np.logaddexp.reduce(each, axis=0) - np.log(num_classes))


def codes_nll(system: System, params: Params, model_state: ModelState, dataset: Dataset, key: PRNGKey) -> np.ndarray:
    """Return -log p(codes of x) of every image, [N] nats; of a prior that is conditional on classes as above.

    Args:
      system: a VQ-VAE with a prior over its codes.
      params: its parameters.
      model_state: its state.
      dataset: N images as the data set has them.
      key: of the noise.

    Raises:
      UserError: if the system has no prior over codes.
    """
    prior = require(require(system, HasStages).prior, ScoresExactly)
    nll = _nll_of(require(system, Codes).encode, prior.log_prob, prior.num_classes)
    return of_prepared(system, without_keys(nll), params, model_state, dataset, key, shown="scores of codes")


def code_penalties(
    system: System, params: Params, model_state: ModelState, dataset: Dataset, key: PRNGKey
) -> np.ndarray:
    """Return what the quantizers of a VQ-VAE charge for every image, [N]: see `capabilities.Codes`.

    Args:
      system: a VQ-VAE.
      params: its parameters.
      model_state: its state.
      dataset: N images as the data set has them.
      key: of the noise.

    Raises:
      UserError: if the system has no grids of codes.
    """
    penalty = without_keys(require(system, Codes).penalty)
    return of_prepared(system, penalty, params, model_state, dataset, key, shown="scores of codes")


# ---------- private


@functools.lru_cache(maxsize=4)
def _nll_of(encode: Callable[..., Any], log_prob: Callable[..., Array], num_classes: int) -> Callable[..., Array]:
    """(params, model_state, prepared x) -> -log p(codes of x), [B]."""

    def nll(params: Params, model_state: ModelState, x: Array) -> Array:
        rows = code_rows(encode(params, model_state, x))
        if not num_classes:
            return -log_prob(params, model_state, rows, None)
        of_class = lambda k: log_prob(params, model_state, rows, jnp.full(len(rows), k))  # noqa: E731
        each = jax.lax.map(of_class, jnp.arange(num_classes))
        return jnp.log(float(num_classes)) - jax.nn.logsumexp(each, axis=0)

    return nll
