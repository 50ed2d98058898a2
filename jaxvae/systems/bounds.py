"""The ELBO as a training objective, with the KL in closed form or sampled, with warm-up and free bits."""

from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxvae import objectives, schedules
from jaxvae.models import VAE, LatentVariableModel, given_labels
from jaxvae.posteriors import StraightThroughPosterior
from jaxvae.systems.vae_parts import Bound
from jaxvae.types import Array, Metrics, Params, PRNGKey, StepInput


def closed_bound(vae: VAE) -> Bound:
    """Return the ELBO with the KL in closed form, weighted by what is read from `hparams`.

    beta: weight of the KL; warmup_steps: its linear rise from 0; free_bits: nats per dimension below which the KL is
    not lowered.

    Raises:
      ValueError: if it is not in closed form: from a Gaussian posterior to N(0, I), or from bits to independent bits.
    """
    if not vae.has_closed_kl:
        got = f"{type(vae.posterior).__name__} and {type(vae.prior).__name__}"
        raise ValueError(
            f"closed_bound is of a Gaussian posterior and the prior N(0, I) or of bits, got {got}: use sampled_bound."
        )

    def bound(params: Params, keys: PRNGKey, x: Array, inputs: StepInput) -> tuple[Array, Metrics]:
        hparams = inputs.hparams
        given = given_labels(vae, inputs.batch.labels)
        terms, q = vae.apply({"params": params}, keys, x, **given, method="terms_and_stats")
        kl: Any = vae.apply({"params": params}, q, method="closed_kl")
        penalty = objectives.free_bits(kl, hparams["free_bits"], inputs.axis_name)  # of 0, the plain KL
        beta = hparams["beta"] * schedules.linear_warmup(inputs.step, hparams["warmup_steps"])
        value = objectives.elbo_analytic(terms.log_px, penalty, beta)
        return value, bound_metrics(-jnp.mean(terms.log_px, axis=0), jnp.sum(kl, axis=-1))

    return bound


def sampled_bound(vae: LatentVariableModel) -> Bound:
    """Return the single-sample ELBO for any posterior and prior, with the KL weighted by what is read from `hparams`.

    beta: weight of the KL; warmup_steps: its rise from 0.

    Raises:
      ValueError: if draws of the posterior have not the gradient that a sampled KL needs.
    """
    if isinstance(getattr(vae, "posterior", None), StraightThroughPosterior):
        raise ValueError("sampled_bound has a wrong gradient for a StraightThroughPosterior: use closed_bound.")

    def bound(params: Params, keys: PRNGKey, x: Array, inputs: StepInput) -> tuple[Array, Metrics]:
        terms: Any = vae.apply({"params": params}, keys, x, **given_labels(vae, inputs.batch.labels))
        beta = inputs.hparams["beta"] * schedules.linear_warmup(inputs.step, inputs.hparams["warmup_steps"])
        elbo, reconstruction = objectives.elbo(terms), -jnp.mean(terms.log_px, axis=0)
        return objectives.elbo(terms, beta), bound_metrics(reconstruction, -elbo - reconstruction)

    return bound


def warmed_bound(vae: VAE, dropout: float = 0.0) -> Bound:
    """Return the ELBO for any prior: the KL in closed form where it has one, else of one sample, with linear warm-up.

    warmup_steps, of `hparams`: of the KL's weight from 0 to 1.

    Args:
      vae: the model.
      dropout: probability that a feature of the encoder is dropped; the bound holds.
    """

    def bound(params: Params, keys: PRNGKey, x: Array, inputs: StepInput) -> tuple[Array, Metrics]:
        given = {"dropout": dropout, **given_labels(vae, inputs.batch.labels)}
        terms, q = vae.apply({"params": params}, keys, x, **given, method="terms_and_stats")
        closed = vae.has_closed_kl
        kl: Any = vae.apply({"params": params}, q, method="closed_kl") if closed else terms.log_qz[0] - terms.log_pz[0]
        kl = jnp.sum(kl, axis=-1)
        warmup = schedules.linear_warmup(inputs.step, inputs.hparams["warmup_steps"])
        elbo = objectives.elbo_analytic(terms.log_px, kl, warmup)
        return elbo, bound_metrics(-jnp.mean(terms.log_px, axis=0), kl)

    return bound


class DrawnTerms(NamedTuple):
    """The terms of the bound of one draw of every image, and the draw."""

    z: Array  # [B, D]
    q: Any  # statistics of q(z | x)
    log_px: Array  # log p(x | z), [B] nats
    log_pz: Array  # log p(z), [B] nats


def draw_terms(vae: VAE, params: Params, keys: PRNGKey, x: Array) -> DrawnTerms:
    """Return a latent of every image with the terms of the bound, from one pass: keys [B], prepared x [B, H, W, C]."""

    def draw(model: VAE) -> DrawnTerms:
        z, _, q = model.posterior(keys, model.encoder(x), 1)
        log_pz = model.log_prior(z)
        return DrawnTerms(z[0], q, (model.log_joint(x, z) - log_pz)[0], log_pz[0])

    return vae.apply({"params": params}, method=draw)  # type: ignore[return-value]


def bound_metrics(reconstruction: Array, kl: Array) -> Metrics:
    """Return the training metrics of an ELBO from its two terms, [B] each, nats; the KL is not weighted."""
    return {"elbo": -reconstruction - kl, "reconstruction": reconstruction, "kl": kl}
