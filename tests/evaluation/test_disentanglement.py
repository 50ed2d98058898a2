"""Scores of codes that are perfect, rotated or random, and of tables small enough to be worked out by hand."""

import numpy as np
import pytest

from jaxvae.errors import UserError
from jaxvae.evaluation.disentanglement import (
    dci,
    factor_vae_score,
    mutual_information_gaps,
    separated_attribute_gaps,
)

NUM = 2_000
ORDERED = (False, True, True)


@pytest.fixture(scope="module")
def factors():
    return np.random.default_rng(0).integers(0, (3, 5, 8), (NUM, 3))


@pytest.fixture(scope="module")
def codes(factors):
    """Of each kind, with as many latents that say nothing as factors."""
    rng = np.random.default_rng(1)
    perfect = np.concatenate([(factors - factors.mean(0)) / factors.std(0), rng.standard_normal((NUM, 3))], axis=1)
    rotation = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    return {
        "perfect": perfect[:, rng.permutation(6)] * np.array([1, -2, 3, 1, 5, -1]),  # order, sign and scale are free
        "rotated": perfect @ rotation,
        "random": rng.standard_normal((NUM, 6)),
        "collapsed": np.zeros((NUM, 6)),
    }


@pytest.mark.parametrize(("kind", "low", "high"), [("perfect", 0.97, 1), ("rotated", 0, 0.25), ("random", 0, 0.02)])
def test_mig_of_codes(kind, low, high, codes, factors):
    gaps = mutual_information_gaps(codes[kind], factors)
    assert gaps.shape == (3,)
    assert low <= gaps.mean() <= high


def test_mig_of_a_table_by_hand():
    """One latent tells both factors of four images each of 2 x 2, the other one tells the first."""
    factors = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    codes = np.array([[0.0, 0.0], [1.0, 0.1], [2.0, 5.0], [3.0, 5.1]])
    # I(z_1; v_1) = I(z_2; v_1) = log 2; I(z_1; v_2) = log 2, I(z_2; v_2) = 0 in two bins, in which z_2 is v_1.
    np.testing.assert_allclose(mutual_information_gaps(codes, factors, num_bins=4), [0.0, 1.0], atol=1e-12)
    # In two bins z_1 is v_1 too: nothing tells the second factor.
    np.testing.assert_allclose(mutual_information_gaps(codes, factors, num_bins=2), [0.0, 0.0], atol=1e-12)


@pytest.mark.parametrize(("kind", "low", "high"), [("perfect", 0.8, 1), ("rotated", 0, 0.4), ("random", 0, 0.05)])
def test_sap_of_codes(kind, low, high, codes, factors):
    gaps = separated_attribute_gaps(codes[kind], factors, ORDERED)
    assert low <= gaps.mean() <= high


def test_sap_is_explained_variance_of_ordered_factors():
    factors = np.array([[0], [1], [2], [3]])
    codes = np.array([[0.0, 1.0], [2.0, -1.0], [4.0, -1.0], [6.0, 1.0]])
    np.testing.assert_allclose(separated_attribute_gaps(codes, factors, (True,)), [1.0])
    noisy = np.stack([codes[:, 0], [0.0, 1.0, 0.0, 1.0]], axis=1)  # correlation with 0, 1, 2, 3: 2 / sqrt(20)
    np.testing.assert_allclose(separated_attribute_gaps(noisy, factors, (True,)), [0.8])


def test_dci_of_codes(codes, factors):
    found = {kind: dci(codes[kind], factors, ORDERED) for kind in ("perfect", "rotated", "random")}
    assert min(found["perfect"]) > 0.9
    assert found["rotated"].disentanglement < 0.5
    assert found["rotated"].completeness < 0.5
    assert max(found["random"].disentanglement, found["random"].completeness) < 0.1
    assert found["random"].informativeness < 0.2  # of three classes one third is right by chance
    twice = dci(np.concatenate([codes["perfect"], codes["perfect"] + 0.01], axis=1), factors, ORDERED)
    assert twice.disentanglement > 0.9  # each latent is of one factor
    assert twice.completeness < 0.8  # but each factor has two of them


def test_factor_vae_score_of_codes(factors):
    rng = np.random.default_rng(2)
    fixed = np.arange(600) % 3
    held = rng.integers(0, (3, 5, 8), (600, 40, 3)).astype(float)
    held[np.arange(600), :, fixed] = held[np.arange(600), :1, fixed]
    noise = rng.standard_normal((600, 40, 1))
    perfect = np.concatenate([noise, held], axis=2)
    variances = np.append(1.0, factors.var(axis=0))
    assert factor_vae_score(perfect, fixed, variances) == 1.0
    scales = np.array([1.0, 5.0, 0.3, 40.0])  # of latents: no matter
    assert factor_vae_score(perfect * scales, fixed, variances * scales**2) == 1.0
    assert factor_vae_score(rng.standard_normal((600, 40, 4)), fixed, np.ones(4)) == pytest.approx(1 / 3, abs=0.1)
    assert factor_vae_score(perfect, fixed, np.full(4, 0.04)) == 0.0  # all collapsed
    # A latent that hardly varies takes no part, though it varies least in every group.
    quiet = np.concatenate([0.01 * noise, held], axis=2)
    assert factor_vae_score(quiet, fixed, np.append(1e-4, factors.var(axis=0))) == 1.0


def test_what_says_nothing_scores_nothing(codes, factors):
    assert not mutual_information_gaps(codes["collapsed"], factors).any()
    assert not separated_attribute_gaps(codes["collapsed"], factors, ORDERED).any()
    assert dci(codes["collapsed"], factors, ORDERED).disentanglement == 0.0


@pytest.mark.parametrize(
    ("num_latents", "value", "message"),
    [
        (1, 0.5, "the model has one: take more of them"),
        (2, np.nan, "needs finite features, some are not"),
    ],
)
def test_codes_that_cannot_be_scored_are_refused(num_latents, value, message, factors):
    with pytest.raises(UserError, match=message):
        mutual_information_gaps(np.full((NUM, num_latents), value), factors)


def test_factors_that_do_not_vary_are_refused(codes, factors):
    with pytest.raises(UserError, match="Factor 1 has the same value in all images"):
        mutual_information_gaps(codes["random"], factors * np.array([1, 0, 1]))
