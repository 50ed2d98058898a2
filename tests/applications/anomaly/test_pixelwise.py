"""Scores of pixels of every kind of model sum to what its images score."""

import jax
import numpy as np
import pytest
from jax.scipy.special import logsumexp

import jaxvae as jv
from jaxvae.applications.anomaly.combination import default_score, fit_score, parts_of, score_images
from jaxvae.applications.anomaly.maps import contributions
from jaxvae.applications.anomaly.seen import Model, Seen
from jaxvae.applications.likelihood import log_likelihood
from jaxvae.capabilities import Codes, Scores, ScoresExactly, find
from jaxvae.systems.first_stage import abstract_variables
from jaxvae.systems.two_stages import HasStages, code_rows
from jaxvae.types import Batch, Dataset
from tests.commands.kinds import KINDS, drawn, save

pytestmark = pytest.mark.slow
KEY = jax.random.key(2)
ABLE = [name for name, (_, verbs) in KINDS.items() if "anomaly" in verbs and name != "code_prior"]


def see(name, num=9):
    system = KINDS[name][0]()
    params, state = (drawn(tree) for tree in abstract_variables(system))
    x = np.random.default_rng(0).integers(0, 256, (num, *system.spec.shape)).astype(np.uint8)
    return Seen(Model(system, params, jax.tree.map(np.abs, state)), Dataset(x, None), KEY, num_samples=3)


@pytest.mark.parametrize("name", [name for name in ABLE if name != "vae_gan"])  # which reconstructs features
def test_pixels_sum_to_the_image(name):
    seen = see(name)
    system, found = seen.model.system, contributions(seen, "nll").sum(axis=(1, 2))
    assert contributions(seen, "nll").shape == (9, 8, 8)
    if find(system, Scores):
        expected = seen.bound.reconstruction
    elif exact := find(system, ScoresExactly):
        given = [np.full(9, k, np.int32) for k in range(exact.num_classes)] or [None]
        each = [log_likelihood(*seen.model, Dataset(seen.dataset.x, labels), key=KEY) for labels in given]
        expected = np.log(len(given)) - logsumexp(np.stack(each), axis=0)
    elif codes := find(system, Codes):
        expected = -codes.log_px(seen.model.params, seen.model.model_state, seen.pixels.reshape(9, 8, 8, 1))
    else:
        expected = system.parts.evaluate(*seen.model[1:], jax.random.split(KEY, 9), _batch(seen), {})["reconstruction"]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("name", ABLE)
def test_every_kind_has_a_default_score_that_does_not_depend_on_the_number_of_images(name):
    seen = see(name)
    parts = parts_of(default_score(seen.model.system), seen.model.system)
    fitted = fit_score(parts, seen)
    found = score_images(parts, fitted, seen)
    assert np.isfinite(found).all()
    few = Seen(seen.model, Dataset(seen.dataset.x[:3], None), KEY, num_samples=3)
    np.testing.assert_allclose(score_images(parts, fitted, few), found[:3], rtol=1e-3, atol=1e-3)


def test_codes_are_scored_by_their_prior(tmp_path):

    trained = jv.load(save("code_prior", tmp_path / "model"))
    x = np.random.default_rng(0).integers(0, 256, (4, *trained.spec.shape)).astype(np.uint8)
    seen = Seen(Model(trained.system, trained.params, trained.model_state), Dataset(x, None), KEY)
    stages, codes = find(trained.system, HasStages), find(trained.system, Codes)
    unit = seen.pixels.reshape(x.shape)
    rows = code_rows(codes.encode(trained.params, trained.model_state, unit))
    expected = -find(stages.prior, ScoresExactly).log_prob(trained.params, trained.model_state, rows, None)
    np.testing.assert_allclose(seen.codes_nll, expected, rtol=1e-5)
    np.testing.assert_allclose(seen.penalty, codes.penalty(trained.params, trained.model_state, unit), rtol=1e-5)


def _batch(seen):
    return Batch(seen.dataset.x, None, np.ones(9))
