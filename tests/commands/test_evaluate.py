"""Samples against real images from the command line: what is compared with what, in which features."""

import json

import numpy as np
import pytest

from jaxvae.__main__ import main
from tests.runs.small import squares

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A VAE of squares."""
    place = tmp_path_factory.mktemp("evaluate")
    np.savez(place / "squares.npz", x=squares(120, 8), y=np.arange(120) % 3)
    vae = ["--net", "mlp", "--latent-dim", "2", "--nll-samples", "3", "--steps", "2", "--batch-size", "8"]
    main(["train", *vae, "--data", f"npz:{place / 'squares.npz'}", "--out", str(place / "vae")])
    return place


def failed(*words):
    with pytest.raises(SystemExit) as error:
        main(words)
    return error.value.code


def test_components_of_pixels_are_the_features_where_there_is_no_classifier(runs, tmp_path, capsys):
    main(["evaluate", str(runs / "vae"), "--out", str(tmp_path / "a.json")])
    text, found = capsys.readouterr().out, json.loads((tmp_path / "a.json").read_text())
    assert "principal components of pixels" in text.splitlines()[0]
    assert "training images" in text.splitlines()[1]
    assert found["num_samples"] == found["num_real"] == found["other_real_images"]["num_samples"]
    for name in ("frechet_distance", "precision", "recall", "density", "coverage"):
        assert f"{found[name]:.4g}" in text
        beside = found["other_real_images"]
        low, high = beside[f"{name}_interval"]
        assert low <= beside[name] <= high
    main(["evaluate", str(runs / "vae"), "--out", str(tmp_path / "b.json"), "--seed", "1"])
    assert json.loads((tmp_path / "b.json").read_text()) != found
    main(["evaluate", str(runs / "vae"), "--out", str(tmp_path / "b.json"), "--overwrite"])
    assert json.loads((tmp_path / "b.json").read_text()) == found


def test_a_classifier_of_ones_own_gives_features(runs, model, tmp_path, capsys):
    judge = model("classifier")
    words = ["evaluate", str(runs / "vae"), "--classifier", judge, "--num", "20"]
    main([*words, "--out", str(tmp_path / "a.json")])
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["features"] == f"the features of {judge}"
    assert found["num_samples"] == found["other_real_images"]["num_samples"] == 20
    assert 0 <= found["recognised_samples"] <= 1
    assert "The classifier is sure of" in capsys.readouterr().out
    assert "vae cannot give features of images: expected one of classifiers" in failed(*words[:3], str(runs / "vae"))
    assert "expected a classifier of the same size" in failed(*words[:3], "digits-classifier")


def test_images_that_are_given_are_cut_in_two(runs, tmp_path, capsys):
    main(["evaluate", str(runs / "vae"), "--data", f"npz:{runs / 'squares.npz'}", "--out", str(tmp_path / "a.json")])
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["num_real"] == found["other_real_images"]["num_samples"] == found["num_samples"] == 60
    assert "other half" in capsys.readouterr().out


def test_what_cannot_be_compared_is_said_before_anything_is_drawn(runs, model, tmp_path):
    np.savez(tmp_path / "few.npz", x=squares(8, 8))
    few = failed("evaluate", str(runs / "vae"), "--data", f"npz:{tmp_path / 'few.npz'}")
    assert "There are 4 real images, expected at least 6" in few
    assert "num is 5, expected a whole number of at least 6" in failed("evaluate", str(runs / "vae"), "--num", "5")
    assert "seed is -1, expected a whole number" in failed("evaluate", str(runs / "vae"), "--seed", "-1")
    assert "cannot draw new images" in failed("evaluate", model("classifier"))
    main(["export", str(runs / "vae"), "--out", str(tmp_path / "vae")])
    record = json.loads((tmp_path / "vae" / "config.json").read_text())
    record["config"]["data"] = "npz:gone.npz"
    (tmp_path / "vae" / "config.json").write_text(json.dumps(record))
    assert "Or give --data SOURCE" in failed("evaluate", str(tmp_path / "vae"))
