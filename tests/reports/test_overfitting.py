"""Overfitting is said in words, with the step of the best."""

import pytest

from jaxvae.reports.overfitting import diagnose


def records(valid, train):
    parts = {"valid": valid, "train": train}
    return [
        {"step": 100 * (i + 1), "part": part, "loss": loss} for part, ls in parts.items() for i, loss in enumerate(ls)
    ]


def test_a_validation_loss_that_rises_while_the_training_loss_falls():
    text = diagnose(records([140.0, 130.0, 150.0, 189.0], [150.0, 120.0, 90.0, 70.0]), {"patience": 0, "net": "conv"})
    assert "best at step 200 (130) and is 189 at step 400" in text
    assert "--patience 3" in text
    assert "--hidden" not in text  # this run has no such flag


@pytest.mark.parametrize(
    ("valid", "train"),
    [
        ([140.0, 130.0, 129.0, 128.0], [150.0, 120.0, 90.0, 70.0]),  # still falling
        ([140.0, 130.0, 131.0, 131.0], [150.0, 120.0, 119.0, 118.0]),  # flat
        ([140.0, 130.0, 150.0, 189.0], [150.0, 120.0, 140.0, 170.0]),  # both rise: it diverges
        ([140.0], [150.0]),
    ],
)
def test_other_curves_are_not_overfitting(valid, train):
    assert diagnose(records(valid, train), {}) is None
