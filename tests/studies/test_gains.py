"""Means and paired gains, by hand."""

import numpy as np
import pytest

from jaxvae.studies.gains import best_run, main_metric, summarize
from jaxvae.studies.table import half_interval, table


def row(name, seed, nll, kl):
    return {"posterior": name, "seed": seed, "metrics": {"nll": nll, "elbo": -nll - 1.0, "kl": kl, "other": "x"}}


ROWS = [
    row("gaussian", 0, 10.0, 4.0),
    row("gaussian", 1, 12.0, 5.0),
    row("planar", 0, 9.0, 3.0),
    row("planar", 1, 9.0, 4.5),
    row("radial", 0, 11.0, 4.0),  # its other seed diverged
]


def test_gains_are_paired_seed_by_seed():
    gaussian, planar, radial = summarize(
        ROWS, {"posterior": ("gaussian", "planar", "radial"), "seed": (0, 1)}, ["seed"]
    )
    assert "gain" not in gaussian
    assert (gaussian["posterior"], gaussian["runs"], gaussian["nll"], gaussian["kl"]) == ("gaussian", 2, 11.0, 4.5)
    np.testing.assert_allclose(gaussian["sd"], 2**0.5, atol=1e-4)
    # Differences 1 and 3: mean 2, standard deviation sqrt(2), and 12.706 standard errors of 1.
    assert (planar["nll"], planar["gain"], planar["kl_saved"]) == (9.0, 2.0, 0.75)
    np.testing.assert_allclose(planar["gain_within"], 12.7062, atol=1e-3)
    np.testing.assert_allclose(planar["kl_saved_within"], 12.7062 * 0.25, atol=1e-3)
    assert (radial["runs"], radial["gain"]) == (1, -1.0)
    assert "gain_within" not in radial
    assert "sd" not in radial


def test_gains_of_two_fields_are_over_the_first_value_of_the_first_and_the_same_of_the_second():
    rows = [
        {"labels": labels, "method": method, "metrics": {"error": error}}
        for labels, method, error in ((10, "a", 8.0), (10, "b", 5.0), (100, "a", 4.0), (100, "b", 3.0))
    ]
    found = summarize(rows, {"method": ("a", "b"), "labels": (10, 100)}, [])
    assert [(row["method"], row["labels"], row.get("gain")) for row in found] == [
        ("a", 10, None),
        ("b", 10, 3.0),
        ("a", 100, None),
        ("b", 100, 1.0),
    ]


def test_gains_of_fields_that_are_varied_one_at_a_time_are_over_the_first_values_of_all():
    rows = [
        {"shift": shift, "noise": noise, "seconds": 2.0 + shift, "metrics": {"nll": nll}}
        for shift, noise, nll in ((1, 0.1, 8.0), (0, 0.1, 9.0), (1, 0.0, 8.5))
    ]
    found = summarize(rows, {"shift": (1, 0), "noise": (0.1, 0.0)}, [], apart=True)
    assert [(row["shift"], row["noise"], row.get("gain"), row["seconds"]) for row in found] == [
        (1, 0.1, None, 3.0),
        (0, 0.1, -1.0, 2.0),
        (1, 0.0, -0.5, 3.0),
    ]


def test_a_gain_is_positive_where_a_variant_is_better_whichever_side_is():
    rows = [{"net": name, "metrics": {"psnr": value, "mse": 1.0}} for name, value in (("mlp", 20.0), ("conv", 23.0))]
    assert main_metric([one["metrics"] for one in rows]) == "psnr"
    assert summarize(rows, {"net": ("mlp", "conv")}, [])[1]["gain"] == 3.0


def test_half_interval_is_students():
    values = np.array([1.0, 2.0, 4.0])
    np.testing.assert_allclose(half_interval(values), 4.302653 * values.std(ddof=1) / 3**0.5, rtol=1e-6)


@pytest.mark.parametrize(
    ("one", "other", "criterion"),
    [
        ({"loss": 1.0, "elbo": -7.0}, {"loss": 2.0, "elbo": -6.0}, "elbo"),  # higher is better
        ({"loss": 1.0, "reconstruction": 4.0}, {"loss": 2.0, "reconstruction": 3.0}, "reconstruction"),
        (
            {"loss": 1.0, "cross_entropy": 2.0, "kl": 0.0},
            {"loss": 2.0, "cross_entropy": 1.0, "kl": 9.0},
            "cross_entropy",
        ),
        ({"loss": 2.0, "kl": 0.0}, {"loss": 1.0, "kl": 5.0}, "loss"),
    ],
)
def test_the_best_run_is_that_of_the_common_measure(one, other, criterion):
    rows = [{"seed": 0, "valid": one}, {"seed": 1, "valid": other}]
    assert best_run(rows, {"seed": (0, 1)}) == (rows[1], criterion)


@pytest.mark.parametrize(
    ("other", "field"),
    [({"loss": 1.0, "elbo": -3.0}, "likelihood"), ({"loss": 1.0, "nll": 3.0}, "model"), ({}, "seed")],
)
def test_runs_without_a_common_measure_have_no_best_one(other, field):
    rows = [{"valid": {"loss": 1.0, "elbo": -2.0}}, {"valid": other}]
    assert best_run(rows, {field: (0, 1)}) is None


def test_table_has_a_column_for_every_number_and_short_word():
    text = table([{"name": "a", "nll": 1.23456789, "long": "x" * 40, "list": [1]}, {"name": "bc", "gain": 2}])
    assert text == "name     nll  gain\n   a  1.2346      \n  bc             2"
