"""The amortisation gap: what the bound loses because one encoder infers the latents of all images.

  gap(x) = max_q ELBO(x, q) - ELBO(x, q(z | x)),   q over diagonal Gaussians, found for each image by gradient ascent

On test images it says how much of what is lost between training and test is the encoder's, and is no fault of p(x).

References:
  Cremer, Li & Duvenaud, "Inference suboptimality in variational autoencoders", 2018, arXiv:1801.03558, sec. 3.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxvae.applications.given_classes import with_classes
from jaxvae.capabilities import HasJoint, Infers, require
from jaxvae.distributions import normal_sample_and_log_prob
from jaxvae.errors import whole_number
from jaxvae.keys import split_each
from jaxvae.progress import progress_bar
from jaxvae.training import evaluation_keys, in_batches, program_batch_size
from jaxvae.types import Array, Batch, Dataset, GaussianParams, ModelState, Params, Prepare, PRNGKey, System

BATCH = 100  # images at a time
FIT_SAMPLES = 4  # latents for every image in a step
CHUNKS, CHUNK = 10, 20  # latents by which both bounds are estimated, with the same noise, and how many at a time
LEARNING_RATE = 0.1  # of Adam; it falls to zero, by half a cosine


class Refitted(NamedTuple):
    """Posteriors of N images that were fitted to each of them, and the bounds before and after, nats."""

    elbo: Any  # [N], of q(z | x)
    refitted_elbo: Any  # [N]
    mean: Any  # [N, D]
    std: Any  # [N, D]


def refit_posterior(
    system: System,
    params: Params,
    model_state: ModelState,
    dataset: Dataset,
    steps: int = 300,
    key: PRNGKey | None = None,
) -> Refitted:
    """Fit mean and standard deviation of q to every image, from those of the encoder.

    Args:
      system: a VAE with one group of latents and a Gaussian posterior.
      params: its parameters, which stay as they are.
      model_state: its state.
      dataset: N images as the data set has them, prepared as in evaluation, and their labels where the model is
        conditional on these.
      steps: of gradient ascent.
      key: of the noise; by default that of evaluations.

    Returns:
      The posteriors and the bounds, whose difference is the gap. The refitted bound is estimated with noise that the
      fit has not seen.

    Raises:
      UserError: if the system has no such posterior, or the number of steps is impossible.
    """
    functions = system.prepare, require(system, Infers).posterior, require(system, HasJoint).log_joint
    steps, size = whole_number("steps", steps, 1), program_batch_size(len(dataset.x), BATCH)
    with progress_bar(total=len(dataset.x), unit="image", desc=f"q refitted in {steps} steps") as bar:

        def one(start: int, batch: Batch) -> Refitted:
            keys = evaluation_keys(start, size, key)
            found = jax.block_until_ready(_refit(*functions, steps, params, model_state, keys, batch.x))
            bar.update(int(batch.mask.sum()))
            return found

        return jax.tree.map(np.asarray, in_batches(one, with_classes(system, dataset), size))


# ---------- private


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _refit(
    prepare: Prepare,
    posterior: Callable[..., GaussianParams],
    log_joint: Callable[..., Array],
    steps: int,
    params: Params,
    model_state: ModelState,
    keys: PRNGKey,
    x: Array,
) -> Refitted:
    noise, fitting, judging = split_each(keys, 3)
    prepared = prepare(noise, x)
    start = posterior(params, model_state, prepared)
    optimizer = optax.adam(optax.cosine_decay_schedule(LEARNING_RATE, steps))

    def elbo(q: GaussianParams, keys: PRNGKey, num: int) -> Array:
        """ELBO of every image, [B], by `num` latents."""

        def draw(key: PRNGKey, q: GaussianParams) -> tuple[Array, Array]:
            return jax.vmap(lambda key: normal_sample_and_log_prob(key, q))(jax.random.split(key, num))

        z, log_qz = jax.vmap(draw, out_axes=1)(keys, q)  # [S, B, D], [S, B]
        return jnp.mean(log_joint(params, model_state, prepared, z) - log_qz, axis=0)

    def step(carry: tuple[GaussianParams, Any], i: Array) -> tuple[tuple[GaussianParams, Any], None]:
        q, state = carry
        of_step = jax.vmap(lambda key: jax.random.fold_in(key, i))(fitting)
        grads = jax.grad(lambda q: -jnp.sum(elbo(q, of_step, FIT_SAMPLES)))(q)
        updates, state = optimizer.update(grads, state)
        return (optax.apply_updates(q, updates), state), None

    (found, _), _ = jax.lax.scan(step, (start, optimizer.init(start)), jnp.arange(steps))

    def judged(q: GaussianParams) -> Array:
        # A few at a time: all of them would not fit into a processor's caches.
        of_chunk = lambda i: elbo(q, jax.vmap(lambda key: jax.random.fold_in(key, i))(judging), CHUNK)  # noqa: E731
        return jnp.mean(jax.lax.map(of_chunk, jnp.arange(CHUNKS)), axis=0)

    return Refitted(judged(start), judged(found), found.mean, jnp.exp(0.5 * found.log_var))
