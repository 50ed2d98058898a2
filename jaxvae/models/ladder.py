"""A ladder network: a classifier whose every layer also learns to take noise out (Rasmus et al. 2015).

The clean encoder classifies; a noisy one with the same weights is classified in training, and a decoder brings its
layers back, from the top down, to what they are without noise. The classes of few images and the denoising of all train
one set of weights.

References:
  Rasmus, Valpola, Honkala, Berglund & Raiko, "Semi-Supervised Learning with Ladder Networks", 2015, arXiv:1507.02672.
"""

from collections.abc import Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from jaxvae.keys import check_keys
from jaxvae.nets.conv import fan_in_normal
from jaxvae.types import Array, PRNGKey

EPSILON = 1e-6  # of a layer's variance
MOMENTUM = 0.99  # of the averages that evaluation normalises by, less in the first steps


class LadderTerms(NamedTuple):
    """What a ladder network gives of B images."""

    log_q: Array  # [B, K], log q(y | x) of the noisy encoder, in evaluation of the clean one
    costs: Array  # [B, L + 1], mean squared error of every layer, the image first; zero in evaluation


class _Layer(NamedTuple):
    z: Array  # [B, D], normalised, with noise in the noisy encoder
    mean: Array  # [D], that it was normalised by
    deviation: Array  # [D]


class LadderNetwork(nn.Module):
    """Dense layers with batch normalisation, their noisy twin and the decoder between (the paper's algorithm 1).

      z_l = N(W_l h_{l-1}),  h_l = relu(z_l + beta_l),  q(y | x) = softmax(gamma (z_L + beta_L))
      z~_l: the same with noise N(0, noise^2) on the image and on every z_l
      u_L = N(h~_L),  u_l = N(V_{l+1} z^_{l+1}),  z^_l = g_l(z~_l, u_l)
      cost_l = |z_l - (z^_l - mean_l) / deviation_l|^2

    with N the normalisation by the batch, whose mean and deviation of the clean layer the cost takes, and g_l the
    paper's eq. 2, for each unit its own.

    Departs from the paper in that a batch is normalised by its images without a class alone, where it has any; there
    both kinds are normalised apart.

    Parameters: `kernel_l`, `beta_l`, `down_l`, `combine_l`, `gamma`; collection `batch_stats`: `mean_l`, `variance_l`,
    `steps`.

    Attributes:
      num_classes: K.
      hidden: the width of each layer below the classes.
      noise: standard deviation.
    """

    num_classes: int
    hidden: Sequence[int] = (1000, 500, 250, 250, 250)
    noise: float = 0.3

    @nn.compact
    def __call__(
        self,
        keys: PRNGKey | None,
        x: Array,
        weights: Array | None = None,
        *,
        train: bool = False,
        axis_name: str | None = None,
    ) -> LadderTerms:
        """Return classes and, in training, costs.

        Args:
          keys: [B], of the noise; None in evaluation.
          x: images [B, ...] in [0, 1].
          weights: of the images in the normalisation, [B]; None weighs all alike.
          train: whether this is a training step, which moves the averages for evaluation on.
          axis_name: mapped axis of replicas that share the batch.
        """
        x = x.reshape(len(x), -1)
        widths = [x.shape[1], *self.hidden, self.num_classes]
        layers = range(1, len(widths))
        kernels, betas = {}, {}
        for i in layers:
            kernels[i] = self.param(f"kernel_{i}", fan_in_normal(), (widths[i - 1], widths[i]))
            betas[i] = self.param(f"beta_{i}", nn.initializers.zeros_init(), (widths[i],))
        gamma = self.param("gamma", nn.initializers.ones_init(), (self.num_classes,))
        weights = jnp.ones(len(x)) if weights is None else weights
        weights = jnp.where(_total(jnp.sum(weights), axis_name) > 0, weights, 1.0)

        def up(h: Array, noise: list[Array] | None, averages: dict[int, tuple[Array, Array]]) -> tuple[Array, dict]:
            found = {0: _Layer(h, jnp.zeros(widths[0]), jnp.ones(widths[0]))}
            for i in layers:
                z = h @ kernels[i]
                mean, variance = averages[i] if averages else _moments(z, weights, axis_name)
                deviation = jnp.sqrt(variance + EPSILON)
                z = (z - mean[None]) / deviation[None]
                z = z if noise is None else z + noise[i]
                found[i] = _Layer(z, mean, deviation)
                h = nn.relu(z + betas[i][None]) if i < len(widths) - 1 else gamma[None] * (z + betas[i][None])
            return h, found

        means = {i: self._average("mean", i, widths[i], 0.0) for i in layers}
        variances = {i: self._average("variance", i, widths[i], 1.0) for i in layers}
        steps = self.variable("batch_stats", "steps", jnp.zeros, ())
        down = {i: self.param(f"down_{i}", fan_in_normal(), (widths[i], widths[i - 1])) for i in layers}
        combine = {i: self.param(f"combine_{i}", _start, (10, width)) for i, width in enumerate(widths)}
        if not train:
            logits, _ = up(x, None, {i: (means[i].value, variances[i].value) for i in layers})
            return LadderTerms(jax.nn.log_softmax(logits), jnp.zeros((len(x), len(widths))))

        if keys is None:
            raise ValueError("Training takes a key for every image.")
        check_keys(keys, len(x))
        noise = _noise(keys, widths, self.noise)
        _, clean = up(x, None, {})
        logits, noisy = up(x + noise[0], noise, {})
        rate = jnp.maximum(1 - MOMENTUM, 1 / (steps.value + 1))
        steps.value = steps.value + 1
        for i in layers:
            now = clean[i].mean, jnp.square(clean[i].deviation) - EPSILON
            for average, value in zip((means[i], variances[i]), now, strict=True):
                average.value = (1 - rate) * average.value + rate * value

        costs, above = [], jax.nn.softmax(logits)
        for i in reversed(range(len(widths))):
            u = above if i == len(widths) - 1 else above @ down[i + 1]
            mean, variance = _moments(u, weights, axis_name)
            u = (u - mean[None]) / jnp.sqrt(variance + EPSILON)[None]
            above = _combined(combine[i], noisy[i].z, u)
            missed = (above - clean[i].mean[None]) / clean[i].deviation[None] - clean[i].z
            costs.append(jnp.mean(jnp.square(missed), axis=1))
        return LadderTerms(jax.nn.log_softmax(logits), jnp.stack(costs[::-1], axis=1))

    def _average(self, name: str, i: int, width: int, start: float) -> nn.Variable:
        return self.variable("batch_stats", f"{name}_{i}", jnp.full, (width,), start)


def _moments(z: Array, weights: Array, axis_name: str | None) -> tuple[Array, Array]:
    """Mean and variance of every unit over the batch of all replicas."""
    share = _total(jnp.mean(weights), axis_name)
    mean = _total(jnp.mean(weights[:, None] * z, axis=0), axis_name) / share
    return mean, _total(jnp.mean(weights[:, None] * jnp.square(z - mean[None]), axis=0), axis_name) / share


def _total(value: Array, axis_name: str | None) -> Array:
    return lax.pmean(value, axis_name) if axis_name else value


def _noise(keys: PRNGKey, widths: Sequence[int], scale: float) -> list[Array]:
    """Noise of all layers from one key an example, [B, D] each."""
    drawn = scale * jax.vmap(lambda key: jax.random.normal(key, (sum(widths),)))(keys)
    return jnp.split(drawn, [sum(widths[: i + 1]) for i in range(len(widths) - 1)], axis=1)


def _combined(a: Array, z: Array, u: Array) -> Array:
    """The paper's eq. 2: the mean and the gain that what is above says of a unit."""
    a = a[:, None]
    mean = a[0] * nn.sigmoid(a[1] * u + a[2]) + a[3] * u + a[4]
    gain = a[5] * nn.sigmoid(a[6] * u + a[7]) + a[8] * u + a[9]
    return (z - mean) * gain + mean


def _start(key: PRNGKey, shape: tuple[int, int]) -> Array:
    """1 for the two slopes inside sigmoids, 0 for the rest, as the authors' code."""
    del key
    return jnp.zeros(shape).at[jnp.array([1, 6])].set(1.0)
