"""The energy score against loops, and as a proper score of samples whose distribution is known."""

import numpy as np
import pytest

from jaxvae.evaluation.energy import energy_score

RNG = np.random.default_rng(0)


def test_energy_score_by_loops():
    x, y = RNG.normal(size=(3, 2, 2, 1)), RNG.normal(size=(5, 2, 2, 1))
    near = [np.mean([np.linalg.norm(one - other) for other in y]) for one in x]
    among = np.mean([np.linalg.norm(y[s] - y[t]) for s in range(5) for t in range(5) if s != t])
    np.testing.assert_allclose(
        energy_score(x.astype(np.float32), y.astype(np.float32)), np.array(near) - among / 2, rtol=1e-5
    )


def test_energy_score_is_best_for_the_distribution_of_the_data():
    draw = lambda num, scale=1.0, shift=0.0: (shift + scale * RNG.normal(size=(num, 4))).astype(np.float32)  # noqa: E731
    data = draw(600)
    scores = {
        name: float(np.mean(energy_score(data, samples)))
        for name, samples in {
            "true": draw(600),
            "narrow": draw(600, scale=0.5),
            "wide": draw(600, scale=1.5),
            "moved": draw(600, shift=0.5),
            "one point": np.zeros((2, 4), np.float32),
        }.items()
    }
    assert min(scores, key=scores.get) == "true"
    assert scores["one point"] > scores["narrow"] > scores["true"] + 0.01


def test_an_energy_score_takes_two_samples_of_the_shape_of_the_data():
    with pytest.raises(ValueError, match="takes two samples or more, got 1"):
        energy_score(np.zeros((3, 4), np.float32), np.zeros((1, 4), np.float32))
    with pytest.raises(ValueError, match=r"samples of an energy score has shape \[2, 5\], expected \[any, 4\]"):
        energy_score(np.zeros((3, 4), np.float32), np.zeros((2, 5), np.float32))
