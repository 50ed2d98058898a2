"""Discrete pixels of which near values have near probabilities: mixtures of logistics, cut into bins (PixelCNN++).

Inside, x is scaled to u in [-1, 1], so that means and scales are of the order of 1 for any number of values.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.likelihoods.pixels import check_count, inner_fraction, is_value, like_image
from jaxvae.likelihoods.scoring import checked
from jaxvae.numerics import bisect
from jaxvae.recipes import recorded
from jaxvae.types import Array, Likelihood, PRNGKey

_LOG_SCALE_LIMIT = 7.0
_NEW_LOG_SCALE = -1.5  # a standard deviation of 0.4 in u, about that of a pixel of photographs
_NUM_POINTS, _KOROBOV = 1021, 94  # of the quadrature that gives the mean of coupled channels


class LogisticMixtureParams(NamedTuple):
    """Mixtures of k logistics for every pixel; all channels of a pixel are of the same component."""

    weights: Array  # logits of the components of a pixel, [..., k]
    mean: Array  # [..., C, k], -1 the lowest value and 1 the highest
    log_scale: Array  # [..., C, k], of the same unit; limited to +-7
    coupling: Any  # [..., C (C - 1) / 2, k], through tanh: 1 on 0, 2 on 0, 2 on 1, ...; None for one channel


@recorded
@checked
def logistic_mixture(num_components: int, num_values: int = 256, num_channels: int = 1) -> Likelihood:
    """Pixels that are mixtures of discretised logistics, independent but for the channels of one pixel.

      p(x) = sum_k w_k prod_c [ F((u_c + h - m_ck) / s_ck) - F((u_c - h - m_ck) / s_ck) ]               (eq. 1 and 2)
      m_ck = mean_ck + sum_{b < c} tanh(coupling_cbk) u_b                                               (eq. 3)

    with u = 2 x / (V - 1) - 1, bins of width 2 h = 2 / (V - 1), the logistic function F, and F = 0 and F = 1 at the
    outer edges of the first and the last bin: they sum to one. Green depends on red, and blue on both.

    Departs from the paper: the coupling goes through tanh, as in its code; s is limited both ways. Departs from its
    code: the difference of two F is exact (the code takes a density where it is small), and `sample` conditions a
    channel on the rounded values of those before it, as `log_prob` does.

    Parameters of one image: `LogisticMixtureParams`. x are integer values 0 to V - 1 in any type, [..., C]; others have
    log-probability -inf. `sample` and `mean` are values of the same unit, float32. `log_prob` is in nats. With several
    channels the mean is by quadrature, to about a thousandth of the range, and has no gradient.

    `init_bias` gives components of one scale at evenly spaced means, without coupling: equal ones would stay equal,
    were it not for the decoder's kernels.

    Args:
      num_components: K, at least 1; the paper has 5, and 10 in its code.
      num_values: V, at least 2.
      num_channels: C of the images.

    Returns:
      The likelihood; its `log_pmf` is None if there are several channels, as they are not independent.

    Raises:
      ValueError: if there is no component or channel, or fewer than two values; from `param_shapes` if the image has
        another number of channels.

    References:
      Salimans et al., "PixelCNN++", 2017, arXiv:1701.05517, sec. 2.1 and 2.2.
    """
    check_count("logistic_mixture", "num_components", num_components, 1)
    check_count("logistic_mixture", "num_values", num_values, 2)
    check_count("logistic_mixture", "num_channels", num_channels, 1)
    mixture = _Mixture(num_components, num_values, num_channels)
    return Likelihood(
        param_shapes=mixture.param_shapes,
        log_prob=mixture.log_prob,
        sample=mixture.sample,
        mean=mixture.mean,
        log_pmf=mixture.log_pmf if num_channels == 1 else None,
        init_bias=mixture.init_bias,
        discrete=True,
        channel_log_pmf=mixture.channel_log_pmf,
        channel_log_mass=mixture.channel_log_mass,
    )


# ---------- private


class _Mixture(NamedTuple):
    """The functions of the likelihood."""

    num_components: int
    num_values: int
    num_channels: int

    def param_shapes(self, shape: tuple[int, ...]) -> LogisticMixtureParams:
        if shape[-1:] != (self.num_channels,):
            raise ValueError(f"logistic_mixture is given images {list(shape)}, expected {self.num_channels} channels.")
        num_pairs = self.num_channels * (self.num_channels - 1) // 2
        return LogisticMixtureParams(
            weights=like_image((*shape[:-1], self.num_components)),
            mean=like_image((*shape, self.num_components)),
            log_scale=like_image((*shape, self.num_components)),
            coupling=like_image((*shape[:-1], num_pairs, self.num_components)) if num_pairs else None,
        )

    def log_prob(self, params: LogisticMixtureParams, x: Array) -> Array:
        return jnp.sum(self._pixels(params, x))

    def sample(self, key: PRNGKey, params: LogisticMixtureParams) -> Array:
        which, logistic = jax.random.split(key)
        chosen = jax.random.categorical(which, params.weights)[..., None, None]
        noise = jax.random.logistic(logistic, (*params.mean.shape[:-1], 1))
        values = self._draw(params, [noise[..., c, :] for c in range(self.num_channels)])
        return jnp.take_along_axis(values, chosen, axis=-1)[..., 0]

    def mean(self, params: LogisticMixtureParams) -> Array:
        if self.num_channels == 1:
            each = _mean_of_bins(params.mean, params.log_scale, self.num_values)
        else:
            noise = jnp.asarray(_even_noise(self.num_channels))
            add = lambda total, row: (total + self._draw(params, row), None)  # noqa: E731
            total, _ = jax.lax.scan(add, jnp.zeros_like(params.mean), noise)
            each = total / len(noise)
        return jnp.sum(jax.nn.softmax(params.weights)[..., None, :] * each, axis=-1)

    def log_pmf(self, params: LogisticMixtureParams) -> Array:
        values = jnp.arange(self.num_values, dtype=jnp.float32)
        shape = (*params.weights.shape[:-1], 1)
        return jax.vmap(lambda v: self._pixels(params, jnp.full(shape, v)), out_axes=-1)(values)[..., None, :]

    def channel_log_mass(
        self, params: LogisticMixtureParams, values: Array, channel: int, low: Array, high: Array
    ) -> Array:
        """Log-probability that a channel is from low to high given the channels before it, [..., C] -> [...]."""
        before = [self._unit(values[..., c, None].astype(jnp.float32)) for c in range(channel)]
        half = 1.0 / (self.num_values - 1)
        weights = jax.nn.log_softmax(params.weights)
        for c, u in enumerate(before):  # what the channels before say of the component
            weights += _log_bin(u, _location(params, before[:c]), params.log_scale[..., c, :], half)
        location, log_scale = _location(params, before), params.log_scale[..., channel, :]
        from_u, to_u = (self._unit(end[..., None].astype(jnp.float32)) for end in (low, high))
        each = weights + _log_bins(from_u, to_u, location, log_scale, half)
        return jax.nn.logsumexp(each, axis=-1) - jax.nn.logsumexp(weights, axis=-1)

    def channel_log_pmf(self, params: LogisticMixtureParams, values: Array, channel: int) -> Array:
        """Log-probabilities of all values of a channel given those before it, [..., C] -> [..., V]."""

        def of_value(value: Array) -> Array:
            every = jnp.broadcast_to(value, values.shape[:-1])
            return self.channel_log_mass(params, values, channel, every, every)

        return jax.vmap(of_value, out_axes=-1)(jnp.arange(self.num_values))

    def init_bias(self, mean: Array) -> LogisticMixtureParams:
        spacing = jnp.linspace(-1.0, 1.0, self.num_components) if self.num_components > 1 else jnp.zeros(1)
        spacing *= math.exp(_NEW_LOG_SCALE)
        log_scale = jnp.full(self.num_components, _NEW_LOG_SCALE, jnp.float32)

        def fraction(centre: Array) -> Array:
            return jnp.mean(_mean_of_bins(centre + spacing, log_scale, self.num_values)) / (self.num_values - 1)

        def solve(target: Array) -> Array:
            return bisect(fraction, target, jnp.array(4.0)) + spacing

        means = jnp.vectorize(solve, signature="()->(k)")(inner_fraction(mean, self.num_values))
        shapes = self.param_shapes(mean.shape)
        return LogisticMixtureParams(
            weights=jnp.zeros(shapes.weights.shape),
            mean=means,
            log_scale=jnp.full(shapes.log_scale.shape, _NEW_LOG_SCALE, jnp.float32),
            coupling=jnp.zeros(shapes.coupling.shape) if shapes.coupling else None,
        )

    def _unit(self, values: Array) -> Array:
        return 2.0 / (self.num_values - 1) * values - 1.0

    def _pixels(self, params: LogisticMixtureParams, x: Array) -> Array:
        """Log-probabilities of pixels, [..., C] -> [...]."""
        x = x.astype(jnp.float32)
        u = [self._unit(x[..., c, None]) for c in range(self.num_channels)]
        half = 1.0 / (self.num_values - 1)
        each = sum(
            _log_bin(u[c], _location(params, u[:c]), params.log_scale[..., c, :], half)
            for c in range(self.num_channels)
        )
        log_p = jax.nn.logsumexp(jax.nn.log_softmax(params.weights) + each, axis=-1)
        return jnp.where(jnp.all(is_value(x, self.num_values), axis=-1), log_p, -jnp.inf)

    def _draw(self, params: LogisticMixtureParams, noise: Sequence[Array] | Array) -> Array:
        """Values that every component makes of logistic noise, an array for each channel, -> [..., C, k]."""
        values: list[Array] = []
        top = self.num_values - 1
        for c in range(self.num_channels):
            location = _location(params, [self._unit(v) for v in values])
            continuous = location + jnp.exp(_limited(params.log_scale[..., c, :])) * noise[c]
            values.append(jnp.clip(jnp.round(0.5 * top * (continuous + 1.0)), 0.0, top))
        return jnp.stack(values, axis=-2)


def _limited(log_scale: Array) -> Array:
    return jnp.clip(log_scale, -_LOG_SCALE_LIMIT, _LOG_SCALE_LIMIT)


def _location(params: LogisticMixtureParams, before: Sequence[Array]) -> Array:
    """The means of the next channel, [..., k], given u of those before it, [..., 1] or [..., k] each."""
    channel = len(before)
    location = params.mean[..., channel, :]
    for b, u in enumerate(before):
        location += jnp.tanh(params.coupling[..., channel * (channel - 1) // 2 + b, :]) * u
    return location


def _log_bin(u: Array, location: Array, log_scale: Array, half: float) -> Array:
    """Return the logarithm of the mass of the bin around u, elementwise."""
    return _log_bins(u, u, location, log_scale, half)


def _log_bins(low: Array, high: Array, location: Array, log_scale: Array, half: float) -> Array:
    """Return log [ F(a) - F(b) ], a = (high + half - location) / s, b = (low - half - location) / s, elementwise.

    F(a) - F(b) = F(a) F(-b) (1 - exp(b - a)): no factor loses digits to another, in either tail or in a narrow bin.
    """
    inverse = jnp.exp(-_limited(log_scale))
    is_first, is_last = low < -1.0 + half, high > 1.0 - half
    upper = jnp.where(is_last, 0.0, jax.nn.log_sigmoid(inverse * (high - location + half)))
    lower = jnp.where(is_first, 0.0, jax.nn.log_sigmoid(-inverse * (low - location - half)))
    width = (high - low) + 2.0 * half
    inner = jnp.where(is_first | is_last, 0.0, jnp.log(-jnp.expm1(-width * inverse)))
    return upper + lower + inner


def _mean_of_bins(location: Array, log_scale: Array, num_values: int) -> Array:
    """E[x] of a discretised logistic, the sum of P(x > v) over v = 0 to V - 2, elementwise."""
    inverse = jnp.exp(-_limited(log_scale))
    edges = (2.0 * jnp.arange(num_values - 1) + 1.0) / (num_values - 1) - 1.0
    # One edge after another: XLA takes ten times as long on a CPU for a sum along a new axis.
    add = lambda total, edge: (total + jax.nn.sigmoid(inverse * (location - edge)), None)  # noqa: E731
    return jax.lax.scan(add, jnp.zeros_like(location), edges)[0]


def _even_noise(num_channels: int) -> np.ndarray:
    """Logistic noise at the points of a Korobov lattice, which fill a cube more evenly than random ones, [N, C]."""
    generator = np.array([_KOROBOV**c % _NUM_POINTS for c in range(num_channels)])
    points = (np.arange(_NUM_POINTS)[:, None] * generator % _NUM_POINTS + 0.5) / _NUM_POINTS
    return np.log(points / (1.0 - points)).astype(np.float32)
