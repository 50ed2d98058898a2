"""Quantizers side by side."""

import json

import pytest

import jaxvae as jv
from jaxvae.errors import UserError
from tests.experiments.conftest import module_and_config, run_command

pytestmark = pytest.mark.usefixtures("images")


@pytest.mark.slow
def test_study_has_a_row_of_every_quantizer_and_runs_that_load(tmp_path):
    flags = ("--likelihood", "bernoulli", "--sweep", "quantizer=fsq,plain")
    folder = run_command("quantizers", *flags, out=tmp_path)
    summary = json.loads((folder / "summary.json").read_text())
    rows = {row["quantizer"]: row for row in summary["runs"]}
    assert list(rows) == ["fsq", "plain"]
    for name in rows:
        run = folder / f"quantizer={name}"
        metrics = json.loads((run / "summary.json").read_text())["metrics"]
        assert metrics["num_codes"] == 64
        assert 1 <= metrics["perplexity"] <= metrics["used_codes"] <= 64
        assert metrics["rate_bits_per_dim"] == pytest.approx(9 * 6 / 144)  # 3x3 codes of 6 bits
        assert metrics["mse"] > 0
        assert jv.load(run).config["quantizer"] == name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quantizer": "fsq", "num_codes": 65}, "--num-parts is 3, expected a root of --num-codes 65 that is an"),
        ({"quantizer": "residual", "num_parts": 0}, "--num-parts is 0, expected a root of --num-codes 64 that is an"),
        ({"quantizer": "lfq", "num_codes": 27}, "--num-codes is 27, expected a power of 2, which lfq needs"),
        ({"quantizer": "grouped", "code_dim": 13}, "--code-dim is 13, expected a multiple of 3"),
        ({"ema_decay": 0.9}, "--ema-decay is 0.9, expected 0: the codes follow the parameters as they are"),
        ({"final_temperature": 0.0}, "--final-temperature is 0.0, expected 0 to 1, not 0"),
        ({"channels": ()}, "--channels is .*, expected at least one, of at least 1"),
    ],
)
def test_impossible_values_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        module_and_config("quantizers", **changes)


@pytest.mark.parametrize("changes", [{"num_codes": 65}, {"num_codes": 65, "quantizer": "gumbel", "code_dim": 13}])
def test_settings_of_other_quantizers_are_of_no_concern(changes):
    module_and_config("quantizers", **changes)
