"""Priors p(z) of latents."""

from jaxvae.priors.bernoulli import (
    BernoulliMixturePrior,
    BernoulliPrior,
    FairBernoulli,
    RelaxedBernoulliMixturePrior,
    RelaxedBernoulliPrior,
    RelaxedFairBernoulli,
    fair_bernoulli,
    relaxed_fair_bernoulli,
)
from jaxvae.priors.binned import BinnedPrior, LogisticMixture
from jaxvae.priors.conditional_flow import ConditionalFlowPrior
from jaxvae.priors.flow import FlowPrior
from jaxvae.priors.full_mixture import FullMixturePrior
from jaxvae.priors.mixture import MixturePrior
from jaxvae.priors.normal import StandardNormal, standard_normal
from jaxvae.priors.refitted import RefittedPrior
from jaxvae.priors.vamp import VampPrior

__all__ = [
    "BernoulliMixturePrior",
    "BernoulliPrior",
    "BinnedPrior",
    "ConditionalFlowPrior",
    "FairBernoulli",
    "FlowPrior",
    "FullMixturePrior",
    "LogisticMixture",
    "MixturePrior",
    "RefittedPrior",
    "RelaxedBernoulliMixturePrior",
    "RelaxedBernoulliPrior",
    "RelaxedFairBernoulli",
    "StandardNormal",
    "VampPrior",
    "fair_bernoulli",
    "relaxed_fair_bernoulli",
    "standard_normal",
]
