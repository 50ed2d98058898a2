"""Fit a mixture of Gaussians to the latents of a trained VAE, to take the place of its prior.

References:
  Ghosh et al., "From variational to deterministic autoencoders", 2020, arXiv:1903.12436, sec. 4.
"""

import functools
import importlib.util
import math
import warnings
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.data.notices import notice
from jaxvae.errors import UserError
from jaxvae.keys import split_each
from jaxvae.models import VAE
from jaxvae.priors import RefittedPrior
from jaxvae.progress import progress_bar
from jaxvae.systems.vae_parts import VAEParts
from jaxvae.training import evaluation_batch_size, evaluation_keys, in_batches
from jaxvae.types import Array, Batch, Dataset, ModelState, Params, Splits, System

DRAWS, MOST_DRAWS = 40_000, 10  # latents that are fitted at least, and of one image at most
VALID_DRAWS = 5  # of an image that judges
IMAGES = 40  # for each component at least: a full covariance has many numbers
ITERATIONS, LEAST_VARIANCE = 40, 1e-3  # of expectation maximisation; what is added to every variance
UNUSED = -1e9  # logit of a component that is not there


def with_refitted_prior(system: System) -> System:
    """Return a system that refits its prior to the latents when its training has ended, if that is a `RefittedPrior`.

    The mixture has as many components as that one, or a half or a quarter of them, until the latents of the validation
    images are at least as likely under the refitted prior as under the learned one, which stays if they never are.

    Raises:
      UserError: if scikit-learn is not installed.
    """
    parts: Any = system.parts
    if not isinstance(parts.vae.prior, RefittedPrior):
        return system
    if importlib.util.find_spec("sklearn") is None:  # now, not when all has been trained
        raise UserError(
            "A mixture of Gaussians as the prior is fitted by scikit-learn, which is not installed: pip install "
            '"jaxvae[experiments]", or leave the mixture out, --mixture 0.'
        )
    return system._replace(trainable=system.trainable._replace(finish=functools.partial(refit, parts)))


def refit(parts: VAEParts, params: Params, model_state: ModelState, splits: Splits) -> tuple[VAEParts, Params] | None:
    """Return the parts and parameters of the model with the refitted prior, None where the learned prior stays.

    Args:
      parts: of `with_refitted_prior`.
      params: of the trained model.
      model_state: its state.
      splits: the images that it was trained on, and those that chose its parameters.
    """
    vae: Any = parts.vae
    rows = np.sort(np.random.default_rng(0).permutation(len(splits.train.x))[:DRAWS])
    images = Dataset(splits.train.x[rows], None)
    num_draws = min(MOST_DRAWS, -(-DRAWS // len(rows)))
    train = np.concatenate([draws(parts, params, images, i) for i in range(num_draws)])
    valid = np.concatenate([draws(parts, params, splits.valid, i) for i in range(VALID_DRAWS)])
    learned = np.asarray(_log_prior(vae, params, jnp.asarray(valid)), np.float64)
    weight, size = vae.prior.weight, max(1, min(vae.prior.fitted.num_components, len(rows) // IMAGES))

    def gain(found: Any) -> float:
        """Nats by which validation images are likelier, on average."""
        fitted = found.score_samples(valid)
        return float(np.mean(np.logaddexp(math.log(weight) + fitted, math.log1p(-weight) + learned) - learned))

    sizes = sorted({max(1, size // divisor) for divisor in (1, 2, 4)}, reverse=True)
    with progress_bar(total=len(sizes), unit="fit", desc="mixture of Gaussians as prior") as bar:
        for size in sizes:
            bar.update(1)
            try:
                found = fitted_mixture(train, size)
            except ValueError:  # latents so far from N(0, I) that a covariance is singular in float32
                continue
            if gain(found) >= 0:
                break
        else:
            notice("validation images are less likely under a mixture of Gaussians: the learned prior stays.")
            return None
    mixture = mixture_params(found, vae.prior.fitted.num_components)
    used = replace(parts, vae=vae.clone(prior=vae.prior.clone(refitted=True)))
    return used, {**params, "prior": {**params["prior"], "fitted": mixture}}


def draws(parts: VAEParts, params: Params, dataset: Dataset, number: int) -> np.ndarray:
    """Return a draw of q(z | x) of every image, [N, D]; others by another number."""
    size = min(evaluation_batch_size(parts.spec), len(dataset.x))
    key = jax.random.key(number)

    def one(start: int, batch: Batch) -> Array:
        return _draw(parts, params, evaluation_keys(start, size, key), batch.x)

    return np.asarray(in_batches(one, dataset._replace(labels=None), size))


def fitted_mixture(z: np.ndarray, num_components: int) -> Any:
    """Return a `sklearn.mixture.GaussianMixture` of latents [N, D], by expectation maximisation."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the iterations after the last would change little
        options = {"reg_covar": LEAST_VARIANCE, "max_iter": ITERATIONS, "random_state": 0}
        return GaussianMixture(num_components, **options).fit(z)


def mixture_params(found: Any, num_components: int) -> Params:
    """Return the parameters of a `FullMixturePrior` for a mixture of scikit-learn with as many components, or fewer."""
    factors = np.asarray(found.precisions_cholesky_)  # upper triangular
    missing = num_components - len(factors)

    def padded(values: np.ndarray, fill: float = 0.0) -> Array:
        pads = [(0, missing), *[(0, 0)] * (values.ndim - 1)]
        return jnp.asarray(np.pad(values, pads, constant_values=fill), jnp.float32)

    return {
        "logits": padded(np.log(np.maximum(found.weights_, 1e-30)), UNUSED),
        "mean": padded(found.means_),
        "log_diagonal": padded(np.log(np.diagonal(factors, axis1=1, axis2=2))),
        "factor": padded(np.triu(factors, 1)),
    }


# ---------- private


@functools.partial(jax.jit, static_argnums=0)
def _draw(parts: VAEParts, params: Params, keys: Array, x: Array) -> Array:
    noise, draw = split_each(keys)
    return parts.draw(params, {}, draw, parts.prepare(noise, x))[0]


@functools.partial(jax.jit, static_argnums=0)
def _log_prior(vae: VAE, params: Params, z: Array) -> Array:
    found: Any = vae.apply({"params": params}, z[None], method="log_prior")
    return found[0]
