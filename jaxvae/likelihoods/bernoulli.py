"""Binary pixels: independent ones, and a mixture of such images."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxvae import distributions
from jaxvae.likelihoods.pixels import check_count, inner_fraction, is_in_unit, like_image, of_channel
from jaxvae.likelihoods.scoring import checked
from jaxvae.recipes import recorded
from jaxvae.types import Array, Likelihood, PRNGKey

_GOLDEN = 0.618034  # multiples of it modulo 1 are spread evenly and never repeat
_APART = 0.1  # distance of new components of a mixture, in logits


class BernoulliMixtureParams(NamedTuple):
    """A mixture of k images of independent Bernoulli pixels."""

    weights: Array  # logits of the components of the whole image, [k]
    logits: Array  # of the pixels, [..., k]


@recorded
@checked
def bernoulli() -> Likelihood:
    """Independent Bernoulli pixels, parametrised by logits: the likelihood behind "BCE reconstruction".

    Parameters of one image: logits, of the shape of the image. `log_prob` is in nats, summed over the image; of x with
    values between 0 and 1 it is the cross-entropy, which is no likelihood, and an x outside has -inf.
    """

    def log_prob(logits: Array, x: Array) -> Array:
        return jnp.where(is_in_unit(x), distributions.bernoulli_log_prob(logits, x), -jnp.inf)

    def log_pmf(logits: Array) -> Array:
        return jnp.stack([jax.nn.log_sigmoid(-logits), jax.nn.log_sigmoid(logits)], axis=-1)

    return Likelihood(
        param_shapes=like_image,
        log_prob=log_prob,
        sample=distributions.bernoulli_sample,
        mean=jax.nn.sigmoid,
        log_pmf=log_pmf,
        init_bias=lambda mean: _logit(inner_fraction(mean, 2)),
        discrete=True,
        tempered=lambda logits, temperature: logits / temperature,
        channel_log_pmf=of_channel(log_pmf),
        perfect=lambda x: jnp.sum(jax.scipy.special.xlogy(x, x) + jax.scipy.special.xlogy(1.0 - x, 1.0 - x)),
    )


@recorded
@checked
def bernoulli_mixture(num_components: int) -> Likelihood:
    """A mixture of images of independent Bernoulli pixels, with weights of its own for every image.

      log p(x) = log sum_k w_k prod_i Bernoulli(x_i; sigmoid(logit_ik)),  w = softmax(weights)

    One component is drawn for the whole image, so pixels are not independent given the parameters: `log_pmf` is None,
    and the parameters are those of a whole image, never of a part of it.

    Parameters of one image: `BernoulliMixtureParams`. x are zeros and ones, outside [0, 1] they have
    log-probability -inf; `log_prob` is in nats.

    `init_bias` moves the components apart: p_ik = m_i + 0.1 m_i (1 - m_i) cos(t_i + 2 pi k / K), with another angle t_i
    for each pixel, whose mean over k is the mean image m exactly. Components that are equal to m are a stationary point
    of the log-likelihood, as every responsibility is then the weight whatever the image. The decoder's kernels would
    move them off it too, but only as far as its features tell images apart; the biases alone never would.

    Args:
      num_components: K, at least 1; 1 is `bernoulli` with a weight that does nothing.

    Returns:
      The likelihood; its `log_pmf` is None.

    Raises:
      ValueError: if there is no component.

    References:
      Bishop, "Pattern Recognition and Machine Learning", 2006, sec. 9.3.3, eq. 9.47.
    """
    check_count("bernoulli_mixture", "num_components", num_components, 1)

    def param_shapes(shape: tuple[int, ...]) -> BernoulliMixtureParams:
        return BernoulliMixtureParams(like_image((num_components,)), like_image((*shape, num_components)))

    def log_prob(params: BernoulliMixtureParams, x: Array) -> Array:
        each = jax.vmap(distributions.bernoulli_log_prob, in_axes=(-1, None))(params.logits, x)
        log_p = jax.nn.logsumexp(jax.nn.log_softmax(params.weights) + each)
        return jnp.where(is_in_unit(x), log_p, -jnp.inf)

    def sample(key: PRNGKey, params: BernoulliMixtureParams) -> Array:
        which, pixels = jax.random.split(key)
        chosen = jax.random.categorical(which, params.weights)
        return distributions.bernoulli_sample(pixels, jnp.take(params.logits, chosen, axis=-1))

    def init_bias(mean: Array) -> BernoulliMixtureParams:
        angles = _GOLDEN * jnp.arange(mean.size).reshape(mean.shape)[..., None]
        turns = jnp.linspace(0.0, 1.0, num_components, endpoint=False).reshape((1,) * mean.ndim + (-1,))
        # The cosines of one component do not sum to zero, those of two or more do.
        waves = jnp.cos(2.0 * jnp.pi * (angles + turns)) if num_components > 1 else jnp.zeros_like(angles)
        probability = inner_fraction(mean, 2)[..., None]
        probability += _APART * probability * (1.0 - probability) * waves
        return BernoulliMixtureParams(jnp.zeros(num_components), _logit(probability))

    return Likelihood(
        param_shapes=param_shapes,
        log_prob=log_prob,
        sample=sample,
        mean=lambda params: jax.nn.sigmoid(params.logits) @ jax.nn.softmax(params.weights),
        log_pmf=None,
        init_bias=init_bias,
        discrete=True,
    )


def _logit(probability: Array) -> Array:
    return jnp.log(probability) - jnp.log1p(-probability)
