"""Gradients through the samples of a flow alone: "sticking the landing" for reparameterised densities.

Shapes: D dimensions, K flows in a row.

References:
  Roeder, Wu & Duvenaud, "Sticking the Landing", 2017, arXiv:1703.09194.
  Vaitl et al., "Fast and unified path gradient estimators for normalizing flows", 2024, arXiv:2403.15881.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxvae.distributions import standard_normal_log_prob
from jaxvae.errors import check_shape
from jaxvae.flows.chain import Step
from jaxvae.types import Array


class PathSample(NamedTuple):
    """A reparameterised draw of a density q, and what q is around it."""

    z: Array  # [D]
    log_qz: Array  # [], nats; no gradient
    score: Array  # d log q / dz at z, [D]; no gradient

    def log_prob(self) -> Array:
        """Return log q(z), [] in nats, as a function of the parameters through the sample z alone.

          d/dtheta log q_theta(z(theta)) = (d log q / dz) (dz / dtheta) + d log q_theta / dtheta |_z

        The second term is 0 in expectation and is left out (Roeder et al. 2017, eq. 6): the gradient of
        E_q[log q - log p] has then no variance where q = p.
        """
        return self.log_qz + jnp.dot(self.score, self.z - jax.lax.stop_gradient(self.z))


def standard_normal_path(noise: Array) -> PathSample:
    """Return noise [D] as a draw of N(0, I)."""
    check_shape("noise", noise, (None,))
    return PathSample(noise, standard_normal_log_prob(noise), -noise)


def path_step(step: Step, params: Any, sample: PathSample) -> PathSample:
    """Apply one flow to a draw.

    With y = f(z) and J = dy/dz the score follows without an inverse of f (Vaitl et al. 2024, sec. 4):
    d log q / dy = J^-T (d log q / dz - d log|det J| / dz).

    The Jacobian is formed and solved for in float32: this is for few dimensions, and where the flow is all but singular
    (det J below 1e-4) the score loses the digits that `planar` keeps.

    Args:
      step: the flow, (params, z [D]) -> (y [D], log_det []).
      params: of the flow; the gradient with respect to them goes through y.
      sample: z and what belongs to it.

    Returns:
      y and what belongs to it.
    """
    y, _ = step(params, sample.z)
    fixed, z = jax.lax.stop_gradient((params, sample.z))
    # One column of both Jacobians for each dimension of z.
    basis = jnp.eye(len(z), dtype=z.dtype)
    columns, slopes = jax.vmap(lambda tangent: jax.jvp(lambda z: step(fixed, z), (z,), (tangent,))[1])(basis)
    score = jax.lax.stop_gradient(_solve(columns, sample.score - slopes))
    return PathSample(y, sample.log_qz - jax.lax.stop_gradient(step(fixed, z)[1]), score)


def path_chain(step: Step, params: Any, sample: PathSample) -> PathSample:
    """Apply K flows of one kind to a draw, the first one first, as `chain` does.

    Args:
      step: one flow.
      params: of all flows, each leaf [K, ...].
      sample: of z_0.

    Returns:
      That of z_K.
    """

    def one(sample: PathSample, layer: Any) -> tuple[PathSample, None]:
        return path_step(step, layer, sample), None

    return jax.lax.scan(one, sample, params)[0]


# ---------- private


def _solve(matrix: Array, vector: Array) -> Array:
    """Cramer's rule in the plane, where a batch of LAPACK's solutions takes longer than the flow itself."""
    if len(vector) != 2:
        return jnp.linalg.solve(matrix, vector)
    (a, b), (c, d) = matrix
    numerators = jnp.stack([d * vector[0] - b * vector[1], a * vector[1] - c * vector[0]])
    return numerators / (a * d - b * c)
