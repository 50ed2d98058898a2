"""Posteriors q(z | x): from an encoder's features to samples and their log-densities."""

from jaxvae.posteriors.bernoulli import BernoulliPosterior, RelaxedBernoulliPosterior, StraightThroughPosterior
from jaxvae.posteriors.flow import FlowPosterior
from jaxvae.posteriors.gaussian import GaussianPosterior
from jaxvae.posteriors.matched import MatchedPosterior
from jaxvae.posteriors.mixture import MixtureParams, MixturePosterior
from jaxvae.posteriors.uniform import UniformPosterior

__all__ = [
    "BernoulliPosterior",
    "FlowPosterior",
    "GaussianPosterior",
    "MatchedPosterior",
    "MixtureParams",
    "MixturePosterior",
    "RelaxedBernoulliPosterior",
    "StraightThroughPosterior",
    "UniformPosterior",
]
