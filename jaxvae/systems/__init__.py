"""Systems: model families ready to be trained and used, pure functions without files and flags.

`vae`, `vqvae` and `autoregressive` are ready to be trained; the functions that end in `_system` take parts of your own.
"""

from jaxvae.systems.augmentation import augmented
from jaxvae.systems.autoencoder import autoencoder_system
from jaxvae.systems.autoregressive_parts import autoregressive_system
from jaxvae.systems.bounds import closed_bound, sampled_bound
from jaxvae.systems.classifier import classifier_system
from jaxvae.systems.code_prior import code_prior_system
from jaxvae.systems.following import with_steps
from jaxvae.systems.ladder import ladder_system
from jaxvae.systems.semi_supervised import m2_system
from jaxvae.systems.top_down import make_groups, top_down_vae
from jaxvae.systems.vae_parts import vae_system
from jaxvae.systems.vqvae_parts import vqvae_system

from jaxvae.systems.builds import autoregressive, vae, vqvae  # isort: skip - in place of the modules of these names

__all__ = [
    "augmented",
    "autoencoder_system",
    "autoregressive",
    "autoregressive_system",
    "classifier_system",
    "closed_bound",
    "code_prior_system",
    "ladder_system",
    "m2_system",
    "make_groups",
    "sampled_bound",
    "top_down_vae",
    "vae",
    "vae_system",
    "vqvae",
    "vqvae_system",
    "with_steps",
]
