"""A system small enough to be trained inside a test."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxvae.data import binarize
from jaxvae.nets import dropout
from jaxvae.types import Batch, Dataset, DataSpec, Player, Splits, System, Trainable

SPEC = DataSpec(shape=(4, 4, 1), num_values=2, num_classes=0)
LATENTS = 2


@pytest.fixture
def system() -> System:
    return make_system(optax.adam(3e-3))


@pytest.fixture
def splits() -> Splits:
    rng = np.random.default_rng(0)
    prototypes = rng.integers(0, 2, (4, *SPEC.shape))
    x = np.abs(prototypes[rng.integers(0, 4, 120)] - (rng.random((120, *SPEC.shape)) < 0.05)).astype(np.uint8)
    part = lambda rows: Dataset(x[rows], None)  # noqa: E731
    return Splits(part(slice(0, 70)), part(slice(70, 95)), part(slice(95, 120)))


def make_system(optimizer: optax.GradientTransformation, poison_at: int = -1, noisy: bool = False) -> System:
    """A linear VAE of 4x4 binary images, of few operations: these tests compile it many times.

    z ~ N(W^T x, I), logits W z + b. At step `poison_at` its loss is NaN; `noisy` binarises and drops pixels.
    """

    def elbo(params, keys, x, beta):
        x = x.reshape(len(x), -1)
        mean = x @ params["kernel"]
        z = mean + jax.vmap(lambda key: jax.random.normal(key, (LATENTS,)))(keys)
        logits = z @ params["kernel"].T + params["bias"][None]
        log_px = jnp.sum(x * logits - jax.nn.softplus(logits), axis=1)
        return log_px - beta * 0.5 * jnp.sum(jnp.square(mean), axis=1)

    def loss(params, model_state, inputs):
        x = inputs.batch.x.astype(jnp.float32)
        keys = inputs.keys.examples
        if noisy:
            binary, dropped, keys = jax.vmap(lambda key: jax.random.split(key, 3), out_axes=1)(keys)
            x = dropout(dropped, binarize(binary, 0.1 + 0.8 * x, 2**8), 0.3)
        bound = elbo(params, keys, x, inputs.hparams["beta"])
        poison = jnp.where(inputs.step == poison_at, jnp.nan, 1.0)
        return -jnp.mean(bound) * poison, (model_state, {"elbo": jnp.mean(bound)})

    def evaluate(params, model_state, keys, batch: Batch, hparams):
        return {"loss": -elbo(params, keys, batch.x.astype(jnp.float32), 1.0)}

    def init(key, batch):
        kernel = 0.2 * jax.random.normal(key, (math.prod(SPEC.shape), LATENTS))
        return {"kernel": kernel, "bias": jnp.zeros(math.prod(SPEC.shape))}, {}

    trainable = Trainable(init, (Player("tiny", loss, optimizer),), evaluate, {"beta": 1.0})
    return System("tiny", SPEC, lambda keys, x: x, trainable, use=())
