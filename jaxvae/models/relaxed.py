"""The relaxed counterpart of a VAE of binary latents, with the same parameters: what such a VAE is trained as."""

from typing import Any

import flax.linen as nn
from jax.typing import ArrayLike

from jaxvae.models.decoding import decoded
from jaxvae.models.vae import VAE
from jaxvae.posteriors import BernoulliPosterior, MixturePosterior, RelaxedBernoulliPosterior
from jaxvae.priors import (
    BernoulliMixturePrior,
    BernoulliPrior,
    FairBernoulli,
    RelaxedBernoulliMixturePrior,
    RelaxedBernoulliPrior,
    relaxed_fair_bernoulli,
)
from jaxvae.types import Array, Prior


class RelaxedDecoder(nn.Module):
    """A decoder of bits that is given the logits of relaxed ones: it sees sigmoid(y), in (0, 1).

    Its parameters are the decoder's own, in their places.

    Attributes:
      decoder: (z [..., D], x) -> the likelihood's parameters.
    """

    decoder: nn.Module

    def setup(self) -> None:
        nn.share_scope(self, self.decoder)

    def __call__(self, z: Array, x: Array | None = None) -> Any:
        return decoded(self.decoder, nn.sigmoid(z), x)


def relaxed(vae: VAE, temperature: ArrayLike, prior_temperature: ArrayLike) -> VAE:
    """Return the VAE with binary concrete latents in place of its bits: another model with the same parameters.

    Its latents are the logits of relaxed bits. Its bounds are reparameterised, and bounds of the log p(x) of the
    relaxed model: train with it, evaluate with `vae`.

    Args:
      vae: a `BernoulliPosterior` or a mixture of them, and a prior of bits.
      temperature: of q(y | x), more than 0; may be traced.
      prior_temperature: of p(y), more than 0; may be traced.

    Returns:
      The relaxed VAE.

    Raises:
      ValueError: if posterior or prior are not of bits.

    References:
      Maddison, Mnih & Teh, "The Concrete Distribution", 2017, arXiv:1611.00712, sec. 3.3 and appendix C.
    """
    return vae.clone(
        posterior=_relaxed_posterior(vae.posterior, temperature),
        prior=_relaxed_prior(vae.prior, prior_temperature),
        decoder=RelaxedDecoder(vae.decoder),
    )


# ---------- private


def _relaxed_posterior(posterior: Any, temperature: ArrayLike) -> Any:
    match posterior:
        case BernoulliPosterior():
            return RelaxedBernoulliPosterior(posterior.latent_dim, temperature)
        case MixturePosterior():
            return posterior.clone(component=_relaxed_posterior(posterior.component, temperature))
    raise ValueError(f"The posterior {type(posterior).__name__} has no relaxation, expected one of bits.")


def _relaxed_prior(prior: Any, temperature: ArrayLike) -> Prior:
    match prior:
        case FairBernoulli():
            return relaxed_fair_bernoulli(temperature)
        case BernoulliPrior():
            return RelaxedBernoulliPrior(prior.latent_dim, temperature)
        case BernoulliMixturePrior():
            return RelaxedBernoulliMixturePrior(prior.latent_dim, prior.num_components, temperature)
    raise ValueError(f"The prior {type(prior).__name__} has no relaxation, expected one of bits.")
