"""The likelihoods that experiments let choose from, with the images that each is of."""

from typing import Literal

from experiments.common.vae import Prepare, binary_pixels, unit_pixels
from jaxvae import likelihoods
from jaxvae.errors import UserError
from jaxvae.types import DataSpec, Likelihood

PixelLikelihood = Literal["bernoulli", "categorical", "gaussian", "logistic_mixture"]


def pixels_of(
    name: PixelLikelihood, spec: DataSpec, *, num_components: int = 10, sigma: float = 0.1
) -> tuple[Likelihood, Prepare]:
    """Return a likelihood of images in [0, 1] and what makes these of the data.

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
        raise UserError(f"--likelihood {name} is of images with more than two values: choose bernoulli.")
    if name == "categorical":
        of_integers = likelihoods.categorical(spec.num_values)
    else:
        of_integers = likelihoods.logistic_mixture(num_components, spec.num_values, spec.shape[-1])
    return likelihoods.in_unit(of_integers, spec.num_values), unit_pixels(spec)
