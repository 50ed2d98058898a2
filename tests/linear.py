"""A linear VAE with Gaussian pixels: every density is known in closed form.

  z ~ N(0, I),    x = W z + b + SIGMA e,    q(z | x) = N(A (x - b), diag(STD^2)),    A = W^T / (SIGMA^2 + |w|^2)

The columns of W are orthogonal and of one length, so that q(z | x) is the exact posterior.
"""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from jaxvae.likelihoods import gaussian
from jaxvae.models import VAE
from jaxvae.nets.mlp import flatten_image
from jaxvae.posteriors import GaussianPosterior
from jaxvae.systems.assemble import loaded
from jaxvae.systems.pixels import unit_pixels
from jaxvae.systems.vae_parts import VAEParts
from jaxvae.types import DataSpec

SHAPE, DIM, SIGMA, LENGTH = (2, 3, 1), 2, 0.1, 0.25
SPEC = DataSpec(SHAPE, 256, 0)
_Q, _ = np.linalg.qr(np.random.default_rng(3).standard_normal((6, DIM)))
W, B = LENGTH * _Q, np.full(6, 0.5)  # [6, D], [6]
VARIANCE = SIGMA**2 + LENGTH**2
A, STD = W.T / VARIANCE, SIGMA / np.sqrt(VARIANCE)


class Flat(nn.Module):
    """Images as vectors."""

    def __call__(self, x):
        return flatten_image(x)


class Linear(nn.Module):
    """z -> W z + b as an image."""

    @nn.compact
    def __call__(self, z, x=None):
        y = nn.Dense(6, name="dense")(z)
        return y.reshape(*z.shape[:-1], *SHAPE)


def linear_system(name="linear"):
    """Return the system and its parameters."""
    vae = VAE(Flat(), GaussianPosterior(DIM), Linear(), gaussian(SIGMA))
    statistics = {
        "kernel": np.concatenate([A.T, np.zeros((6, DIM))], axis=1),
        "bias": np.concatenate([-A @ B, np.full(DIM, 2 * np.log(STD))]),
    }
    params = {
        "posterior": {"statistics": statistics},
        "decoder": {"dense": {"kernel": W.T, "bias": B}},
    }
    params = {part: {name: {k: jnp.asarray(v, jnp.float32) for k, v in layer.items()} for name, layer in tree.items()}
              for part, tree in params.items()}  # fmt: skip
    return loaded(name, VAEParts(SPEC, vae, unit_pixels(SPEC)), {}), params


def linear_images(num, seed=0):
    """Return draws of the model, float32 [N, 2, 3, 1]; hardly any is outside of [0, 1]."""
    generator = np.random.default_rng(seed)
    z, e = generator.standard_normal((num, DIM)), generator.standard_normal((num, 6))
    return np.clip(z @ W.T + B + SIGMA * e, 0, 1).astype(np.float32).reshape(num, *SHAPE)
