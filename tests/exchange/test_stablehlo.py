"""Functions as StableHLO: called where jaxvae is not imported, they are those of the model."""

import json

import jax
import numpy as np
import pytest

import jaxvae as jv
from jaxvae.__main__ import main
from jaxvae.errors import UserError
from jaxvae.exchange import stablehlo
from jaxvae.exchange.functions import NAMES, functions_of
from jaxvae.exchange.tracing import batched
from jaxvae.systems.first_stage import abstract_variables
from tests.commands.kinds import KINDS, drawn
from tests.exchange.conftest import assert_same, inputs_of
from tests.runs.small import BUILDS, SPEC

FUNCTIONS = {
    "vae": {"encode": False, "decode": False, "score": True},  # whether they draw
    "colour": {"encode": False, "decode": False, "score": True},
    "pixels": {"encode": False, "decode": True, "score": True},
    "groups": {"encode": True, "decode": False, "score": True},
    "vqvae": {"encode": False, "decode": False},
    "levels": {"encode": False, "decode": False},
    "autoencoder": {"encode": False, "decode": False},
    "autoregressive": {"log_likelihood": False},
    "classes": {"log_likelihood": False},
    "classes_vae": {"encode": False, "decode": False, "score": True},
    "masked": {"encode": False, "decode": False, "score": True},
    "gan": {"decode": False},
    "vae_gan": {"encode": False, "decode": False},
    "adversarial_autoencoder": {"encode": False, "decode": False},
    "classifier": {"classify": False},
    "m2": {"classify": False},
    "ladder": {"classify": False},
    "code_prior": {"encode": False, "decode": False},  # with its VQ-VAE
}


def functions(trained):
    return [batched(one) for one in functions_of(trained.system, trained.params, trained.model_state)]


def test_functions_of_a_vae_are_described_with_shapes_and_units():
    system = BUILDS["vae"](SPEC)
    params, state = (drawn(tree) for tree in abstract_variables(system))
    encode, decode, score = (batched(one) for one in functions_of(system, params, state))
    assert [(port.name, port.shape) for port in (*encode.inputs, *encode.outputs)] == [
        ("images", (8, 8, 1)),
        ("mean", (3,)),
        ("sd", (3,)),
    ]
    assert "draws of N(0, I)" in decode.inputs[0].about
    assert [one.draws for one in (encode, decode, score)] == [False, False, True]
    assert score.inputs[0].about == "images, 0 or 1"
    assert "nats" in score.outputs[0].about
    assert {encode.name, decode.name, score.name} <= set(NAMES)


@pytest.mark.slow
@pytest.mark.parametrize("kind", FUNCTIONS)
def test_every_kind_has_its_functions(kind, place):
    assert {one.name: one.draws for one in functions(jv.load(place(kind)))} == FUNCTIONS[kind]


@pytest.mark.slow
def test_what_has_no_function_is_one_sentence(place, tmp_path):
    assert {*FUNCTIONS, "flow"} == set(KINDS)
    with pytest.raises(SystemExit, match="flow has no function that could be called elsewhere: expected a model that"):
        main(["export", place("flow"), "--format", "stablehlo", "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mlp", "vqvae", "autoregressive", "classes", "m2"])
def test_a_process_without_jaxvae_gets_the_results_of_the_model(kind, place, called, tmp_path):
    trained = jv.load(place(kind))
    given = inputs_of(trained)
    assert_same(called(place(kind), "stablehlo", given), trained, given, 1e-6)
    for path in (tmp_path / "out").glob("*.stablehlo"):
        assert set(jax.export.deserialize(path.read_bytes()).platforms) == {"cpu", "cuda", "tpu"}


@pytest.mark.slow
def test_noise_is_that_of_the_key_and_of_the_number_of_an_image(place):
    (score,) = [one for one in functions(jv.load(place("vae"))) if one.draws]
    images = np.repeat(np.eye(8, dtype=np.float32)[None, ..., None], 3, axis=0)
    first, other = (np.asarray(score.call(images, np.array([0, seed], np.uint32))[0]) for seed in (1, 2))
    assert len({*first.tolist(), *other.tolist()}) == 6
    np.testing.assert_allclose(score.call(images[:2], np.array([0, 1], np.uint32))[0], first[:2], rtol=1e-6)


@pytest.mark.slow
def test_a_folder_of_functions_is_no_model_and_may_be_replaced(place, tmp_path, capsys):
    out = tmp_path / "out"
    for kind in ("vae", "autoregressive"):
        main(["export", place(kind), "--format", "stablehlo", "--out", str(out), "--overwrite"])
    assert {path.name for path in out.iterdir()} == {
        *("card.md", "functions.json", "log_likelihood.stablehlo", "samples.png")
    }
    assert json.loads((out / "functions.json").read_text())["version"] == 1
    with pytest.raises(UserError, match="has functions for programs without jaxvae, see its card.md: expected a run"):
        jv.load(out)
    with pytest.raises(SystemExit, match=r"--out is .*a\.safetensors, expected a folder\."):
        main(["export", place("vae"), "--format", "stablehlo", "--out", str(tmp_path / "a.safetensors")])
    main(["export", place("vae"), "--out", str(out), "--overwrite"])
    assert jv.load(out).system.name == "vae"


def test_without_flatbuffers_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(stablehlo.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r'StableHLO needs flatbuffers, .*: pip install "jaxvae\[stablehlo\]"\.'):
        stablehlo.require_flatbuffers()
