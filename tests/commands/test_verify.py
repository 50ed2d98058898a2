"""Numbers that hold are found to, and tampered ones, other data and what has no numbers are found out."""

import json
from dataclasses import replace

import numpy as np
import pytest

import jaxvae as jv
from jaxvae.__main__ import main
from jaxvae.errors import UserError
from jaxvae.reports.verification import Checked, other_data, tolerance
from tests.runs.small import squares

SIZES = ["--steps", "2", "--batch-size", "8", "--nll-samples", "3"]
MODELS = {"vae": ["--net", "mlp", "--latent-dim", "2"], "vqvae": ["--num-codes", "4"], "autoregressive": []}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of every ready build on squares in a file, each with its numbers."""
    place = tmp_path_factory.mktemp("verify")
    np.savez(place / "squares.npz", x=squares(40, 8))
    np.savez(place / "others.npz", x=squares(40, 8, seed=1))
    np.savez(place / "large.npz", x=squares(40, 12))
    for name, flags in MODELS.items():
        words = ["--model", name, *SIZES, *flags, "--data", f"npz:{place / 'squares.npz'}", "--out", f"{place / name}"]
        main(["train", *words])
    return place


def failed(*words):
    """The sentence of a command that does not succeed."""
    with pytest.raises(SystemExit) as error:
        main(words)
    return error.value.code


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_numbers_of_a_run_and_of_what_was_exported_hold(name, runs, tmp_path, capsys):
    main(["verify", str(runs / name)])
    text = capsys.readouterr().out
    assert "those of the training" in text
    metrics = json.loads((runs / name / "summary.json").read_text())["metrics"]
    numbers = [key for key, value in metrics.items() if type(value) in (int, float)]
    assert f"All {len(numbers)} numbers hold." in text
    assert text.count("  holds") == len(numbers)
    main(["export", str(runs / name), "--out", str(tmp_path / name), "--half"])
    main(["verify", str(tmp_path / name)])
    assert f"All {len(numbers)} numbers hold." in capsys.readouterr().out


@pytest.mark.slow
def test_a_tampered_number_and_other_data_are_found(runs, tmp_path, capsys):
    main(["export", str(runs / "vae"), "--out", str(tmp_path / "vae")])
    path = tmp_path / "vae" / "config.json"
    before = path.read_text()
    record = json.loads(before)
    record["summary"]["metrics"]["nll"] -= 0.5
    path.write_text(json.dumps(record))
    sentence = failed("verify", str(tmp_path / "vae"))
    assert sentence.endswith("vae do not hold: negative log-likelihood (NLL).")
    assert capsys.readouterr().out.count("DOES NOT HOLD") == 1
    path.write_text(before)
    sentence = failed("verify", str(tmp_path / "vae"), "--data", f"npz:{runs / 'others.npz'}")
    assert sentence.startswith("error: The data are others than those of the training: hash ")
    assert "images, " not in sentence  # as many
    assert "data: npz:" in capsys.readouterr().out.splitlines()[0]  # before the numbers
    sentence = failed("verify", str(tmp_path / "vae"), "--data", f"npz:{runs / 'large.npz'}")
    assert "is of examples [8, 8, 1] of 2 values, the data are [12, 12, 1] of 2" in sentence
    record = json.loads(before)
    del record["summary"]
    path.write_text(json.dumps(record))
    assert "vae has no numbers that could be verified" in failed("verify", str(tmp_path / "vae"))
    del record["config"]["data"]
    path.write_text(json.dumps(record))
    assert "does not say which data it was trained on: give --data SOURCE" in failed("verify", str(tmp_path / "vae"))
    record["config"]["data"] = "npz:gone.npz"
    path.write_text(json.dumps(record))
    assert "Or give --data SOURCE, where the data are now" in failed("verify", str(tmp_path / "vae"))


def test_tolerances_by_hand():
    assert tolerance("nll", -80.0, 500) == pytest.approx(0.08)
    assert tolerance("active_units", 32, 500) == 1
    assert tolerance("used_codes_1", 500, 500) == 5
    assert tolerance("nll_k", 500, 500) == 0
    assert tolerance("error", 0.02, 500) == pytest.approx(2 / 500)
    assert tolerance("foreground_of_samples", 0.2, 500) == pytest.approx(0.03)
    assert tolerance("recognised_samples_stderr", 0.02, 500) == pytest.approx(0.003)
    assert Checked("nll", 80.0, 80.04, 0.05).holds
    assert not Checked("nll", 80.0, 79.94, 0.05).holds
    assert not Checked("nll", 80.0, float("nan"), 0.05).holds


def test_how_data_differ_is_said():
    splits, spec = jv.data.load(squares(40, 8))
    digest = jv.data.digest.splits_digest(splits)
    system = jv.systems.vae(spec, latent_dim=2, net="mlp")
    trained = jv.Trained(system, {}, {}, {"num_train": 32, "data": digest})
    assert other_data(trained, splits, spec) == []
    assert other_data(replace(trained, record={"num_train": 31, "data": "0"}), splits, spec) == [
        "32 training images, 31 were trained on",
        f"hash {digest}, that of the training is 0",
    ]
    assert (
        other_data(
            replace(trained, record={"num_train": 32, "stage": {"data": digest}, "data": "of codes"}), splits, spec
        )
        == []
    )
    with pytest.raises(UserError, match="is of examples"):
        other_data(trained, splits, spec._replace(num_values=256))
