"""Variational autoencoders for images in JAX: pure functions of one event, thin Linen modules, one train step."""

from jaxvae import (
    data,
    distributions,
    evaluation,
    likelihoods,
    models,
    nets,
    objectives,
    priors,
    sampling,
    schedules,
    training,
    viz,
)
from jaxvae.errors import UserError
from jaxvae.evaluation import importance_estimate
from jaxvae.likelihoods import bernoulli, gaussian
from jaxvae.models import VAE, HierarchicalVAE, with_output_bias
from jaxvae.nets import (
    MLP,
    Conv,
    ConvDecoder,
    ConvEncoder,
    ConvTranspose,
    ImageDecoder,
    MLPEncoder,
    ResNetDecoder,
    ResNetEncoder,
)
from jaxvae.objectives import dreg, elbo, elbo_analytic, free_bits, iwae
from jaxvae.posteriors import GaussianPosterior
from jaxvae.priors import standard_normal
from jaxvae.schedules import cyclical_warmup, linear_warmup
from jaxvae.training import Checkpoints, create_train_state, fit, make_train_step
from jaxvae.types import (
    Batch,
    Dataset,
    DataSpec,
    ELBOTerms,
    Experiment,
    GaussianParams,
    Likelihood,
    Samples,
    Splits,
    StepInput,
    TrainState,
)

__all__ = [
    "MLP",
    "VAE",
    "Batch",
    "Checkpoints",
    "Conv",
    "ConvDecoder",
    "ConvEncoder",
    "ConvTranspose",
    "DataSpec",
    "Dataset",
    "ELBOTerms",
    "Experiment",
    "GaussianParams",
    "GaussianPosterior",
    "HierarchicalVAE",
    "ImageDecoder",
    "Likelihood",
    "MLPEncoder",
    "ResNetDecoder",
    "ResNetEncoder",
    "Samples",
    "Splits",
    "StepInput",
    "TrainState",
    "UserError",
    "bernoulli",
    "create_train_state",
    "cyclical_warmup",
    "data",
    "distributions",
    "dreg",
    "elbo",
    "elbo_analytic",
    "evaluation",
    "fit",
    "free_bits",
    "gaussian",
    "importance_estimate",
    "iwae",
    "likelihoods",
    "linear_warmup",
    "make_train_step",
    "models",
    "nets",
    "objectives",
    "priors",
    "sampling",
    "schedules",
    "standard_normal",
    "training",
    "viz",
    "with_output_bias",
]
