"""The files to copy are what they say: each has the properties that the tests ask of its kind."""

import importlib
import shutil
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxvae as jv
from jaxvae.flows import CouplingFlow
from jaxvae.types import Dataset, DataSpec, Splits

SPEC = DataSpec((4, 4, 1), 256, 0)


@pytest.fixture
def skeleton(tmp_path, monkeypatch, request):
    """(name) -> the module of a skeleton, copied and imported as somebody's own."""
    monkeypatch.syspath_prepend(tmp_path)

    def copied(name):
        source = request.config.rootpath / "docs" / "skeletons" / f"{name}.py"
        shutil.copy(source, tmp_path / f"my_{name}.py")
        monkeypatch.delitem(sys.modules, f"my_{name}", raising=False)
        return importlib.import_module(f"my_{name}")

    yield copied
    for name in [name for name in sys.modules if name.startswith("my_")]:
        del sys.modules[name]


def images(num=24, spec=SPEC):
    return np.random.default_rng(0).integers(0, spec.num_values, (num, *spec.shape), np.uint8)


def test_every_skeleton_is_shown(request):
    root = request.config.rootpath / "docs"
    shown = (root / "contribute.md").read_text() + (root.parent / "CONTRIBUTING.md").read_text()
    names = [path.name for path in (root / "skeletons").glob("*.py")]
    assert len(names) == 6
    assert all(shown.count(f"docs/skeletons/{name}") == 2 for name in names)


def test_likelihood(skeleton):
    likelihood = skeleton("likelihood").laplace(0.5)
    grid = np.linspace(-12.0, 12.0, 4001, dtype=np.float32)
    log_p = jax.vmap(likelihood.log_prob, in_axes=(None, 0))(jnp.full((1, 1, 1), 0.3), grid[:, None, None, None])
    density = np.exp(log_p)
    np.testing.assert_allclose(np.trapezoid(density, grid), 1.0, rtol=1e-3)
    drawn = likelihood.sample(jax.random.key(0), jnp.full((4000,), 0.3))
    assert abs(float(drawn.mean()) - 0.3) < 0.05
    assert likelihood.recipe.arguments == (("scale", 0.5),)
    with pytest.raises(ValueError, match="scale > 0, got -1"):
        skeleton("likelihood").laplace(-1.0)


def test_flow(skeleton):
    flow = skeleton("flow").ScalingFlow(latent_dim=3, num_flows=2)
    z = np.random.default_rng(0).standard_normal((2, 5, 3), np.float32)
    params = jax.tree.map(
        lambda leaf: np.random.default_rng(1).standard_normal(leaf.shape, np.float32), flow.init(jax.random.key(0), z)
    )
    y, log_det = flow.apply(params, z)
    jacobian = jax.jacfwd(lambda one: flow.apply(params, one[None, None])[0][0, 0])(z[0, 0])
    np.testing.assert_allclose(log_det[0, 0], np.linalg.slogdet(jacobian)[1], rtol=1e-4)
    back, log_det_there = flow.apply(params, y, method="inverse")
    np.testing.assert_allclose(back, z, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(log_det_there, log_det, rtol=1e-5)


def test_quantizer(skeleton):
    quantizer = skeleton("quantizer").SignQuantizer(3)
    z = np.random.default_rng(0).standard_normal((2, 4, 4, 3), np.float32)
    output = quantizer.apply({}, z, None, train=True)
    np.testing.assert_array_equal(output.z_q, np.sign(z))
    np.testing.assert_array_equal(quantizer.apply({}, output.codes, method="lookup"), output.z_q)
    assert len(np.unique(output.codes)) == quantizer.num_codes == 8
    gradient = jax.grad(lambda z: quantizer.apply({}, z, None, train=True).z_q.sum())(z)
    np.testing.assert_array_equal(gradient, np.ones_like(z))


@pytest.mark.slow
def test_system_and_application(skeleton, tmp_path):
    module = skeleton("system")
    system = module.pixel_flow_system(
        name="my_flow", spec=SPEC, flow=CouplingFlow(16, 2, hidden=(8,)), optimizer=optax.adam(1e-3)
    )
    x = images()
    splits = Splits(*(Dataset(part, None) for part in (x[:16], x[16:20], x[20:])))
    trained = jv.train(system, splits, steps=2, batch_size=8, folder=tmp_path / "run", progress=False)
    assert trained.sample(3).shape == (3, 4, 4, 1)
    metrics = jv.reports.report(trained, splits)["metrics"]
    assert metrics.keys() == {"nll", "nll_stderr"}  # a density has no bits
    assert (tmp_path / "run" / "figures" / "samples.png").exists()
    scores = trained.log_likelihood(x)
    assert np.all(np.isfinite(scores))

    place = trained.save(tmp_path / "saved")
    np.testing.assert_array_equal(jv.load(place, imports=["my_system"]).log_likelihood(x), scores)

    rows = skeleton("application").least_likely(trained.system, trained.params, {}, Dataset(x, None), 5)
    assert len(rows) == 5
    assert len(set(rows)) == 5


@pytest.mark.slow
def test_experiment(skeleton):
    module = skeleton("experiment")
    config = module.Config().quick()
    x = images(24, SPEC)
    trained = jv.train(module.build(config, SPEC), x, steps=2, batch_size=8, progress=False)
    assert trained.sample(2).shape == (2, 4, 4, 1)
    assert set(module.SWEEP) <= set(vars(config))


@pytest.mark.slow
def test_experiment_runs_as_a_command(skeleton, tmp_path):
    skeleton("experiment")
    run = subprocess.run(
        [sys.executable, "-m", "my_experiment", "--quick", "--sweep", "none", "--name", "one"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "runs" / "my_experiment" / "one" / "summary.json").exists()
