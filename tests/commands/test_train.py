"""Ready models trained from the command line, for whoever has only the wheel."""

import json

import numpy as np
import pytest

import jaxvae as jv
from jaxvae.__main__ import main
from jaxvae.runs.state import state_of
from tests.runs.small import squares

pytestmark = pytest.mark.slow
SMALL = {
    "vae": ["--latent-dim", "3", "--net", "mlp", "--nll-samples", "3"],
    "vqvae": ["--num-codes", "8"],
    "autoregressive": [],
}


@pytest.fixture
def source(tmp_path):
    np.savez(tmp_path / "squares.npz", images=squares())
    return f"npz:{tmp_path / 'squares.npz'}"


def train(source, model, out, *flags):
    words = ["train", "--data", source, "--model", model, "--steps", "4", "--batch-size", "8", *SMALL[model], *flags]
    main([*words, "--out", str(out)])


@pytest.mark.parametrize("model", SMALL)
def test_a_ready_model_is_trained_evaluated_and_found_again(model, source, tmp_path, capsys):
    run = tmp_path / "runs" / model
    train(source, model, run)
    text = capsys.readouterr().out
    assert "Use it:   python -m jaxvae " in text.replace(text.partition("Use it:   ")[2].partition(" -m")[0], "python")
    assert state_of(run).kind == "finished"
    trained = jv.load(run)
    assert trained.config["data"] == source
    assert trained.config["model"] == model
    assert json.loads((run / "summary.json").read_text())["steps"] == 4
    assert (run / "figures" / "curves.png").exists()
    main(["list", str(tmp_path / "runs")])
    assert f"{model}  " in capsys.readouterr().out
    with pytest.raises(SystemExit, match="exists already: continue it with resume=True or --resume"):
        train(source, model, run)
    train(source, model, run, "--resume", "--steps", "6")
    assert state_of(run).steps == 6


def test_the_card_has_the_command_that_trains_it_again(source, tmp_path):
    train(source, "vae", tmp_path / "a")
    main(["export", str(tmp_path / "a"), "--out", str(tmp_path / "given")])
    card = (tmp_path / "given" / "card.md").read_text()
    (line,) = [line for line in card.splitlines() if line.startswith("| command |")]
    words = line.partition("python -m jaxvae ")[2].rstrip("` |").split()
    assert words[:3] == ["train", "--latent-dim", "3"]
    main([*words[:-1], str(tmp_path / "b")])
    a, b = (jv.load(tmp_path / name) for name in ("a", "b"))
    np.testing.assert_array_equal(a.sample(3), b.sample(3))
    assert "negative log-likelihood (NLL) (`nll`)" in card


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--model", "vqvae", "--latent-dim", "3"], "--latent-dim is of --model vae, this is --model vqvae"),
        (["--latent-dim", "0"], "--latent-dim is 0, expected more than 0"),
        (["--beta", "-1"], "--beta is -1.0, expected more than 0"),
        (["--steps", "0"], "steps is 0, expected a whole number of at least 1"),
        (["--data", "npz:/nowhere.npz"], "/nowhere.npz does not exist"),
        (["--init-from", "/nowhere"], "/nowhere/config.json cannot be read"),
    ],
)
def test_mistakes_are_one_sentence_before_a_folder_is_made(flags, sentence, source, tmp_path):
    data = [] if "--data" in flags else ["--data", source]
    with pytest.raises(SystemExit, match=sentence):
        main(["train", *data, *flags, "--out", str(tmp_path / "run")])
    assert not (tmp_path / "run").exists()


def test_an_interrupted_training_says_how_it_goes_on(source, tmp_path, capsys, monkeypatch):
    system_train = jv.train

    def interrupted(*args, **options):
        trained = system_train(*args, **options)
        config = json.loads((tmp_path / "run" / "config.json").read_text())
        config["config"]["steps"] = 100
        (tmp_path / "run" / "config.json").write_text(json.dumps(config))
        return trained

    monkeypatch.setattr("jaxvae.commands.train.train", interrupted)
    train(source, "vae", tmp_path / "run")
    assert "Continue: python -m jaxvae train --resume, with the same flags." in capsys.readouterr().out
    assert not (tmp_path / "run" / "summary.json").exists()
