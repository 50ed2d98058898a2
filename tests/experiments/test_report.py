"""The NLL that a report prints, against an integral; images in batches of any size."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.binary_vae import Config
from experiments.common import inspection
from experiments.common.report import estimate_likelihood
from experiments.common.vae import binary_pixels, closed_bound, vae_experiment
from experiments.run import Finished
from jaxvae import MLP, VAE, GaussianPosterior, ImageDecoder, MLPEncoder, bernoulli, objectives
from jaxvae.training import create_train_state, make_evaluator
from jaxvae.types import Batch, Dataset, DataSpec
from tests.experiments.conftest import SPEC, module_and_config


def test_estimate_likelihood_equals_quadrature_over_the_latent(monkeypatch):
    spec = DataSpec((3, 3, 1), 2, 0)
    likelihood = bernoulli()
    vae = VAE(
        MLPEncoder((6,)), GaussianPosterior(1), ImageDecoder(MLP((6,)), likelihood.param_shapes(spec.shape)), likelihood
    )
    experiment = vae_experiment(
        name="tiny",
        spec=spec,
        vae=vae,
        prepare=binary_pixels(spec),
        bound=closed_bound(vae),
        score=lambda terms, hparams: objectives.elbo(terms),
        optimizer=optax.sgd(1.0),
        hparams={},
    )
    x = np.random.default_rng(0).integers(0, 2, (7, 3, 3, 1)).astype(np.uint8)
    params, _ = jax.jit(experiment.init)(jax.random.key(3), Batch(x, None, np.ones(7)))
    finished = Finished(experiment, Config(), params, {}, Path(), {})

    # Batches of two: the last is padded.
    monkeypatch.setattr("experiments.common.report.NLL_BATCH", 2)
    estimate = estimate_likelihood(finished, Dataset(x, None), 20_000)

    z = np.linspace(-8, 8, 4001)
    logits = np.asarray(vae.apply({"params": params}, jnp.asarray(z)[:, None], method="decode"), np.float64)
    log_px = [(image * logits - np.logaddexp(0, logits)).reshape(len(z), -1).sum(axis=1) for image in x.astype(float)]
    density = np.exp(np.array(log_px) - 0.5 * z**2 - 0.5 * np.log(2 * np.pi))
    exact = np.log(np.trapezoid(density, z, axis=1))
    np.testing.assert_allclose(estimate.log_likelihood, exact, atol=0.02)

    one_sample = make_evaluator(experiment, 7)(params, {}, Dataset(np.repeat(x, 400, axis=0), None))["elbo"]
    standard_error = one_sample.reshape(7, 400).std(axis=1) / 20
    assert np.all(np.abs(one_sample.reshape(7, 400).mean(axis=1) - estimate.elbo) < 5 * standard_error + 1e-3)


def test_images_that_are_drawn_come_back_the_same_in_batches_of_any_size(images, monkeypatch):
    module, config = module_and_config("pixel_vae", num_layers=(1,), features=4)
    experiment = module.build(config, SPEC)
    batch = Batch(images.train.x[:8], None, np.ones(8, np.float32))
    state = create_train_state(experiment, jax.random.key(0), batch)
    finished = Finished(experiment, config, state.params, state.model_state, None, {})
    found = []
    for size in (4, 3):
        monkeypatch.setattr(inspection, "evaluation_batch", lambda spec, size=size: size)
        found.append(inspection.inspect(finished, Dataset(images.train.x[:7], None)).reconstructions)
    np.testing.assert_array_equal(*found)
    assert len({image.tobytes() for image in found[0]}) == 7
