"""Images as a trained model sees them, with their codes and what comes back."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.common.loading import Finished
from experiments.common.training import evaluation_batch
from experiments.common.vae import split_each
from jaxvae.data import to_unit
from jaxvae.errors import UserError
from jaxvae.evaluation import images
from jaxvae.training import evaluation_keys, in_batches
from jaxvae.types import Array, Batch, Dataset, GaussianParams, ModelState, Params, PRNGKey, Splits


class Inspected(NamedTuple):
    """A data set as the model sees it, in its order."""

    x: np.ndarray  # [N, H, W, C], binarised or scaled
    means: tuple[np.ndarray, ...]  # E_q[z_l | x], [N, D_l]
    means_again: tuple[np.ndarray, ...]  # the same; with other noise where they are averages over samples
    reconstructions: np.ndarray  # E[x | E_q[z_1 | x]], [N, H, W, C]


def inspect(finished: Finished, dataset: Dataset) -> Inspected:
    """Return the images of a data set as the model sees them, their latents and reconstructions."""
    experiment, params, model_state = finished.experiment, finished.params, finished.model_state
    functions = experiment.prepare, experiment.encode, experiment.decode
    size = min(evaluation_batch(experiment.spec), len(dataset.x))

    def one(start: int, batch: Batch) -> Inspected:
        return _inspect(*functions, params, model_state, evaluation_keys(start, size), batch.x)

    return in_batches(one, dataset, size)


def features_of(finished: Finished, splits: Splits) -> Splits:
    """Return the features of images, [N, F]: codes, posterior means of all groups, or the vectors of grids of codes.

    They are of the images as they are, also where a model was trained on images binarised at random: the features of an
    image are no draw.
    """
    encode = functools.partial(_features, _encoder(finished))
    return Splits(*(Dataset(_of_images(finished, encode, part), part.labels) for part in splits))


def latents_of(finished: Finished, dataset: Dataset) -> GaussianParams:
    """Return q(z | x) of images, as they are, of a VAE with a Gaussian posterior: [N, D]."""
    posterior = finished.experiment.posterior
    return _of_images(finished, lambda params, state, _, x: posterior_of(posterior, params, state, x), dataset)


@functools.partial(jax.jit, static_argnums=0)  # once for all members of a sweep
def posterior_of(posterior: Callable, params: Params, state: ModelState, x: Array) -> GaussianParams:
    """Return q(z | x) of a batch of prepared images, jitted."""
    return posterior(params, state, x)


def similarity(x: np.ndarray, reconstructions: np.ndarray) -> dict[str, float]:
    """Return the mean squared error, PSNR and SSIM of images in [0, 1], [N, H, W, C], and what came back of them."""
    scores = {
        "mse": float(np.mean(np.square(x - reconstructions), dtype=np.float64)),
        "psnr": float(np.mean(images.psnr(x, reconstructions))),
    }
    if min(x.shape[1:3]) >= 3:
        try:
            scores["ssim"] = float(np.mean(images.ssim(x, reconstructions)))
        except UserError as error:
            print(f"warning: {error}")
    return scores


# ---------- private


def _of_images(finished: Finished, function: Callable[..., Any], dataset: Dataset) -> Any:
    """function(params, model_state, keys, images in [0, 1]) of a whole data set."""
    spec = finished.experiment.spec
    num = min(evaluation_batch(spec), len(dataset.x))

    def one(start: int, batch: Batch) -> Any:
        x = to_unit(jnp.asarray(batch.x), spec.num_values)
        return function(finished.params, finished.model_state, evaluation_keys(start, num), x)

    return in_batches(one, dataset, num)


def _encoder(finished: Finished) -> Callable[..., tuple[Array, ...]]:
    codec, encode = finished.experiment.codec, finished.experiment.encode
    if codec is not None:
        return lambda params, state, keys, x: codec.vectors(params, state, codec.encode(params, state, x))
    assert encode is not None
    return encode


@functools.partial(jax.jit, static_argnums=0)
def _features(encode: Callable, params: Params, model_state: ModelState, keys: PRNGKey, x: Array) -> Array:
    parts = encode(params, model_state, keys, x)
    return jnp.concatenate([part.reshape(len(x), -1) for part in parts], axis=1)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _inspect(
    prepare: Callable, encode: Callable, decode: Callable, params: Params, state: ModelState, keys: PRNGKey, x: Array
) -> Inspected:
    noise, draw = split_each(keys)  # the same binarisation as in `evaluate` and `estimate_likelihood`
    prepared = prepare(noise, x)
    *twice, pixels = split_each(draw, 3)
    means, again = (encode(params, state, keys, prepared) for keys in twice)
    return Inspected(prepared, means, again, decode(params, state, pixels, means[0]))
