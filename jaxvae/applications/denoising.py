"""Noise taken out of images: by a trained system, by a median, and by a non-local filter."""

import functools
from collections.abc import Callable

import jax
import numpy as np

from jaxvae.capabilities import Codes, Decodes, Encodes, find, require
from jaxvae.errors import UserError
from jaxvae.keys import split_each
from jaxvae.training import evaluation_batch_size, evaluation_keys, in_batches
from jaxvae.types import Array, Batch, Dataset, ModelState, Params, PRNGKey, System

MEDIAN_SIDES = (3, 5)
NON_LOCAL_WIDTHS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5)  # of the kernel over differences of patches

Filter = Callable[[np.ndarray], np.ndarray]  # images [N, H, W, C] -> images in [0, 1]


def denoise(system: System, params: Params, model_state: ModelState, x: np.ndarray) -> np.ndarray:
    """Return what a system makes of images, which may be noisy.

    An image goes through the system as it is, noise and all: a denoising autoencoder has learnt to take that out,
    another system gives back what it can say.

    Args:
      system: one with codes: an autoencoder, a VAE or a VQ-VAE.
      params: its parameters.
      model_state: its state.
      x: [N, H, W, C] floats, of images in [0, 1].

    Returns:
      E[x | code] of the code, or of the posterior mean, of every image, [N, H, W, C].

    Raises:
      UserError: if the system has no codes.
    """
    coder = find(system, Codes) or require(system, Encodes)
    decode = None if isinstance(coder, Codes) else require(system, Decodes).decode
    size = min(evaluation_batch_size(system.spec), len(x))

    def one(start: int, batch: Batch) -> Array:
        return _through(coder, decode, params, model_state, evaluation_keys(start, size), batch.x)

    return np.clip(in_batches(one, Dataset(np.float32(x), None), size), 0.0, 1.0)


def fitted_filters(clean: np.ndarray, noisy: np.ndarray) -> dict[str, Filter]:
    """Return a median and a non-local filter, each with the setting of the least squared error on some images.

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
    """Return the medians of squares of some pixels a side, [N, H, W, C] in [0, 1]."""
    from scipy.ndimage import median_filter

    return np.clip(median_filter(x, size=(1, side, side, 1)), 0, 1)


def non_local_means(x: np.ndarray, width: float) -> np.ndarray:
    """Return means of pixels over similar patches, by scikit-image, [N, H, W, C] in [0, 1].

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


def _filtered(x: np.ndarray, kind: Callable, setting: float) -> np.ndarray:
    return kind(x, setting)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _through(
    coder: Codes | Encodes,
    decode: Callable | None,
    params: Params,
    model_state: ModelState,
    keys: PRNGKey,
    x: Array,
) -> Array:
    if isinstance(coder, Codes):
        return coder.decode(params, model_state, coder.encode(params, model_state, x))
    assert decode is not None
    latents, pixels = split_each(keys)
    return decode(params, model_state, pixels, coder.encode(params, model_state, latents, x)[0])
