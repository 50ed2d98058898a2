"""Denoise images with a trained system, a median filter or non-local means."""

import functools
from collections.abc import Callable

import numpy as np

from jaxvae.applications.encoding import decode, encode
from jaxvae.errors import UserError
from jaxvae.types import Dataset, ModelState, Params, System

MEDIAN_SIDES = (3, 5)
NON_LOCAL_WIDTHS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5)  # of the kernel over differences of patches

Filter = Callable[[np.ndarray], np.ndarray]  # images [N, H, W, C] -> images in [0, 1]


def denoise(system: System, params: Params, model_state: ModelState, x: np.ndarray) -> np.ndarray:
    """Return the reconstructions of noisy images.

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
    codes = encode(system, params, model_state, Dataset(np.float32(x), None))
    return decode(system, params, model_state, codes)


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


def _filtered(x: np.ndarray, kind: Callable, setting: float) -> np.ndarray:
    return kind(x, setting)
