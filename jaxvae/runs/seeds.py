"""The random keys of the methods of a trained system, of the seed that a person gives."""

import jax

from jaxvae.errors import MOST_SEED, whole_number
from jaxvae.types import PRNGKey

# Folded into the key of a seed, so that no method has the noise of another, nor that of a training of the same seed.
SAMPLING, ENCODING, DECODING, SCORING = 0x73616D70, 0x656E636F, 0x6465636F, 0x73636F72
CLASSIFYING, DENOISING, COMPLETING = 0x636C6173, 0x64656E6F, 0x636F6D70


def key_of(seed: int, method: int) -> PRNGKey:
    """Return the key of a seed that a person gives, for one method; a `UserError` if it is no seed."""
    return jax.random.fold_in(jax.random.key(whole_number("seed", seed, 0, MOST_SEED)), method)
