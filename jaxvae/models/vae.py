"""The variational autoencoder: encoder, posterior, decoder, likelihood and prior."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxvae import sampling
from jaxvae.errors import UserError, check_shape
from jaxvae.keys import check_keys
from jaxvae.models.decoding import decoded, score_latents
from jaxvae.nets import AutoregressiveDecoder
from jaxvae.nets import dropout as drop
from jaxvae.posteriors import GaussianPosterior, MixturePosterior
from jaxvae.priors import ConditionalFlowPrior, standard_normal
from jaxvae.types import Array, ELBOTerms, Likelihood, Params, Prior, PRNGKey, Samples

_DROPPING = 0x64726F70  # folded into an example's key, so that the latents' noise is the same without dropout


class VAE(nn.Module):
    """A latent variable model of images with one group of latents (Kingma & Welling 2014, arXiv:1312.6114).

    The module names its parts and vmaps the maths over samples and examples; densities are in `jaxvae.distributions`,
    `jaxvae.likelihoods` and `jaxvae.priors`, bounds in `jaxvae.objectives`.

    With `num_classes` it is conditional on the class y of an image (Sohn et al. 2015; Kingma et al. 2014):

      log p(x | y) >= E_q(z|x,y)[log p(x | z, y)] - KL(q(z | x, y) || p(z | y))

    y stands as a one-hot vector behind the features of the encoder and behind the latent that is decoded, so that it
    adds a vector of its class to the first layers of posterior and decoder. p(z | y) is p(z) but of a prior that is
    conditional itself (`ConditionalFlowPrior`): z then is what the class leaves open. All methods take `labels` [B]
    then, classes as integers, or [B, K], shares of several classes.

    Attributes:
      encoder: images [B, H, W, C] -> features [B, F].
      posterior: a `Posterior`.
      decoder: (z [..., D], x) -> the likelihood's parameters [..., *param_shapes]; factorised decoders ignore x.
      likelihood: of one image given those parameters.
      prior: a `Prior` of latents.
      num_classes: K, of a model that is conditional on classes; 0 of others, which do not look at labels.
    """

    encoder: nn.Module
    posterior: nn.Module
    decoder: nn.Module
    likelihood: Likelihood
    prior: Prior = standard_normal()
    num_classes: int = 0

    def __call__(self, keys: PRNGKey, x: Array, num_samples: int = 1, labels: Array | None = None) -> ELBOTerms:
        """Return the terms of the bound: keys [B], x [B, H, W, C] -> log-densities [S, B] and [S, B, 1]."""
        return self.terms_and_stats(keys, x, num_samples, labels=labels)[0]

    def terms_and_stats(
        self,
        keys: PRNGKey,
        x: Array,
        num_samples: int = 1,
        seen: Array | None = None,
        dropout: float = 0.0,
        labels: Array | None = None,
    ) -> tuple[ELBOTerms, Any]:
        """Return the terms of the bound and the posterior's statistics, which a closed KL needs, from one pass.

        The encoder sees x, or `seen`, [B, H, W, C]: with noise, say; and the posterior its features, of which each is
        dropped with probability `dropout`. log p(x) stays above the bound, whatever they see.
        """
        check_keys(keys, x.shape[0])
        features = self.encoder(x if seen is None else seen)
        if dropout:
            features = drop(jax.vmap(lambda key: jax.random.fold_in(key, _DROPPING))(keys), features, dropout)
        z, log_qz, stats = self.posterior(keys, self.joined(features, labels), num_samples)
        return ELBOTerms(self._log_px(z, x, labels), self._log_pz(z, labels)[..., None], log_qz[..., None]), stats

    def stratified(self, keys: PRNGKey, x: Array, num_samples: int = 1) -> tuple[ELBOTerms, Array]:
        """Return the arguments of `objectives.stratified_elbo`: samples of every component of a `MixturePosterior`.

        keys [B], x [B, H, W, C] -> log-densities [K, S, B] and [K, S, B, 1], log-weights [B, K].
        """
        if not isinstance(self.posterior, MixturePosterior):
            raise ValueError(f"The VAE has the posterior {type(self.posterior).__name__}, expected MixturePosterior.")
        check_keys(keys, x.shape[0])
        z, log_qz, log_weights = self.posterior.stratified(keys, self.encoder(x), num_samples)
        flat = z.reshape(-1, *z.shape[2:])
        log_px = self._log_px(flat, x, None).reshape(log_qz.shape)
        log_pz = self._log_pz(flat, None).reshape(log_qz.shape)
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

    def draw(self, keys: PRNGKey, x: Array, num_samples: int, labels: Array | None = None) -> Array:
        """Return samples of q(z | x), [S, B, D]."""
        check_keys(keys, x.shape[0])
        return self.posterior(keys, self._features(x, labels), num_samples)[0]

    def log_joint(self, x: Array, z: Array, labels: Array | None = None) -> Array:
        """Return log p(x, z), x [B, H, W, C] and z [S, B, D] -> [S, B], nats."""
        return self._log_px(z, x, labels) + self._log_pz(z, labels)

    def log_prior(self, z: Array, labels: Array | None = None) -> Array:
        """Return log p(z), z [S, B, D] -> [S, B], nats."""
        return self._log_pz(z, labels)

    def log_posterior(self, x: Array, z: Array, labels: Array | None = None) -> Array:
        """Return log q(z | x), x [B, H, W, C] and z [S, B, D] -> [S, B], nats."""
        return self.posterior.log_prob(self._features(x, labels), z)

    # What a trained model is used for.

    def encode(self, x: Array, labels: Array | None = None) -> Any:
        """Return the posterior's statistics of images [B, H, W, C]."""
        return self.posterior.params_of(self._features(x, labels))

    def latent_means(self, keys: PRNGKey, x: Array, num_samples: int, labels: Array | None = None) -> tuple[Array, ...]:
        """Return E_q[z | x] of every group of latents, ([B, D],), by sampling where the posterior has a flow."""
        return (self.posterior.mean(keys, self._features(x, labels), num_samples),)

    def decode(self, z: Array, labels: Array | None = None) -> Any:
        """Return the likelihood's parameters for latents [..., D], of a decoder that needs no x: see `draw_images`."""
        return decoded(self.decoder, self.joined(z, labels))

    def draw_prior(self, keys: PRNGKey, labels: Array | None = None) -> Array:
        """Return latents of p(z), keys [N] -> [N, D]: all of them, which here are those that are decoded."""
        return self.prior_latents(keys, labels)

    def prior_latents(self, keys: PRNGKey, labels: Array | None = None) -> Array:
        """Return latents of the prior, keys [N] -> [N, D]."""
        check_keys(keys)
        shape = (self.posterior.latent_dim,)
        if self._has_conditional_prior:
            given: Any = self.prior
            return given.sample(keys, shape, self.shares(labels))
        return jax.vmap(lambda key: self.prior.sample(key, shape))(keys)

    def temper(self, z: Array, temperature: Array, labels: Array | None = None) -> Array:
        """Return latents of the prior, [N, D], at a temperature []; it is of a prior that has `tempered`."""
        prior: Any = self.prior
        given = (self.shares(labels),) if self._has_conditional_prior else ()
        return prior.tempered(z, temperature, *given)

    @nn.nowrap
    def joined(self, h: Array, labels: Array | None) -> Array:
        """Return features or latents [..., B, F] with the classes behind them, [..., B, F + K], where they count."""
        if not self.num_classes:
            return h
        shares = self.shares(labels)
        return jnp.concatenate([h, jnp.broadcast_to(shares, (*h.shape[:-1], self.num_classes))], axis=-1)

    @nn.nowrap
    def shares(self, labels: Array | None) -> Array:
        """Return the shares of the classes, [B, K]: one-hot vectors of integers [B]."""
        if labels is None:
            raise ValueError(f"The VAE is conditional on {self.num_classes} classes: expected labels, got None.")
        if labels.ndim == 1:
            return jax.nn.one_hot(labels, self.num_classes)
        check_shape("labels", labels, (None, self.num_classes))
        return labels

    @property
    def _has_conditional_prior(self) -> bool:
        return isinstance(self.prior, ConditionalFlowPrior)

    def _features(self, x: Array, labels: Array | None) -> Array:
        return self.joined(self.encoder(x), labels)

    def _log_pz(self, z: Array, labels: Array | None) -> Array:
        given = (self.shares(labels),) if self._has_conditional_prior else ()
        log_pz = self.prior.log_prob(z, *given)
        check_shape("log p(z) of the prior", log_pz, z.shape[:-1])
        return log_pz

    def _log_px(self, z: Array, x: Array, labels: Array | None) -> Array:
        return score_latents(self.likelihood, self.decoder, self.joined(z, labels), x, reads_x=True)


def draw_images(vae: Any, params: Params, keys: PRNGKey, z: Array, labels: Array | None = None) -> Samples:
    """Draw images of p(x | z), pixel by pixel where the decoder is autoregressive.

    Args:
      vae: a VAE, or a hierarchical one.
      params: its parameters.
      keys: [N].
      z: latents, [N, D].
      labels: classes [N], of a VAE that is conditional on these.

    Returns:
      Images, and their means where the pixels are independent.
    """
    check_keys(keys, len(z))
    if isinstance(vae.decoder, AutoregressiveDecoder):
        draw, context = vae.likelihood.sample, vae.joined(z, labels) if _is_conditional(vae) else z
        return Samples(sampling.autoregressive(vae.decoder, params["decoder"], keys, draw, context), None)
    of_x = vae.apply({"params": params}, z, method="decode", **given_labels(vae, labels))
    return Samples(jax.vmap(vae.likelihood.sample)(keys, of_x), jax.vmap(vae.likelihood.mean)(of_x))


def given_labels(model: Any, labels: Array | None) -> dict[str, Any]:
    """Return the argument `labels` of a model's methods, none of models that are not conditional on classes.

    Args:
      model: a VAE, or another model, whose methods need not take labels.
      labels: of its images, [B].
    """
    return {"labels": labels} if _is_conditional(model) else {}


def parameters_of(vae: Any, params: Params, z: Array, x: Array, labels: Array | None = None) -> Any:
    """Return the likelihood's parameters of latents [B, D], given the pixels before each where pixels are drawn so.

    Args:
      vae: a VAE, or a hierarchical one.
      params: its parameters.
      z: of the latents that are decoded.
      x: images [B, H, W, C].
      labels: classes [B], of a VAE that is conditional on these.
    """
    if isinstance(vae.decoder, AutoregressiveDecoder):
        context = vae.joined(z, labels) if _is_conditional(vae) else z
        return vae.apply({"params": params}, context, x, method=lambda model, z, x: decoded(model.decoder, z, x))
    return vae.apply({"params": params}, z, method="decode", **given_labels(vae, labels))


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


# ---------- private


def _is_conditional(model: Any) -> bool:
    return bool(getattr(model, "num_classes", 0))
