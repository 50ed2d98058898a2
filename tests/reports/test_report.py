"""Reports rest on what systems state that they can do, not on an experiment's fields: those of `jaxvae.train` too."""

import json
from pathlib import Path

import jax
import numpy as np
import optax
import pytest
from matplotlib.figure import Figure

import jaxvae as jv
from jaxvae.likelihoods import categorical
from jaxvae.nets import AutoregressiveDecoder, PixelCNN
from jaxvae.reports.report import Evaluation, is_done, report
from jaxvae.reports.summary import read_summary
from jaxvae.reports.vae import cures
from jaxvae.systems.code_prior import code_prior_system, code_spec, grid_shapes
from jaxvae.systems.flow_density import density_splits, flow_density_system
from jaxvae.types import Dataset, Splits
from tests.squares import SPEC, squares

BITS = 1.0 / (144 * np.log(2.0))


@pytest.fixture(autouse=True)
def empty_figures(monkeypatch):
    monkeypatch.setattr(Figure, "savefig", lambda self, path, **options: Path(path).touch())


def trained(system, splits, folder, **options):
    return jv.train(system, splits, steps=1, batch_size=8, folder=folder, progress=False, **options)


@pytest.mark.slow
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian", "logistic_mixture"])
def test_a_vae_of_ones_own_is_reported_by_its_likelihood(likelihood, tmp_path, capsys):
    splits = squares()
    system = jv.systems.vae(SPEC, latent_dim=2, net="mlp", likelihood=likelihood)
    metrics = report(trained(system, splits, tmp_path), splits)["metrics"]
    assert "On 10 test images:" in capsys.readouterr().out
    # Beside a density the floor of discrete pixels means nothing.
    assert ("nll_of_independent_pixels" in metrics) == (likelihood != "gaussian")
    if likelihood == "logistic_mixture":  # 128 of 144 pixels are 0 and 16 are 230 in every image, of 256 values
        total = 40 * 144 + 256
        expected = -(128 * np.log((40 * 128 + 1) / total) + 16 * np.log((40 * 16 + 1) / total))
        np.testing.assert_allclose(metrics["nll_of_independent_pixels"], expected, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("likelihood", ["gaussian", "logistic_mixture"])
def test_bits_are_of_discrete_likelihoods_alone(likelihood, tmp_path):
    splits = squares()
    system = jv.systems.vqvae(SPEC, num_codes=4, code_dim=2, channels=(2, 2), likelihood=likelihood)
    metrics = report(trained(system, splits, tmp_path), splits)["metrics"]
    assert ("reconstruction_bits_per_dim" in metrics) == (likelihood != "gaussian")
    if "reconstruction_bits_per_dim" in metrics:
        np.testing.assert_allclose(metrics["reconstruction_bits_per_dim"], metrics["reconstruction"] * BITS)
    evaluated = metrics["reconstruction"]  # from log p(x | codes), which `evaluate` gives too
    model = jv.load(tmp_path)
    values = jv.training.make_evaluator(model.system, 10)(model.params, model.model_state, splits.test)
    np.testing.assert_allclose(evaluated, np.mean(values["reconstruction"]), rtol=1e-5)


@pytest.mark.slow
def test_a_prior_over_codes_is_reported_by_its_exact_likelihood(tmp_path):
    codec = jv.systems.vqvae(SPEC, num_codes=4, code_dim=2, channels=(2, 2), likelihood="bernoulli").parts
    ((height, width),) = grid_shapes(codec)
    decoder = AutoregressiveDecoder(
        PixelCNN(2, 2, 1), categorical(4).param_shapes((height, width)), num_codes=4, embed_features=2, latent_axes=0
    )
    batch = jv.Batch(squares().train.x[:8], None, np.ones(8, np.float32))
    system = code_prior_system(
        name="prior",
        spec=code_spec(codec),
        decoders=[decoder],
        shapes=grid_shapes(codec),
        codec=codec,
        codec_variables=jax.jit(codec.init)(jax.random.key(0), batch),
        optimizer=optax.adam(1e-2),
    )
    rows = np.random.default_rng(0).integers(0, 4, (30, height * width), np.int32)
    splits = Splits(*(Dataset(part, None) for part in (rows[:20], rows[20:25], rows[25:])))
    prior = trained(system, splits, tmp_path)
    metrics = report(prior, splits)["metrics"]
    assert metrics.keys() == {"nll", "nll_stderr"}  # nats of codes are no bits per pixel


@pytest.mark.slow
def test_a_run_that_was_loaded_is_reported_as_it_was_trained(tmp_path):
    splits = squares()
    first = report(trained(jv.systems.vae(SPEC, latent_dim=2, net="mlp"), splits, tmp_path), splits)
    again = report(jv.load(tmp_path), splits)
    assert (again["steps"], again["seconds"]) == (first["steps"], first["seconds"])
    assert again["metrics"]["nll"] == pytest.approx(first["metrics"]["nll"], rel=1e-5)


@pytest.mark.slow
def test_a_model_without_a_folder_has_no_report():
    model = jv.train(jv.systems.vae(SPEC, latent_dim=2, net="mlp"), squares(), steps=1, batch_size=8, progress=False)
    with pytest.raises(jv.UserError, match="train it with folder="):
        report(model, squares())


@pytest.mark.slow
def test_a_collapsed_posterior_is_told_with_the_flags_of_its_run(tmp_path):
    splits = squares()
    system = jv.systems.vae(SPEC, latent_dim=2, net="mlp")
    model = trained(system, splits, tmp_path)
    flat = {**model.params, "posterior": jax.tree.map(np.zeros_like, model.params["posterior"])}
    collapsed = jv.Trained(system, flat, {}, model.record, tmp_path)
    warning = "The KL is 0.00 nats and none of the 2 latent units is active, so z carries almost no information"
    assert report(collapsed, splits)["metrics"]["warning"] == f"{warning} (posterior collapse)."
    told = {**model.record, "config": {"warmup_steps": 0, "free_bits": 0.0, "beta": 1.0}}
    assert cures(jv.Trained(system, flat, {}, told)) == ["Try --warmup-steps, --free-bits or a smaller --beta."]
    assert cures(jv.Trained(system, flat, {}, {"config": {"learning_rate": 1.0}})) == ["Try a lower --learning-rate."]


@pytest.mark.slow
def test_a_flow_in_the_plane_is_introduced_by_its_target(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("jaxvae.reports.flow_density.draw_flow", lambda trained, kl: None)
    settings = {"objective": "reverse_kl", "gradient": "path", "max_flows": 2, "anneal_steps": 0.0}
    system = flow_density_system(
        name="flow", target="U1", num_flows=2, base="fixed", optimizer=optax.adam(1e-2), **settings
    )
    splits = density_splits("reverse_kl", 0, 8)
    flow = system.parts.init(jax.random.key(0), None, system.trainable.hparams)
    model = jv.Trained(system, *flow, {"config": {}, "experiment": "flow"}, tmp_path, {"steps": 5, "seconds": 1.0})
    (tmp_path / "config.json").write_text(json.dumps(model.record))
    monkeypatch.setattr(system.parts.__class__, "divergence", lambda *arguments: (0.5, 0.01))
    report(model, splits)
    out = capsys.readouterr().out
    assert "flow: a planar flow of 2 layers fitted to the density U1, 5 steps, 1 s.\nAgainst that density:" in out


@pytest.mark.slow
def test_figures_that_could_not_be_drawn_are_drawn_when_the_run_is_resumed(tmp_path, capsys, monkeypatch):
    splits, system = squares(), jv.systems.vae(SPEC, latent_dim=2, net="mlp")
    model, figures = trained(system, splits, tmp_path), tmp_path / "figures"

    def full(*_, **options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Figure, "savefig", full)
        numbers = report(model, splits)["metrics"]
    assert "warning: not all figures are drawn" in capsys.readouterr().out
    assert not list(figures.iterdir())
    again = trained(system, splits, tmp_path, resume=True)
    assert report(again, splits)["metrics"] == numbers
    drawn = sorted(path.name for path in figures.iterdir())
    assert read_summary(tmp_path)["figures"] == drawn
    assert len(drawn) > 2

    all_was_done = Evaluation(lambda *_: pytest.fail("evaluated again"))
    assert report(again, splits, evaluation=all_was_done)["figures"] == drawn


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["no JSON", "[1]", '{"steps": 1, "figures": 3}', '{"steps": 1, "figures": ["a"]}'])
def test_a_damaged_summary_is_made_again(damage, tmp_path):
    splits, system = squares(), jv.systems.vae(SPEC, latent_dim=2, net="mlp")
    model = trained(system, splits, tmp_path)
    (tmp_path / "summary.json").write_text(damage)
    assert not is_done(model, read_summary(tmp_path))
