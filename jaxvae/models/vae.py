"""The variational autoencoder: encoder, posterior, decoder, likelihood and prior."""

from typing import Any

import flax.linen as nn
import jax

from jaxvae import sampling
from jaxvae.errors import UserError, check_shape
from jaxvae.keys import check_keys
from jaxvae.models.decoding import decoded, score_latents
from jaxvae.nets import AutoregressiveDecoder
from jaxvae.nets import dropout as drop
from jaxvae.posteriors import GaussianPosterior, MixturePosterior
from jaxvae.priors import standard_normal
from jaxvae.types import Array, ELBOTerms, Likelihood, Params, Prior, PRNGKey, Samples

_DROPPING = 0x64726F70  # folded into an example's key, so that the latents' noise is the same without dropout


class VAE(nn.Module):
    """A latent variable model of images with one group of latents (Kingma & Welling 2014, arXiv:1312.6114).

    The module names its parts and vmaps the maths over samples and examples; densities are in `jaxvae.distributions`,
    `jaxvae.likelihoods` and `jaxvae.priors`, bounds in `jaxvae.objectives`.

    Attributes:
      encoder: images [B, H, W, C] -> features [B, F].
      posterior: a `Posterior`.
      decoder: (z [..., D], x) -> the likelihood's parameters [..., *param_shapes]; factorised decoders ignore x.
      likelihood: of one image given those parameters.
      prior: a `Prior` of latents.
    """

    encoder: nn.Module
    posterior: nn.Module
    decoder: nn.Module
    likelihood: Likelihood
    prior: Prior = standard_normal()

    def __call__(self, keys: PRNGKey, x: Array, num_samples: int = 1) -> ELBOTerms:
        """Return the terms of the bound: keys [B], x [B, H, W, C] -> log-densities [S, B] and [S, B, 1]."""
        return self.terms_and_stats(keys, x, num_samples)[0]

    def terms_and_stats(
        self, keys: PRNGKey, x: Array, num_samples: int = 1, seen: Array | None = None, dropout: float = 0.0
    ) -> tuple[ELBOTerms, Any]:
        """Return the terms of the bound and the posterior's statistics, which a closed KL needs, from one pass.

        The encoder sees x, or `seen`, [B, H, W, C]: with noise, say; and the posterior its features, of which each is
        dropped with probability `dropout`. log p(x) stays above the bound, whatever they see.
        """
        check_keys(keys, x.shape[0])
        features = self.encoder(x if seen is None else seen)
        if dropout:
            features = drop(jax.vmap(lambda key: jax.random.fold_in(key, _DROPPING))(keys), features, dropout)
        z, log_qz, stats = self.posterior(keys, features, num_samples)
        return ELBOTerms(self._log_px(z, x), self._log_pz(z)[..., None], log_qz[..., None]), stats

    def stratified(self, keys: PRNGKey, x: Array, num_samples: int = 1) -> tuple[ELBOTerms, Array]:
        """Return the arguments of `objectives.stratified_elbo`: samples of every component of a `MixturePosterior`.

        keys [B], x [B, H, W, C] -> log-densities [K, S, B] and [K, S, B, 1], log-weights [B, K].
        """
        if not isinstance(self.posterior, MixturePosterior):
            raise ValueError(f"The VAE has the posterior {type(self.posterior).__name__}, expected MixturePosterior.")
        check_keys(keys, x.shape[0])
        z, log_qz, log_weights = self.posterior.stratified(keys, self.encoder(x), num_samples)
        flat = z.reshape(-1, *z.shape[2:])
        log_px, log_pz = self._log_px(flat, x).reshape(log_qz.shape), self._log_pz(flat).reshape(log_qz.shape)
        return ELBOTerms(log_px, log_pz[..., None], log_qz[..., None]), log_weights

    @property
    def has_closed_kl(self) -> bool:
        """Whether KL(q(z | x) || p(z)) is in closed form: the prior has a `kl` of the posterior's `family`."""
        return getattr(self.prior, "kl_of", "") == getattr(self.posterior, "family", None)

    @property
    def has_gaussian_posterior(self) -> bool:
        """Whether `encode` gives q(z | x) as `GaussianParams`."""
        return isinstance(self.posterior, GaussianPosterior)

    def closed_kl(self, stats: Any) -> Array:
        """Return KL(q(z | x) || p(z)) of every dimension from the posterior's statistics, [B, D], nats."""
        if self.has_closed_kl:
            of_family: Any = self.prior
            return of_family.kl(stats)
        pair = f"{type(self.posterior).__name__} and {type(self.prior).__name__}"
        raise ValueError(f"{pair} have no KL in closed form, expected a Gaussian and N(0, I), or bits and bits.")

    # The three functions of `objectives.dreg`.

    def draw(self, keys: PRNGKey, x: Array, num_samples: int) -> Array:
        """Return samples of q(z | x), [S, B, D]."""
        check_keys(keys, x.shape[0])
        return self.posterior(keys, self.encoder(x), num_samples)[0]

    def log_joint(self, x: Array, z: Array) -> Array:
        """Return log p(x, z), x [B, H, W, C] and z [S, B, D] -> [S, B], nats."""
        return self._log_px(z, x) + self._log_pz(z)

    def log_prior(self, z: Array) -> Array:
        """Return log p(z), z [S, B, D] -> [S, B], nats."""
        return self._log_pz(z)

    def log_posterior(self, x: Array, z: Array) -> Array:
        """Return log q(z | x), x [B, H, W, C] and z [S, B, D] -> [S, B], nats."""
        return self.posterior.log_prob(self.encoder(x), z)

    # What a trained model is used for.

    def encode(self, x: Array) -> Any:
        """Return the posterior's statistics of images [B, H, W, C]."""
        return self.posterior.params_of(self.encoder(x))

    def latent_means(self, keys: PRNGKey, x: Array, num_samples: int) -> tuple[Array, ...]:
        """Return E_q[z | x] of every group of latents, ([B, D],), by sampling where the posterior has a flow."""
        return (self.posterior.mean(keys, self.encoder(x), num_samples),)

    def decode(self, z: Array) -> Any:
        """Return the likelihood's parameters for latents [..., D], of a decoder that needs no x: see `draw_images`."""
        return decoded(self.decoder, z)

    def draw_prior(self, keys: PRNGKey) -> Array:
        """Return latents of p(z), keys [N] -> [N, D]: all of them, which here are those that are decoded."""
        return self.prior_latents(keys)

    def prior_latents(self, keys: PRNGKey) -> Array:
        """Return latents of the prior, keys [N] -> [N, D]."""
        check_keys(keys)
        return jax.vmap(lambda key: self.prior.sample(key, (self.posterior.latent_dim,)))(keys)

    def temper(self, z: Array, temperature: Array) -> Array:
        """Return latents of the prior, [N, D], at a temperature []; it is of a prior that has `tempered`."""
        prior: Any = self.prior
        return prior.tempered(z, temperature)

    def _log_pz(self, z: Array) -> Array:
        log_pz = self.prior.log_prob(z)
        check_shape("log p(z) of the prior", log_pz, z.shape[:-1])
        return log_pz

    def _log_px(self, z: Array, x: Array) -> Array:
        return score_latents(self.likelihood, self.decoder, z, x, reads_x=True)


def draw_images(vae: Any, params: Params, keys: PRNGKey, z: Array) -> Samples:
    """Draw images of p(x | z), pixel by pixel where the decoder is autoregressive.

    Args:
      vae: a VAE, or a hierarchical one.
      params: its parameters.
      keys: [N].
      z: latents, [N, D].

    Returns:
      Images, and their means where the pixels are independent.
    """
    check_keys(keys, len(z))
    if isinstance(vae.decoder, AutoregressiveDecoder):
        draw = vae.likelihood.sample
        return Samples(sampling.autoregressive(vae.decoder, params["decoder"], keys, draw, z), None)
    of_x = vae.apply({"params": params}, z, method="decode")
    return Samples(jax.vmap(vae.likelihood.sample)(keys, of_x), jax.vmap(vae.likelihood.mean)(of_x))


def parameters_of(vae: Any, params: Params, z: Array, x: Array) -> Any:
    """Return the likelihood's parameters of latents [B, D], given the pixels before each where pixels are drawn so.

    Args:
      vae: a VAE, or a hierarchical one.
      params: its parameters.
      z: of the latents that are decoded.
      x: images [B, H, W, C].
    """
    if isinstance(vae.decoder, AutoregressiveDecoder):
        return vae.apply({"params": params}, z, x, method=lambda model, z, x: decoded(model.decoder, z, x))
    return vae.apply({"params": params}, z, method="decode")


def with_output_bias(params: Params, likelihood: Likelihood, mean_image: Array) -> Params:
    """Return the parameters with the decoder's output bias at the mean of the data, where the likelihood knows how.

    An untrained decoder then predicts the pixel means, and training starts from the independent-pixels model rather
    than from noise (Burda et al. 2016, their code).

    Args:
      params: parameters of a model whose `decoder` is an `ImageDecoder`.
      likelihood: its likelihood.
      mean_image: mean of the training images in the likelihood's unit, [H, W, C].

    Returns:
      The parameters, all others as they were.

    Raises:
      UserError: if the decoder has no such bias.
    """
    if likelihood.init_bias is None:
        return params
    if "bias" not in params["decoder"]:
        raise UserError(
            f"The decoder has {', '.join(params['decoder'])} but no bias: expected an ImageDecoder's, as "
            "ImageDecoder(net, likelihood.param_shapes(spec.shape)) around your net."
        )
    return {**params, "decoder": {**params["decoder"], "bias": likelihood.init_bias(mean_image)}}
