"""Several scores as one: tails by hand, their order, and that nothing is compared with what was fitted to it."""

import jax
import numpy as np
import pytest

from jaxvae import UserError
from jaxvae.applications.anomaly.combination import (
    combine,
    default_score,
    each_score,
    fit_score,
    parts_of,
    rarity,
    score_images,
)
from jaxvae.applications.anomaly.seen import Model, Seen
from jaxvae.types import Dataset
from tests.linear import linear_images, linear_system


@pytest.fixture(scope="module")
def seen():
    system, params = linear_system()
    return Seen(Model(system, params, {}), Dataset(linear_images(40), None), jax.random.key(0))


def test_rarity_is_the_tail_of_the_ranks_and_exponential_beyond():
    normal = np.arange(20.0)  # of which 18 is the 90 % quantile, with the mean excess 0.5
    found = rarity([-5.0, 0.0, 10.0, 18.0, 19.0, 20.0, np.inf, np.nan], normal)
    expected = -np.log([21 / 21, 21 / 21, 11 / 21, 3 / 21])
    np.testing.assert_allclose(found[:4], expected)
    np.testing.assert_allclose(found[4:6], expected[3] + np.array([1.0, 2.0]) / 0.5)
    assert found[6] == np.inf
    assert np.isnan(found[7])


@pytest.mark.parametrize("normal", [np.zeros(5), [1.0], [1.0, np.inf], [np.inf], np.random.default_rng(0).random(500)])
def test_rarity_rises_with_the_score(normal):
    scores = np.linspace(-3, 9, 101)
    found = rarity(scores, np.sort(normal))
    assert np.isfinite(found).all()
    assert (np.diff(found) >= 0).all()


def test_the_rarity_of_normal_images_is_one_nat_on_average():
    rng = np.random.default_rng(1)
    found = rarity(rng.gamma(2.0, size=20_000), np.sort(rng.gamma(2.0, size=20_000)))
    assert found.mean() == pytest.approx(1.0, abs=0.03)  # -log of a uniform number


def test_scores_are_combined_whatever_their_unit(seen):
    parts = ("neighbours", "kl")
    fitted = fit_score(parts, seen)
    each = each_score(parts, fitted, seen)
    np.testing.assert_array_equal(score_images(parts, fitted, seen), combine(each, fitted))
    scaled = {name: 1e3 * values + 7 for name, values in each.items()}
    ranks = {name: 1e3 * array + 7 if name.endswith("/ranks") else array for name, array in fitted.items()}
    np.testing.assert_allclose(combine(scaled, ranks), combine(each, fitted))
    assert list(fit_score(("kl",), seen)) == []  # of one there are no ranks


def test_normal_images_are_ranked_by_what_was_fitted_to_others(seen):
    ranks = fit_score(("neighbours", "kl"), seen)["neighbours/ranks"]
    of_themselves = score_images(("neighbours",), fit_score(("neighbours",), seen), seen)
    assert ranks.min() > of_themselves.min()
    assert ranks.mean() > 1.1 * of_themselves.mean()  # to whom one of the five nearest is at distance 0


def test_what_is_no_score_is_one_sentence(seen):
    system = seen.model.system
    assert default_score(system) == "corrected+worst_pixel+mahalanobis+neighbours"
    assert parts_of("kl+neighbours", system) == ("kl", "neighbours")
    assert parts_of("ratio", system, has_background=True) == ("ratio",)
    for name, message in (
        ("strange", "There is no score 'strange': expected one of negative_elbo, .* or several with"),
        ("codes", "linear has no score 'codes': expected one of"),
        ("kl+kl", "names a part twice"),
        ("ratio", "needs a background model"),
        ("", "There is no score ''"),
    ):
        with pytest.raises(UserError, match=message):
            parts_of(name, system)
    with pytest.raises(UserError, match="linear has no score of how strange images are"):
        default_score(system._replace(use=()))
