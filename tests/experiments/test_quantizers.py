"""Quantizers side by side."""

import json
from dataclasses import replace

import pytest

from experiments.run import Options, load
from jaxvae.errors import UserError
from tests.experiments.conftest import module_and_config

pytestmark = pytest.mark.usefixtures("images")


@pytest.mark.slow
def test_comparison_leaves_a_table_and_takes_more_quantizers_later(tmp_path):
    module, config = module_and_config("quantizers", likelihood="bernoulli", quantizers=("fsq",))
    module.run(config, Options(name="a", out=tmp_path))
    config = replace(config, quantizers=("plain",))
    folder = module.run(config, Options(name="a", out=tmp_path, resume=True))
    summary = json.loads((folder / "summary.json").read_text())
    rows = {row["quantizer"]: row for row in summary["quantizers"]}
    assert list(rows) == ["fsq", "plain"]
    assert summary["best"] == min(rows, key=lambda name: rows[name]["valid_reconstruction"])
    for name, row in rows.items():
        assert row["num_codes"] == 64
        assert 1 <= row["perplexity"] <= row["used_codes"] <= 64
        assert row["rate_bits_per_dim"] == pytest.approx(9 * 6 / 144, abs=1e-4)  # 3x3 codes of 6 bits
        assert row["mse"] > 0
        assert load(folder / name).config.quantizers == (name,)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quantizers": ("fsq", "fsq")}, "--quantizers is .*, expected different ones"),
        ({"num_codes": 65}, "--num-parts is 3, expected a root of --num-codes 65 that is an integer"),
        ({"quantizers": ("lfq",), "num_codes": 27}, "--num-codes is 27, expected a power of 2, which lfq needs"),
        ({"quantizers": ("grouped",), "code_dim": 13}, "--code-dim is 13, expected a multiple of 3"),
        ({"cosine": False}, "--cosine is False, expected True: `cosine` and `low_dim` of --quantizers are"),
        ({"through": "rotation"}, "--through is rotation, expected straight_through: `rotation` is one of"),
        ({"ema_decay": 0.9}, "--ema-decay is 0.9, expected 0: the codes follow the parameters as they are"),
        ({"levels": 2}, "--levels is 2, expected 1: quantizers are compared on one grid"),
    ],
)
def test_impossible_values_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        module_and_config("quantizers", **changes)
