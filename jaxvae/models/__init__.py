"""Models composed of networks, distributions and flows."""

from jaxvae.models.autoencoder import Autoencoder, ConvPair, DensePair, with_mean_image
from jaxvae.models.hierarchical import HierarchicalVAE
from jaxvae.models.ladder import LadderNetwork, LadderTerms
from jaxvae.models.latent_variable import LatentVariableModel
from jaxvae.models.relaxed import RelaxedDecoder, relaxed
from jaxvae.models.semi_supervised import ClassTerms, SemiSupervisedVAE, class_bound
from jaxvae.models.top_down import TopDownVAE
from jaxvae.models.vae import VAE, draw_images, given_labels, parameters_of, with_output_bias
from jaxvae.models.vqvae import VQVAE, CodedTerms, HierarchicalVQVAE

__all__ = [
    "VAE",
    "VQVAE",
    "Autoencoder",
    "ClassTerms",
    "CodedTerms",
    "ConvPair",
    "DensePair",
    "HierarchicalVAE",
    "HierarchicalVQVAE",
    "LadderNetwork",
    "LadderTerms",
    "LatentVariableModel",
    "RelaxedDecoder",
    "SemiSupervisedVAE",
    "TopDownVAE",
    "class_bound",
    "draw_images",
    "given_labels",
    "parameters_of",
    "relaxed",
    "with_mean_image",
    "with_output_bias",
]
