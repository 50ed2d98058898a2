"""Images with a class and a style, of which few classes are known: M2 (Kingma et al. 2014).

  p(x, y, z) = p(x | y, z) p(y) p(z),      q(y, z | x) = q(y | x) q(z | x, y)

The class is a latent of K values. Where it is known the bound is that of one value, elsewhere a sum over all, which is
exact and runs as one program over the classes.

References:
  Kingma, Rezende, Mohamed & Welling, "Semi-Supervised Learning with Deep Generative Models", 2014, arXiv:1406.5298.
"""

import math
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Dtype

from jaxvae import distributions
from jaxvae.keys import check_keys
from jaxvae.models.decoding import decoded, score_latents
from jaxvae.nets.mlp import Activation
from jaxvae.types import Array, GaussianParams, Likelihood, PRNGKey


class ClassTerms(NamedTuple):
    """What M2 says of B images and each of K classes."""

    bounds: Array  # [B, K], lower bounds of log p(x, y), nats
    log_qy: Array  # [B, K], log q(y | x), or of what is seen of x


class SemiSupervisedVAE(nn.Module):
    """The model M2, of images or, stacked on another model, of its latents (M1 + M2).

    Departs from the paper in that all classes of an image share the noise of z, which makes their bounds comparable.

    Attributes:
      classifier: x [B, ...] -> logits of q(y | x), [B, K].
      encoder: x [B, ...] -> features [B, E], which all classes share.
      posterior: a `GaussianPosterior` of what image and class make together, [..., F].
      decoder: [..., D + K], z and the class as zeros and a one -> the likelihood's parameters.
      likelihood: of one x.
      num_classes: K, all equally likely.
      features: F.
      activation: of these.
      dtype: of the layer that joins image and class; parameters stay float32. None takes that of both together.
    """

    classifier: nn.Module
    encoder: nn.Module
    posterior: nn.Module
    decoder: nn.Module
    likelihood: Likelihood
    num_classes: int
    features: int = 500
    activation: Activation = nn.relu
    dtype: Dtype | None = None

    def setup(self) -> None:
        self.of_x = nn.Dense(self.features, dtype=self.dtype)
        self.of_class = nn.Dense(self.features, use_bias=False, dtype=self.dtype)

    def __call__(self, keys: PRNGKey, x: Array, seen: Array | None = None) -> ClassTerms:
        """Return the terms of the bound: keys [B], x [B, ...], and what the classifier sees of it, None for x itself.

          log p(x, y) >= E_q(z|x,y)[ log p(x | y, z) ] - KL(q(z | x, y) || p(z)) + log p(y)      (eq. 6)

        with one sample of z for each class, and the KL in closed form.
        """
        num = len(x)
        check_keys(keys, num)
        y = jnp.broadcast_to(jnp.eye(self.num_classes)[:, None], (self.num_classes, num, self.num_classes))
        h = jnp.broadcast_to(self.of_x(self.encoder(x)), (self.num_classes, num, self.features))
        stats = self.posterior.params_of(self.activation(h + self.of_class(y)))
        z = jax.vmap(lambda stats: jax.vmap(distributions.normal_sample)(keys, stats))(stats)
        log_px = score_latents(self.likelihood, self.decoder, jnp.concatenate([z, y], axis=-1), x)
        kl = jnp.sum(distributions.normal_kl_to_standard(stats), axis=-1)
        return ClassTerms((log_px - kl - math.log(self.num_classes)).T, self.classify(x if seen is None else seen))

    def classify(self, x: Array) -> Array:
        """Return log q(y | x), [B, K]."""
        return jax.nn.log_softmax(self.classifier(x))

    def style(self, x: Array, y: Array) -> GaussianParams:
        """Return q(z | x, y) of images [B, ...] and classes [B], [B, D]."""
        h = self.of_x(self.encoder(x)) + self.of_class(jax.nn.one_hot(y, self.num_classes))
        return self.posterior.params_of(self.activation(h))

    def decode(self, z: Array, y: Array) -> Any:
        """Return the likelihood's parameters for styles [..., D] and classes [...]."""
        return decoded(self.decoder, jnp.concatenate([z, jax.nn.one_hot(y, self.num_classes)], axis=-1))


def class_bound(terms: ClassTerms, labels: Array) -> Array:
    """Return the bound of every image: of its class where that is known, else summed over all classes.

      known:    log p(x, y) >= bound_y                                                          (eq. 6)
      unknown:  log p(x)    >= sum_y q(y | x) (bound_y - log q(y | x))                          (eq. 7)

    Args:
      terms: of B images.
      labels: classes [B]; a negative one is not known.

    Returns:
      [B], nats.
    """
    known = jnp.take_along_axis(terms.bounds, jnp.maximum(labels, 0)[:, None], axis=1)[:, 0]
    unknown = jnp.sum(jnp.exp(terms.log_qy) * (terms.bounds - terms.log_qy), axis=1)
    return jnp.where(labels >= 0, known, unknown)
