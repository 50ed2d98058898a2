"""Planar flows on densities of the plane: the parts of the experiment, and a whole small run."""

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import planar_density
from experiments.common import plane
from experiments.common.plane import LAYERS, divergence, log_density, on_all, on_path, transform
from experiments.planar_density import Config, Trained, build, run, summarize
from experiments.run import Options
from jaxvae.errors import UserError
from jaxvae.targets import gaussian_mixture
from jaxvae.types import Batch, StepInput, StepKeys
from tests.drawn import normal_like

NOTHING = np.zeros((3, 1), np.uint8)  # reverse KL has no data
HPARAMS = {"num_flows": 3.0, "learned_base": True}


def params_of(seed=0, most=5):
    experiment = build(Config(targets=("mixture",), num_flows=(most,)), planar_density.SPEC)
    shapes, _ = jax.eval_shape(lambda: experiment.init(jax.random.key(0), None))
    return normal_like(shapes, scale=0.6, seed=seed)


@pytest.mark.parametrize("objective", ["reverse_kl", "likelihood"])
@pytest.mark.parametrize("learned", [True, False])
def test_density_is_that_of_the_transformed_noise(learned, objective):
    params, hparams, layer = params_of(), {**HPARAMS, "learned_base": learned}, LAYERS[objective]
    noise = jnp.array([0.4, -1.1])
    z, log_det = transform(layer, params, hparams, noise)
    jacobian = jax.jacfwd(lambda e: transform(layer, params, hparams, e)[0])(noise)
    np.testing.assert_allclose(log_det, np.linalg.slogdet(jacobian)[1], rtol=1e-4, atol=1e-4)
    expected = -0.5 * np.sum(np.square(noise)) - np.log(2 * np.pi) - log_det
    np.testing.assert_allclose(log_density(layer, params, hparams, z), expected, rtol=1e-3, atol=1e-3)
    if objective == "reverse_kl":
        for draw in (on_path, on_all):
            found_z, log_qz = draw(params, hparams, noise)
            np.testing.assert_allclose(found_z, z, rtol=1e-5)
            np.testing.assert_allclose(log_qz, expected, rtol=1e-4)


def test_layers_that_are_not_in_use_change_nothing_and_are_not_trained():
    params = params_of()
    fewer = {**params, "layers": jax.tree.map(lambda leaf: leaf[:3], params["layers"])}
    forward = lambda params: transform(LAYERS["reverse_kl"], params, HPARAMS, jnp.array([0.4, -1.1]))  # noqa: E731
    for found, expected in zip(forward(params), forward(fewer), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    gradient = jax.grad(lambda params: forward(params)[1])(params)
    assert np.all(gradient["layers"]["w"][3:] == 0)
    assert np.all(gradient["layers"]["w"][:3] != 0)


def test_path_gradient_has_the_same_mean_and_no_variance_at_the_optimum():
    # With no layer in use and a learned base, q is a Gaussian; for a Gaussian target the optimum is known.
    def gradients(mode, params, num):
        config = Config(targets=("mixture",), num_flows=(0,), bases=("learned",), gradient=mode, anneal=0.0)
        experiment = build(config, planar_density.SPEC)

        def one(key):
            keys = StepKeys(jax.random.split(key, 1), key)
            inputs = StepInput(Batch(NOTHING[:1], None, None), keys, jnp.int32(10), experiment.hparams)
            return jax.grad(lambda params: experiment.loss(params, {}, inputs)[0])(params)["base"]

        return jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(1), num))

    params = build(Config(num_flows=(0,)), planar_density.SPEC).init(jax.random.key(0), None)[0]
    num = 5_000
    total, path = (gradients(mode, params, num) for mode in ("total", "path"))
    for name in params["base"]:
        a, b = (np.asarray(tree[name], np.float64).reshape(num, -1) for tree in (total, path))
        error = np.sqrt((a.var(0) + b.var(0)) / num)
        assert np.all(np.abs(a.mean(0) - b.mean(0)) < 5 * error)
    standard = gaussian_mixture(1.0, offset=0.0)
    planar_density.TARGETS["standard"] = standard
    try:
        config = {"targets": ("standard",), "num_flows": (0,), "bases": ("learned",), "anneal": 0.0}
        experiment = build(Config(**config, gradient="path"), planar_density.SPEC)
        keys = StepKeys(jax.random.split(jax.random.key(1), 3), jax.random.key(0))
        inputs = StepInput(Batch(NOTHING, None, None), keys, jnp.int32(10), experiment.hparams)
        gradient = jax.grad(lambda params: experiment.loss(params, {}, inputs)[0])(params)
    finally:
        del planar_density.TARGETS["standard"]
    for leaf in jax.tree.leaves(gradient["base"]):
        np.testing.assert_allclose(leaf, np.zeros(leaf.shape), atol=1e-5)


@pytest.mark.parametrize("objective", ["reverse_kl", "likelihood"])
def test_divergence_between_a_gaussian_and_the_mixture_equals_quadrature(objective, monkeypatch):
    monkeypatch.setattr(plane, "NUM_DRAWS", 20_000)
    target = gaussian_mixture(1.0)
    hparams = {"num_flows": 0.0, "learned_base": False}
    mean, stderr = divergence(objective, target)(params_of(), hparams)
    axis = (np.arange(400) + 0.5) / 400 * 16 - 8
    grid = jnp.asarray(np.stack(np.meshgrid(axis, axis, indexing="ij"), -1), jnp.float32).reshape(-1, 2)
    log_p = np.asarray(jax.vmap(target.log_density)(grid), np.float64)
    log_q = -0.5 * np.sum(np.square(np.asarray(grid, np.float64)), axis=-1) - np.log(2 * np.pi)
    first, second = (log_q, log_p) if objective == "reverse_kl" else (log_p, log_q)
    expected = np.sum(np.exp(first) * (first - second)) * (16 / 400) ** 2
    assert abs(float(mean) - expected) < 5 * float(stderr)


@pytest.mark.parametrize(("anneal", "expected"), [(0.0, 1.0), (0.5, 0.01)])
def test_beta_at_the_first_step(anneal, expected):
    experiment = build(Config(targets=("mixture",), num_flows=(2,), anneal=anneal, steps=100), planar_density.SPEC)
    params, _ = experiment.init(jax.random.key(0), None)
    keys = StepKeys(jax.random.split(jax.random.key(1), 3), jax.random.key(0))
    loss, (_, metrics) = experiment.loss(
        params, {}, StepInput(Batch(NOTHING, None, None), keys, jnp.int32(0), experiment.hparams)
    )
    values = experiment.evaluate(params, {}, keys.examples, Batch(NOTHING, None, None), experiment.hparams)
    log_q = jax.vmap(lambda key: on_all(params, experiment.hparams, jax.random.normal(key, (2,)))[1])(keys.examples)
    np.testing.assert_allclose(metrics["kl"], np.mean(values["kl"]), rtol=1e-5)
    np.testing.assert_allclose(loss, np.mean(log_q - expected * (log_q - values["kl"])), rtol=1e-4)


def test_summarize_states_best_median_and_worst():
    flows = [Trained("U1", 2, "fixed", None, kl, 0.1 * kl, []) for kl in (0.3, 0.1, float("inf"))]
    (row,) = summarize(flows)
    assert (row["best"], row["median"], row["worst"], row["stderr_of_best"]) == (0.1, 0.3, float("inf"), 0.01)
    assert (row["target"], row["num_flows"], row["base"], row["restarts"]) == ("U1", 2, "fixed", 3)


@pytest.mark.slow
def test_run_writes_numbers_flows_and_figures(tmp_path, monkeypatch):
    monkeypatch.setattr(plane, "NUM_DRAWS", 2_000)
    monkeypatch.setattr(plane, "CHUNK", 1_000)
    monkeypatch.setattr(planar_density, "GRID", 20)
    config = replace(
        Config().quick(), targets=("mixture", "U1"), num_flows=(0, 2), bases=("fixed", "learned"), steps=4, eval_every=2
    )
    folder = run(config, Options(name="a", out=tmp_path))
    summary = json.loads((folder / "summary.json").read_text())
    assert len(summary["runs"]) == 2 * 2 * 2
    assert {path.name for path in (folder / "figures").iterdir()} == {"mixture.png", "U1.png", "kl.png"}
    with np.load(folder / "U1, K = 2, learned base.npz") as arrays:
        assert arrays["layers.w"].shape == (2, 2)
    # N(0, I) against the mixture, which quadrature gives as 1.1044: the first row of all.
    row = summary["runs"][0]
    assert abs(row["best"] - 1.1044) < 5 * row["stderr_of_best"]
    assert (row["target"], row["num_flows"], row["base"]) == ("mixture", 0, "fixed")
    np.testing.assert_allclose(row["best"], row["worst"], atol=1e-6)

    with pytest.raises(UserError, match="exists already"):
        run(config, Options(name="a", out=tmp_path))
    with pytest.raises(UserError, match="--resume is not for flows"):
        run(config, Options(name="a", out=tmp_path, resume=True))


def test_members_are_of_their_targets():
    config = Config(targets=("narrow", "U2"), num_flows=(2,))
    experiment = build(config, planar_density.SPEC)
    params, _ = experiment.init(jax.random.key(0), None)
    keys, batch = jax.random.split(jax.random.key(1), 3), Batch(NOTHING, None, None)
    for i, name in enumerate(config.targets):
        hparams = {key: jnp.float32(value) for key, value in {**experiment.hparams, "target": i}.items()}
        alone = build(replace(config, targets=(name,)), planar_density.SPEC)
        found = experiment.evaluate(params, {}, keys, batch, hparams)["kl"]
        expected = alone.evaluate(params, {}, keys, batch, {**hparams, "target": jnp.float32(0)})["kl"]
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_maximum_likelihood_of_a_gaussian_finds_it(tmp_path, monkeypatch):
    # A learned base alone can be the target: KL 0 is reached but for the noise of the draws, which is about 2.5 / N.
    monkeypatch.setattr(plane, "NUM_DRAWS", 2_000)
    monkeypatch.setattr(plane, "CHUNK", 1_000)
    monkeypatch.setattr(planar_density, "GRID", 20)
    monkeypatch.setattr(planar_density, "NUM_TRAIN", 20_000)
    monkeypatch.setitem(planar_density.TARGETS, "narrow", gaussian_mixture(0.5, offset=0.0))
    config = Config(
        targets=("mixture", "narrow"), num_flows=(1,), bases=("learned",), restarts=1, objective="likelihood", steps=300
    )
    summary = json.loads((run(config, Options(name="a", out=tmp_path)) / "summary.json").read_text())
    mixture, gaussian = summary["runs"]
    assert 0 < gaussian["best"] < 0.01
    assert mixture["best"] > 0.05


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_flows": (-1,)}, "--num-flows is .* expected distinct values of at least 0"),
        ({"num_flows": (2, 2)}, "distinct"),
        ({"targets": ()}, "--targets"),
        ({"restarts": 0}, "--restarts is 0"),
        ({"anneal": 1.5}, "--anneal is 1.5, expected 0 to 1"),
    ],
)
def test_impossible_values_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        Config(**changes)
