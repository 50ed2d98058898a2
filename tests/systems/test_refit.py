"""A mixture fitted to the latents of a trained VAE: which is taken, and that a run keeps it."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

import jaxvae as jv
from experiments import binary_vae
from jaxvae.priors import FullMixturePrior
from jaxvae.runs.finished import FINISHED
from jaxvae.systems import refit
from tests.runs.small import IMAGES, SIZES, SPEC, assert_same_parameters

CONFIG = replace(binary_vae.Config(), latent_dim=2, num_flows=1, mixture=8, steps=6)


def test_parameters_give_the_density_of_the_mixture_that_was_fitted():
    rng = np.random.default_rng(0)
    z = np.concatenate([rng.standard_normal((200, 2)) + shift for shift in ([5, 0], [-5, 1], [0, 6])])
    found = refit.fitted_mixture(z, 3)
    assert isinstance(found, GaussianMixture)
    prior = FullMixturePrior(2, 5)  # two of which are not there
    params = refit.mixture_params(found, 5)
    log_prob = prior.apply({"params": params}, z.astype(np.float32), method="log_prob")
    np.testing.assert_allclose(log_prob, found.score_samples(z), rtol=1e-3, atol=1e-3)
    drawn = prior.apply({"params": params}, jax.random.key(0), (500, 2), method="sample")
    assert found.score_samples(np.asarray(drawn)).min() > -20


def train(folder=None, **changes):
    return jv.train(binary_vae.build(CONFIG, SPEC), IMAGES, folder=folder, **SIZES | changes)


@pytest.mark.slow
@pytest.mark.parametrize("better", [True, False])
def test_the_prior_is_taken_under_which_validation_images_are_likelier(better, monkeypatch):
    monkeypatch.setattr(refit, "_log_prior", lambda vae, params, z: np.full(len(z), -1e6 if better else 1e6))
    trained = train()
    assert trained.system.parts.vae.prior.refitted == better
    splits, _ = jv.data.load(IMAGES)
    z = refit.draws(trained.system.parts, trained.params, splits.valid, 0)
    vae = trained.system.parts.vae
    log_prior = vae.apply({"params": trained.params}, z[None], method="log_prior")
    parts = {"fitted": vae.prior.fitted, "learned": vae.prior.learned}
    found = {
        name: np.asarray(part.apply({"params": trained.params["prior"][name]}, z, method="log_prob"))
        for name, part in parts.items()
    }
    mixed = np.logaddexp(np.log(0.95) + found["fitted"], np.log(0.05) + found["learned"])
    np.testing.assert_allclose(log_prior[0], mixed if better else found["learned"], rtol=1e-5)


@pytest.mark.slow
def test_a_run_keeps_what_was_refitted_until_it_learns_more(tmp_path, monkeypatch):
    monkeypatch.setattr(refit, "_log_prior", lambda vae, params, z: np.full(len(z), -1e6))
    trained = train(tmp_path / "a")
    found = jv.load(tmp_path / "a")
    assert found.system.parts.vae.prior.refitted
    assert found.folder == tmp_path / "a"
    assert_same_parameters(found, trained)
    np.testing.assert_array_equal(found.sample(5), trained.sample(5))
    scores = [m.score(IMAGES, num_samples=3).elbo for m in (found, trained)]
    np.testing.assert_allclose(*scores, rtol=1e-5)

    exported = jv.load(found.save(tmp_path / "b.safetensors"))
    np.testing.assert_array_equal(exported.sample(5), trained.sample(5))
    started = train(init_from=tmp_path / "b.safetensors", steps=3)  # the same tree of parameters
    assert started.params["prior"].keys() == trained.params["prior"].keys()

    (tmp_path / "a" / FINISHED).rename(tmp_path / "away.safetensors")
    with pytest.raises(jv.UserError, match=r"has lost its finished\.safetensors.*--resume"):
        jv.load(tmp_path / "a")
    resumed = train(tmp_path / "a", resume=True)
    np.testing.assert_array_equal(jv.load(tmp_path / "a").sample(5), resumed.sample(5))


def test_scikit_learn_is_missed_before_anything_is_trained(monkeypatch):
    monkeypatch.setattr(refit.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(jv.UserError, match="scikit-learn, which is not installed.*--mixture 0"):
        binary_vae.build(CONFIG, SPEC)
    binary_vae.build(replace(CONFIG, mixture=0), SPEC)


@pytest.mark.slow
def test_latents_that_no_mixture_can_be_fitted_to_keep_the_learned_prior(monkeypatch, capsys):
    def singular(z, num_components):
        raise ValueError("ill-defined empirical covariance")

    monkeypatch.setattr(refit, "fitted_mixture", singular)
    assert not train().system.parts.vae.prior.refitted
    assert "the learned prior stays" in capsys.readouterr().err
