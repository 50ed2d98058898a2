"""Numbers of the test set: what one image cannot tell is absent, and standard errors divide by N - 1."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae.reports.introduction import introduce_examples
from jaxvae.reports.report import evaluation_of
from jaxvae.runs.trained import Trained
from jaxvae.systems.builds import autoregressive, vae
from jaxvae.training import make_evaluator
from jaxvae.training.trainer import first_batch
from jaxvae.types import Dataset, DataSpec, Splits

SPEC = DataSpec((6, 6, 1), 2, 2)
SYSTEMS = {
    "vae": functools.partial(vae, SPEC, latent_dim=3, net="mlp"),
    "autoregressive": functools.partial(autoregressive, SPEC, features=4, num_layers=1),
}


def part(num):
    x = (np.random.default_rng(num).random((num, *SPEC.shape)) < 0.4).astype(np.uint8)
    return Dataset(x, np.arange(num, dtype=np.int32) % 2)


@functools.cache
def trained(name):
    system = SYSTEMS[name]()
    batch = first_batch(part(8), np.arange(8), 8)
    params, state = jax.jit(system.trainable.init)(jax.random.key(0), batch)
    if name == "vae":  # whose posterior is the prior, so that its collapse is found where it can be
        params = {**params, "posterior": jax.tree.map(jnp.zeros_like, params["posterior"])}
    return Trained(system, params, state, {"config": {"nll_samples": 4}}, None, {})


def metrics_of(name, num, train=None):
    model, splits = trained(name), Splits(train or part(8), part(4), part(num))
    values = make_evaluator(model.system, num)(model.params, model.model_state, splits.test)
    return evaluation_of(model.system).evaluate(model, splits)[0], values


@pytest.mark.slow
def test_one_image_says_nothing_of_how_images_vary():
    metrics, _ = metrics_of("vae", 1)
    absent = {"nll_stderr", "active_units", "mutual_information", "mutual_information_images", "warning"}
    assert metrics.keys() & absent == set()
    assert {"nll", "elbo", "kl", "kl_per_dimension", "latent_dim", "mse"} <= metrics.keys()
    metrics, _ = metrics_of("vae", 5)
    assert absent <= metrics.keys()
    assert (metrics["active_units"], metrics["kl"]) == (0, pytest.approx(0.0, abs=1e-5))
    assert metrics["mutual_information_images"] == 5
    assert "posterior collapse" in metrics["warning"]
    equal = part(8)._replace(x=np.repeat(part(8).x[:1], 8, axis=0))
    assert metrics_of("vae", 5, equal)[0]["warning"].startswith("All training images are the same")


def test_one_image_is_no_images():
    one = introduce_examples(trained("vae"), Splits(part(1), part(4), part(1)))
    assert one == ("trained on 1 image of 6x6x1", "On 1 test image")
    several = introduce_examples(trained("vae"), Splits(part(1200), part(4), part(7)))
    assert several == ("trained on 1,200 images of 6x6x1", "On 7 test images")


def test_an_exact_likelihood_has_its_standard_error():
    metrics, _ = metrics_of("autoregressive", 1)
    assert {name for name in metrics if name.startswith(("nll", "bits"))} == {"nll", "bits_per_dim"}
    metrics, values = metrics_of("autoregressive", 5)
    np.testing.assert_allclose(metrics["nll_stderr"], np.std(np.float64(values["nll"]), ddof=1) / np.sqrt(5), rtol=1e-6)
    np.testing.assert_allclose(metrics["nll"], np.mean(values["nll"]), rtol=1e-6)
