"""Names of choices, and numbers, that flags and functions share: nothing here needs JAX."""

from typing import Literal

Net = Literal["mlp", "conv", "resnet", "gated"]  # encoder and decoder of a VAE
PixelLikelihood = Literal["bernoulli", "categorical", "gaussian", "logistic_mixture"]
Method = Literal["variants", "interpolation", "samples"]  # of making new images of a class
Noise = Literal["gaussian", "masking", "salt_and_pepper", "dropout"]  # that is added to images
DENOISING_SAMPLES = 64  # latents of an image, whose decoded images are averaged
