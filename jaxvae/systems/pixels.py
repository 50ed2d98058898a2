"""Preprocessing of pixels and the matching likelihoods, by name."""

import functools
from typing import Any

from jaxvae import likelihoods
from jaxvae.choices import PixelLikelihood
from jaxvae.data import binarize, to_unit
from jaxvae.data.notices import notice
from jaxvae.errors import UserError
from jaxvae.labelled import same_labels, values_of
from jaxvae.types import Array, DataSpec, Likelihood, Prepare, PRNGKey, System


def binary_pixels(spec: DataSpec) -> Prepare:
    """Return the preprocessing that binarises images anew at every visit, with intensity as the probability of 1."""
    return functools.partial(binarize, num_values=spec.num_values)


def say_binarised(system: System, instead: str) -> None:
    """Say what becomes of images of more than two values in a system that binarises them.

    Args:
      system: of images.
      instead: what models the values themselves, for the sentence.
    """
    prepare: Any = system.prepare
    prepare = getattr(prepare, "keywords", {}).get("prepare", prepare)  # of a model that is conditional on classes
    if system.spec.num_values > 2 and getattr(prepare, "func", None) is binarize:
        notice(
            f"these images have {system.spec.num_values} values and are binarised anew at every visit, with their "
            f"intensity as the probability of a one; {instead} models the values themselves."
        )


def unit_pixels(spec: DataSpec) -> Prepare:
    """Return the preprocessing that scales images to [0, 1]."""
    return functools.partial(scaled, num_values=spec.num_values)


def scaled(keys: PRNGKey, x: Array, num_values: int) -> Array:
    """Return images in [0, 1]; the keys are not used."""
    del keys
    return to_unit(x, num_values)


def unchanged(keys: PRNGKey, x: Array) -> Array:
    """Return examples, such as codes, as they are; the keys are not used."""
    del keys
    return x


def prepared_values(keys: PRNGKey, x: Any, prepare: Prepare) -> Any:
    """Return images as they are modelled, with their classes if they come with some: the `prepare` of a system.

    Args:
      keys: [B].
      x: images, or a `Labelled` of such.
      prepare: of images.
    """
    return same_labels(x, prepare(keys, values_of(x)))


def pixels_of(
    name: PixelLikelihood, spec: DataSpec, *, num_components: int = 10, sigma: float = 0.1
) -> tuple[Likelihood, Prepare]:
    """Return a likelihood of images in [0, 1], and the preprocessing that goes with it.

    Args:
      name: `bernoulli`, of images that are binarised anew at every visit; `categorical` and `logistic_mixture`, of the
        integers that pixels are; `gaussian`, a density.
      spec: of the data.
      num_components: of the mixture of logistics.
      sigma: of the Gaussian.

    Raises:
      UserError: if the images have not the values that it is of.
    """
    if name == "bernoulli":
        return likelihoods.bernoulli(), binary_pixels(spec)
    if name == "gaussian":
        return likelihoods.gaussian(sigma), unit_pixels(spec)
    if spec.num_values == 2:
        raise UserError(f"The likelihood {name} is of images with more than two values: choose bernoulli.")
    if name == "categorical":
        of_integers = likelihoods.categorical(spec.num_values)
    else:
        of_integers = likelihoods.logistic_mixture(num_components, spec.num_values, spec.shape[-1])
    return likelihoods.in_unit(of_integers, spec.num_values), unit_pixels(spec)
