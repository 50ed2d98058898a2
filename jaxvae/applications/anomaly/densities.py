"""log p of images and of their codes, without labels: of models of classes, that of all classes together."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.applications.likelihood import log_likelihood
from jaxvae.capabilities import Codes, ScoresExactly, find, require
from jaxvae.keys import split_each
from jaxvae.systems.two_stages import HasStages, code_rows
from jaxvae.training import evaluation_batch_size, evaluation_keys, in_batches, program_batch_size
from jaxvae.types import Array, Batch, Dataset, ModelState, Params, Prepare, PRNGKey, System


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
    return _of_prepared(system, nll, params, model_state, dataset, key)


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
    return _of_prepared(system, require(system, Codes).penalty, params, model_state, dataset, key)


def prepared_images(
    system: System, params: Params, model_state: ModelState, dataset: Dataset, key: PRNGKey
) -> np.ndarray:
    """Return images as they are modelled, [N, H, W, C] in [0, 1]: binarised at random where log p is of such.

    Args:
      system: of images.
      params: its parameters.
      model_state: its state.
      dataset: N images as the data set has them.
      key: of the noise.
    """
    return _of_prepared(system, _as_it_is, params, model_state, dataset, key)


# ---------- private


def _as_it_is(params: Params, model_state: ModelState, x: Array) -> Array:
    return x


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


def _of_prepared(
    system: System,
    function: Callable[..., Array],
    params: Params,
    model_state: ModelState,
    dataset: Dataset,
    key: PRNGKey,
) -> np.ndarray:
    """(params, model_state, prepared x) -> [B], of a whole data set, prepared as in evaluation."""
    size = program_batch_size(len(dataset.x), evaluation_batch_size(system.spec))

    def one(start: int, batch: Batch) -> Array:
        keys = evaluation_keys(start, size, key)
        return _values(system.prepare, function, params, model_state, keys, batch.x)

    return np.asarray(in_batches(one, dataset._replace(labels=None), size, shown="scores of codes"))


@functools.partial(jax.jit, static_argnums=(0, 1))
def _values(
    prepare: Prepare,
    function: Callable[..., Array],
    params: Params,
    model_state: ModelState,
    keys: PRNGKey,
    x: Array,
) -> Array:
    noise, _ = split_each(keys)  # the same binarisation as in evaluations
    return function(params, model_state, prepare(noise, x))
