"""A system small enough to be trained inside a test."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxvae import objectives
from jaxvae.data import binarize
from jaxvae.likelihoods import bernoulli
from jaxvae.models import VAE
from jaxvae.nets import MLP, ImageDecoder, MLPEncoder, dropout
from jaxvae.posteriors import GaussianPosterior
from jaxvae.types import Batch, Dataset, DataSpec, Experiment, Splits

SPEC = DataSpec(shape=(4, 4, 1), num_values=2, num_classes=0)


@pytest.fixture
def experiment() -> Experiment:
    return make_experiment(optax.adam(3e-3))


@pytest.fixture
def splits() -> Splits:
    rng = np.random.default_rng(0)
    prototypes = rng.integers(0, 2, (4, *SPEC.shape))
    x = np.abs(prototypes[rng.integers(0, 4, 120)] - (rng.random((120, *SPEC.shape)) < 0.05)).astype(np.uint8)
    part = lambda rows: Dataset(x[rows], None)  # noqa: E731
    return Splits(part(slice(0, 70)), part(slice(70, 95)), part(slice(95, 120)))


def make_experiment(optimizer: optax.GradientTransformation, poison_at: int = -1, noisy: bool = False) -> Experiment:
    """A VAE of 4x4 binary images; at step `poison_at` its loss is NaN; `noisy` binarises and drops pixels."""
    likelihood = bernoulli()
    vae = VAE(
        MLPEncoder((8,)), GaussianPosterior(2), ImageDecoder(MLP((8,)), likelihood.param_shapes(SPEC.shape)), likelihood
    )

    def loss(params, model_state, inputs):
        x = inputs.batch.x.astype(jnp.float32)
        keys = inputs.keys.examples
        if noisy:
            binary, dropped, keys = jax.vmap(lambda key: jax.random.split(key, 3), out_axes=1)(keys)
            x = dropout(dropped, binarize(binary, 0.1 + 0.8 * x, 2**8), 0.3)
        bound = objectives.elbo(vae.apply({"params": params}, keys, x), inputs.hparams["beta"])
        poison = jnp.where(inputs.step == poison_at, jnp.nan, 1.0)
        return -jnp.mean(bound) * poison, (model_state, {"elbo": jnp.mean(bound)})

    def evaluate(params, model_state, keys, batch: Batch, hparams):
        return {"loss": -objectives.elbo(vae.apply({"params": params}, keys, batch.x.astype(jnp.float32)))}

    def init(key, batch):
        x = batch.x.astype(jnp.float32)
        return vae.init(key, jax.random.split(key, x.shape[0]), x)["params"], {}

    return Experiment(
        name="tiny",
        spec=SPEC,
        optimizer=optimizer,
        hparams={"beta": 1.0},
        init=init,
        loss=loss,
        evaluate=evaluate,
        prepare=lambda keys, x: x,
    )
