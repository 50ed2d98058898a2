"""What the latents of a trained model carry: active units, KL per dimension, mutual information, posterior collapse."""

import jax
import jax.numpy as jnp

from jaxvae.distributions import normal_kl_to_standard, normal_log_prob, normal_sample
from jaxvae.errors import check_shape
from jaxvae.types import Array, GaussianParams, PRNGKey

COLLAPSED_KL = 1.0  # nats: below this z does not even tell three classes apart (log 3 = 1.1)


def activity(means: Array, again: Array | None = None) -> Array:
    """Return how much the posterior mean of every unit varies over the data.

      A_u = Var_x( E_q(u|x)[u] )

    Means of S samples vary by themselves, by 1/S for a unit that says nothing of x. With a second estimate of
    independent noise it is Cov_x(means, again), which the noise does not raise.

    Args:
      means: posterior means of N examples, [N, D].
      again: the same means, sampled anew, [N, D]; None where they are exact.

    Returns:
      [D].

    Raises:
      ValueError: if there are fewer than two examples, which do not vary.

    References:
      Burda, Grosse & Salakhutdinov, "Importance Weighted Autoencoders", 2016, arXiv:1509.00519, sec. 5.2.
    """
    _check_several("means", means)
    again = means if again is None else again
    check_shape("again", again, means.shape)
    centred = (values - jnp.mean(values, axis=0, keepdims=True) for values in (means, again))
    return jnp.mean(jnp.multiply(*centred), axis=0)


def active_units(means: Array, again: Array | None = None, threshold: float = 0.01) -> Array:
    """Return which units are active, `activity` > threshold (Burda et al. 2016, sec. 5.2), [N, D] -> [D] bool."""
    return activity(means, again) > threshold


def kl_per_dimension(stats: GaussianParams) -> Array:
    """Return the mean over the data of KL(q(z_d | x) || N(0, 1)), posteriors [N, D] -> [D], nats."""
    check_shape("stats.mean", stats.mean, (None, None))
    check_shape("stats.log_var", stats.log_var, stats.mean.shape)
    return jnp.mean(normal_kl_to_standard(stats), axis=0)


def mutual_information(key: PRNGKey, stats: GaussianParams, chunk_size: int = 64) -> Array:
    """Estimate the information that z carries about x, I_q(x; z) = E_x KL(q(z|x) || p(z)) - KL(q(z) || p(z)).

      I ~ 1/N sum_n [ log q(z_n | x_n) - log 1/N sum_m q(z_n | x_m) ],    z_n ~ q(z | x_n)

    The prior cancels. The aggregate posterior q(z) is that of the N examples given, x_n's own among them: where they
    are the whole data set, as in the paper, the estimate has no bias. For the distribution that they were drawn from it
    is a lower bound in expectation, which rises with N and never exceeds log N (9.2 nats for N = 10,000): a model whose
    latents identify their images scores log N, whatever the true information is. Compare values of equal N alone.

    The mean KL less this estimate is the marginal KL(q(z) || p(z)), biased upwards by as much.

    Args:
      key: one key; example n draws with fold_in(key, n), so that the chunk size does not change the result.
      stats: posteriors of N examples, [N, D].
      chunk_size: samples scored at a time; memory is of order chunk_size * N, time of N * N * D.

    Returns:
      [], nats.

    Raises:
      ValueError: if there are fewer than two examples, which the latents need not tell apart.

    References:
      Hoffman & Johnson, "ELBO surgery: yet another way to carve up the variational evidence lower bound", 2016.
      Poole et al., "On Variational Bounds of Mutual Information", 2019, arXiv:1905.06922: the bound for a known q(z|x).
    """
    _check_several("stats.mean", stats.mean)
    check_shape("stats.log_var", stats.log_var, stats.mean.shape)
    num = stats.mean.shape[0]

    def pointwise(example: tuple[Array, GaussianParams]) -> Array:
        index, posterior = example
        z = normal_sample(jax.random.fold_in(key, index), posterior)
        # Squared differences, not an expanded product of matrices: sharp posteriors would cancel in float32. Its own
        # density is one of them, not that of the noise drawn: rounding of z would otherwise lift the result over log N.
        log_q = jax.vmap(normal_log_prob, in_axes=(0, None))(stats, z)
        return log_q[index] - (jax.nn.logsumexp(log_q) - jnp.log(num))

    return jnp.mean(jax.lax.map(pointwise, (jnp.arange(num), stats), batch_size=min(chunk_size, num)))


def diagnose_collapse(num_active: int, latent_dim: int, kl: float) -> str | None:
    """Return one sentence if the decoder ignores z, posterior collapse, else None.

    Collapsed means that no unit is active or that the KL is below `COLLAPSED_KL`. Some inactive units are no fault: a
    good model of MNIST uses 19 of its 50 (Burda et al. 2016, table 1).

    Args:
      num_active: units that `active_units` counts.
      latent_dim: D.
      kl: mean KL(q(z|x) || p(z)), nats.
    """
    if num_active > 0 and kl >= COLLAPSED_KL:
        return None
    found = f"The KL is {kl:.2f} nats"
    if num_active == 0:
        found += f" and none of the {latent_dim} latent units is active"
    return f"{found}, so z carries almost no information (posterior collapse)."


# ---------- private


def _check_several(name: str, values: Array) -> None:
    check_shape(name, values, (None, None))
    if values.shape[0] < 2:
        raise ValueError(f"{name} is of {values.shape[0]} example, expected at least 2, as they are to vary.")
