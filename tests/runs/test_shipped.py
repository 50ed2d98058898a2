"""The models that travel in the package: small, whole, of the cards beside them, and as good as these say."""

import re
import subprocess
import sys
import zlib

import jax
import numpy as np
import pytest
import safetensors.numpy

import jaxvae as jv
from jaxvae.__main__ import main
from jaxvae.commands.card import card
from jaxvae.runs.pretrained import shipped

GENERATIVE = ("digits-pixelcnn", "digits-vae", "digits-vqvae")
DATA = {
    "digits-classifier": "npz:other_digits.npz",
    **dict.fromkeys(GENERATIVE, "digits"),
    "fashion-classifier": "idx:fashion-mnist",
}
MODELS = tuple(DATA)
MOST_BYTES, MOST_BYTES_OF_CLASSIFIER = (
    4_000_000,
    500_000,
)  # compressed, as in the wheel
# What is no dependency of the core.
EXTRAS = ("tyro", "tqdm", "matplotlib", "PIL", "sklearn", "skimage", "mlxtend", "tensorboardX", "tensorflow_datasets")


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_all_are_there_and_small():
    assert tuple(shipped()) == MODELS
    files = {name: list(place.iterdir()) for name, place in shipped().items()}
    every = {"config.json", "model.safetensors", "card.md"}
    sizes = {name: sum(len(zlib.compress(path.read_bytes())) for path in found) for name, found in files.items()}
    for name, found in files.items():
        assert {path.name for path in found} == every | ({"samples.png"} if name in GENERATIVE else set())
        assert name in GENERATIVE or sizes[name] < MOST_BYTES_OF_CLASSIFIER
    assert sum(sizes[name] for name in GENERATIVE) < MOST_BYTES


@pytest.mark.parametrize("name", MODELS)
def test_card_configuration_and_weights_agree(name, elsewhere):
    model, text = jv.load(name), (shipped()[name] / "card.md").read_text()
    licence = re.search(r"^\| licence \| (.*) \|$", text, re.M)[1]
    if name == "fashion-classifier":
        assert licence.startswith("MIT")
        assert "Zalando" in licence
    else:
        assert licence.startswith("CC-BY-SA-3.0")  # that of MNIST
        for author in ("LeCun", "Cortes"):
            assert author in licence
    assert text == card(model, name, licence, "samples.png" if name in GENERATIVE else None, half=True)
    assert f"| data | {DATA[name]} |" in text
    assert "`python -m experiments." in text
    assert model.data_hash in text
    assert model.summary["steps"] == model.config["steps"]
    assert len(model.summary["metrics"]) >= 3
    arrays = safetensors.numpy.load_file(shipped()[name] / "model.safetensors")
    assert {array.dtype.kind + str(array.itemsize) for array in arrays.values() if array.dtype.kind == "f"} == {"f2"}
    assert {str(leaf.dtype) for leaf in jax.tree.leaves(model.params)} == {"float32"}


@pytest.mark.slow
@pytest.mark.parametrize("name", GENERATIVE)
def test_samples_are_the_same_for_a_seed(name, elsewhere):
    model = jv.load(name)
    samples = model.sample(16, seed=1)
    assert samples.shape == (16, 28, 28, 1)
    np.testing.assert_array_equal(samples, jv.load(name).sample(16, seed=1))
    assert (samples != model.sample(16, seed=2)).any()
    # As bright as digits, with empty margins.
    assert 0.08 < samples.mean() < 0.2
    assert samples[:, :2].mean() < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("name", GENERATIVE)
def test_the_numbers_of_the_card_hold(name, elsewhere, capsys):
    main(["verify", name])
    assert re.search(r"All \d+ numbers hold\.", capsys.readouterr().out)


def test_no_place_of_another_machine_is_in_them():
    for place in shipped().values():
        for name in ("config.json", "card.md"):
            assert not re.search(r"(^|[\s\"':])/\w+/", (place / name).read_text())


@pytest.mark.slow
def test_the_classifier_knows_the_digits_that_it_has_not_seen(elsewhere):
    test = jv.data.load("digits")[0].test
    found = jv.load("digits-classifier").classify(test.x)
    assert np.mean(found.argmax(axis=1) != test.labels) < 0.02


@pytest.mark.slow
def test_the_core_alone_draws_digits():
    program = f"""
import sys
sys.modules |= dict.fromkeys({EXTRAS})
import jaxvae as jv
print(jv.load("digits-vae").sample(16).shape)"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (found.stdout, found.stderr) == ("(16, 28, 28, 1)\n", "")
