"""Denoise images with a trained system, a median filter or non-local means."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.applications.encoding import decode, encode
from jaxvae.applications.generation import whole_number
from jaxvae.applications.given_classes import with_classes
from jaxvae.capabilities import Decodes, DrawsPosterior, find
from jaxvae.choices import DENOISING_SAMPLES
from jaxvae.errors import UserError
from jaxvae.keys import example_keys, split_each
from jaxvae.labelled import same_labels, values_of
from jaxvae.systems.corruption import NOISES, NoiseName, check_noise, corrupted
from jaxvae.training import evaluation_batch_size, evaluation_keys, in_batches, program_batch_size
from jaxvae.types import Array, Batch, Dataset, ModelState, Params, PRNGKey, System

MEDIAN_SIDES = (3, 5)
NON_LOCAL_WIDTHS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5)  # of the kernel over differences of patches

Filter = Callable[[np.ndarray], np.ndarray]  # images [N, H, W, C] -> images in [0, 1]


def denoise(
    system: System,
    params: Params,
    model_state: ModelState,
    x: np.ndarray,
    key: PRNGKey | None = None,
    num_samples: int = DENOISING_SAMPLES,
    *,
    labels: np.ndarray | None = None,
) -> np.ndarray:
    """Return noisy images without the noise, as far as a system tells them apart.

    An image goes through the system as it is, noise and all. A denoising autoencoder has learnt to take that out: it
    reconstructs the image. A VAE gives the mean image over latents of q(z | x), the estimate of least squared error if
    these are draws of the posterior; it was not told of the noise, and keeps what it takes for a part of the image.

    Args:
      system: one with codes: an autoencoder, a VAE or a VQ-VAE.
      params: its parameters.
      model_state: its state.
      x: [N, H, W, C] floats, of images in [0, 1].
      key: of the draws; by default that of evaluations.
      num_samples: latents for every image, of a VAE.
      labels: classes [N], where the model is conditional on these.

    Returns:
      [N, H, W, C] in [0, 1].

    Raises:
      UserError: if the system has no codes, or labels that it needs are missing.
    """
    num_samples, dataset = whole_number("num_samples", num_samples), Dataset(np.float32(x), labels)
    draws, decodes = find(system, DrawsPosterior), find(system, Decodes)
    if draws is None or decodes is None:
        return decode(
            system, params, model_state, encode(system, params, model_state, dataset, key), key, labels=labels
        )
    size = program_batch_size(len(x), evaluation_batch_size(system.spec))

    def one(start: int, batch: Batch) -> Array:
        keys = evaluation_keys(start, size, key)
        return _consensus(draws.draw, decodes.decode, params, model_state, keys, batch.x, num_samples)

    return np.clip(in_batches(one, with_classes(system, dataset), size, shown="denoising"), 0, 1)


def corrupt(x: np.ndarray, noise: NoiseName, level: float, key: PRNGKey) -> np.ndarray:
    """Return images with noise, [N, H, W, C] floats: that of an image depends on its row alone, and scales with level.

    Args:
      x: images in [0, 1].
      noise: kind of it.
      level: its standard deviation, or the probability that a pixel is changed.
      key: of the noise.

    Raises:
      UserError: if there is no such kind, or no such level of it.
    """
    if noise not in NOISES:
        raise UserError(f"The noise is {noise!r}, expected one of {', '.join(NOISES)}.")
    check_noise(noise, level)
    return np.asarray(corrupted(example_keys(key, jnp.arange(len(x))), jnp.asarray(x, jnp.float32), noise, level))


def fitted_filters(clean: np.ndarray, noisy: np.ndarray) -> dict[str, Filter]:
    """Return a median filter and non-local means, each with the setting of least squared error on some images.

    Args:
      clean: images [N, H, W, C] in [0, 1].
      noisy: the same with noise.

    Returns:
      The filters by name.

    Raises:
      UserError: if scikit-image is not installed.
    """
    filters: dict[str, Filter] = {}
    kinds = (("median", median, MEDIAN_SIDES), ("non-local means", non_local_means, NON_LOCAL_WIDTHS))
    for name, kind, settings in kinds:
        errors = {setting: np.mean(np.square(kind(noisy, setting) - clean)) for setting in settings}
        best = min(errors, key=errors.__getitem__)
        filters[name] = functools.partial(_filtered, kind=kind, setting=best)
    return filters


def median(x: np.ndarray, side: float) -> np.ndarray:
    """Return images after a median filter over squares of `side` pixels, [N, H, W, C] in [0, 1]."""
    from scipy.ndimage import median_filter

    return np.clip(median_filter(x, size=(1, side, side, 1)), 0, 1)


def non_local_means(x: np.ndarray, width: float) -> np.ndarray:
    """Return images after scikit-image's non-local means, [N, H, W, C] in [0, 1].

    Args:
      x: images [N, H, W, C].
      width: of the kernel over differences of patches.

    Raises:
      UserError: if scikit-image is not installed.
    """
    try:
        from skimage.restoration import denoise_nl_means
    except ImportError as error:
        raise UserError(
            'The filters need scikit-image, which is not installed; pip install "jaxvae[experiments]".'
        ) from error
    options = {"h": width, "patch_size": 5, "patch_distance": 6, "channel_axis": -1}
    return np.clip(np.stack([denoise_nl_means(one, **options) for one in x]).reshape(x.shape), 0, 1)


# ---------- private


@functools.partial(jax.jit, static_argnums=(0, 1, 6))
def _consensus(
    draw: Callable[..., tuple[Array, ...]],
    decode: Callable[..., Array],
    params: Params,
    model_state: ModelState,
    keys: PRNGKey,
    x: Array,
    num_samples: int,
) -> Array:
    """The mean of decoded draws of q(z | x); the first group of latents is that which is decoded."""

    def one(total: Array, index: Array) -> tuple[Array, None]:
        latents, pixels = split_each(jax.vmap(lambda key: jax.random.fold_in(key, index))(keys))
        z = same_labels(x, draw(params, model_state, latents, x)[0])
        return total + decode(params, model_state, pixels, z), None

    return jax.lax.scan(one, jnp.zeros_like(values_of(x)), jnp.arange(num_samples))[0] / num_samples


def _filtered(x: np.ndarray, kind: Callable, setting: float) -> np.ndarray:
    return kind(x, setting)
