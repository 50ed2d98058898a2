"""Gradients through the samples of a flow alone: "sticking the landing" for reparameterised densities."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxvae.distributions import standard_normal_log_prob
from jaxvae.types import Array, Params


def path_gradient(
    forward: Callable[[Params, Array], tuple[Array, Array]], params: Params, noise: Array
) -> tuple[Array, Array]:
    """Return a sample of a flow on N(0, I) and log q of it, which depends on the parameters through the sample alone.

      d/dtheta log q_theta(z(theta)) = (d log q / dz) (dz / dtheta) + d log q_theta / dtheta |_z

    The second term is 0 in expectation and is left out: the gradient of E_q[log q - log p] has then no variance where
    q = p. The score d log q / dz needs no inverse of the flow, since the noise that z came from is known:
    J^T (d log q / dz) = d/de [log N(e; 0, I) - log|det J(e)|] with J = dz/de.

    Args:
      forward: (params, e [D]) -> (z [D], log|det dz/de| []).
      params: theta.
      noise: e, [D]. The Jacobian is [D, D]: this is for few dimensions.

    Returns:
      z [D] and log q(z) [], nats.

    References:
      Roeder, Wu & Duvenaud, "Sticking the Landing", 2017, arXiv:1703.09194, eq. 6.
      Vaitl et al., "Gradients should stay on Path", 2022, arXiv:2207.08219.
    """
    z, log_det = forward(params, noise)
    fixed = jax.lax.stop_gradient(params)
    pulled = jax.grad(lambda e: standard_normal_log_prob(e) - forward(fixed, e)[1])(noise)
    jacobian = jax.jacfwd(lambda e: forward(fixed, e)[0])(noise)
    score = jax.lax.stop_gradient(_solve(jacobian.T, pulled))
    log_qz = jax.lax.stop_gradient(standard_normal_log_prob(noise) - log_det)
    return z, log_qz + jnp.dot(score, z - jax.lax.stop_gradient(z))


# ---------- private


def _solve(matrix: Array, vector: Array) -> Array:
    """Cramer's rule in the plane, where a batch of LAPACK's solutions takes longer than the flow itself."""
    if len(vector) != 2:
        return jnp.linalg.solve(matrix, vector)
    (a, b), (c, d) = matrix
    numerators = jnp.stack([d * vector[0] - b * vector[1], a * vector[1] - c * vector[0]])
    return numerators / (a * d - b * c)
