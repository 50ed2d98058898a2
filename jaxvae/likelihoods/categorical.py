"""Discrete pixels or codes with a probability for each value."""

import jax
import jax.numpy as jnp

from jaxvae.distributions import categorical_sample
from jaxvae.likelihoods.beta_binomial import beta_binomial
from jaxvae.likelihoods.pixels import check_count, is_value, like_image, of_channel
from jaxvae.likelihoods.scoring import checked
from jaxvae.recipes import recorded
from jaxvae.types import Array, Likelihood, PRNGKey


@recorded
@checked
def categorical(num_values: int = 256) -> Likelihood:
    """Independent pixels, or codes, each with a softmax over its values.

      log p(x) = sum_i log softmax(logits_i)[x_i]

    Parameters of one image: logits [..., V]. x are integer values 0 to V - 1 in any type, of any shape, an image
    [H, W, C] or a map of codes [h, w]; others have log-probability -inf. `sample` and `mean` are values of the same
    unit, float32: codes are cast to integers before they index a codebook, and their mean has no meaning. `log_prob` is
    in nats.

    `init_bias` gives the logarithms of the beta-binomial distribution of the given mean, as broad as that of
    `beta_binomial`.

    Args:
      num_values: V, at least 2.

    Returns:
      The likelihood.

    Raises:
      ValueError: if there are fewer than two values.

    References:
      van den Oord, Kalchbrenner & Kavukcuoglu, "Pixel Recurrent Neural Networks", 2016, arXiv:1601.06759, sec. 2.2.
    """
    check_count("categorical", "num_values", num_values, 2)
    spread = beta_binomial(num_values)

    def log_prob(logits: Array, x: Array) -> Array:
        x = x.astype(jnp.float32)
        index = jnp.clip(x, 0, num_values - 1).astype(jnp.int32)
        chosen = jnp.take_along_axis(logits, index[..., None], axis=-1)[..., 0]
        # One value is picked before it is normalised: a quarter of the time of a table of log-probabilities.
        log_p = chosen - jax.nn.logsumexp(logits, axis=-1)
        return jnp.sum(jnp.where(is_value(x, num_values), log_p, -jnp.inf))

    def sample(key: PRNGKey, logits: Array) -> Array:
        return categorical_sample(key, logits).astype(jnp.float32)

    return Likelihood(
        param_shapes=lambda shape: like_image((*shape, num_values)),
        log_prob=log_prob,
        sample=sample,
        mean=lambda logits: jax.nn.softmax(logits) @ jnp.arange(num_values, dtype=jnp.float32),
        log_pmf=lambda logits: jax.nn.log_softmax(logits),
        channel_log_pmf=of_channel(jax.nn.log_softmax),
        init_bias=lambda mean: spread.log_pmf(spread.init_bias(mean)),
        discrete=True,
        tempered=lambda logits, temperature: logits / temperature,
    )
