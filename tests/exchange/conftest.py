"""Exported functions, called in a process that has not imported jaxvae, and the same of `Trained`."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxvae as jv
from jaxvae.__main__ import main
from jaxvae.capabilities import Scores, find
from jaxvae.objectives import elbo
from tests.commands import kinds
from tests.drawn import normal_like

NUM = 4
CALLER = Path(__file__).with_name("caller.py")


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """(kind, or a network of a VAE) -> a saved model."""
    folder, places = tmp_path_factory.mktemp("models"), {}

    def of(kind):
        if kind not in places:
            save = kinds.save if kind in kinds.KINDS else save_net
            places[kind] = save(kind, folder / kind)
        return str(places[kind])

    return of


@pytest.fixture
def called(tmp_path):
    """(place, format, inputs) -> outputs of its functions by function/output/number of examples, from a process."""

    def of(place, kind, inputs):
        out = tmp_path / "out"
        main(["export", place, "--format", kind, "--out", str(out)])
        np.savez(tmp_path / "inputs.npz", **inputs)
        line = [sys.executable, str(CALLER), str(out), str(tmp_path / "inputs.npz"), str(tmp_path / "outputs.npz")]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        found = subprocess.run(line, cwd=out, env=environment, capture_output=True, text=True, timeout=300, check=False)
        assert found.returncode == 0, found.stderr
        return dict(np.load(tmp_path / "outputs.npz"))

    return of


def inputs_of(trained):
    """Black and white images, which are what they are to every likelihood, latents, codes and labels."""
    rng, shape = np.random.default_rng(0), trained.spec.shape
    images = rng.integers(0, 2, (NUM, *shape)).astype(np.float32)
    given = {f"{name}/images": images for name in ("encode", "score", "log_likelihood", "classify")}
    given["score/key"] = given["encode/key"] = np.asarray(jax.random.key_data(jax.random.key(7)))
    given["log_likelihood/labels"] = rng.integers(0, 3, NUM).astype(np.int32)
    given["log_likelihood/codes"] = rng.integers(0, 5, (NUM, *shape)).astype(np.int32)
    if len(shape) == 3 and trained.system.name not in ("semi_supervised", "autoregressive", "pixel_cnn"):
        codes = trained.encode(images)
        codes = codes if isinstance(codes, tuple) else (codes,)
        given |= {"decode/latents": codes[0]} if codes[0].dtype == np.float32 else {"decode/codes": codes[0]}
        given |= {f"decode/codes_{i}": grid for i, grid in enumerate(codes)}
    return given


def expected_of(trained, given):
    """What the methods of `Trained` give, by function/output."""
    system, images, found = trained.system, given["encode/images"], {}
    if (able := find(system, Scores)) is not None:
        key = jax.random.wrap_key_data(given["score/key"])
        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(np.arange(NUM))
        found["score/elbo"] = elbo(able.terms(trained.params, trained.model_state, keys, images))
        found["encode/mean"], found["encode/sd"] = trained.posterior(images)
    if "decode/latents" in given:
        found["decode/images"] = trained.decode(given["decode/latents"])
    if "decode/codes" in given:
        found["encode/codes"] = trained.encode(images)
        found["decode/images"] = trained.decode(given["decode/codes"])
    if system.name == "semi_supervised":
        found["classify/probabilities"] = trained.classify(images)
    if system.name == "pixel_cnn":
        found["log_likelihood/log_likelihood"] = trained.log_likelihood(images, labels=given["log_likelihood/labels"])
    if system.name == "autoregressive":
        found["log_likelihood/log_likelihood"] = trained.log_likelihood(images)
    return found


def assert_same(found, trained, given, tolerance, left_out=()):
    """Of one and of four examples."""
    expected = expected_of(trained, given)
    assert {name.rpartition("/")[0] for name in found} == {
        name for name in expected if name.partition("/")[0] not in left_out
    }
    for name, value in found.items():
        whole, _, num = name.rpartition("/")
        like = np.asarray(expected[whole])[: int(num)]
        np.testing.assert_allclose(value, like, rtol=tolerance, atol=tolerance, err_msg=name)


def save_net(net, place):
    """A VAE of one of the three networks with weights as they are drawn for a training, saved."""
    spec = kinds.SPEC._replace(shape=(16, 16, 1))
    system = jv.systems.vae(spec, latent_dim=3, net=net)
    batch = jv.types.Batch(np.zeros((2, 16, 16, 1), np.uint8), None, np.ones(2, np.float32))
    params, state = system.trainable.init(jax.random.key(0), batch)
    params = jax.tree.map(lambda leaf, noise: leaf + noise, params, normal_like(params, 0.01))
    return kinds.Trained(system, params, state, kinds.run_record(system, {}, 40)).save(place)
