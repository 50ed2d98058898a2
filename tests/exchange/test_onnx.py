"""Functions as ONNX: onnxruntime gives what the model gives, or there is no file."""

import importlib.util
import json

import jax
import numpy as np
import pytest

import jaxvae as jv
from jaxvae.__main__ import main
from jaxvae.errors import UserError
from jaxvae.exchange import onnx
from jaxvae.nets.conv import convolutions_by, convolve
from tests.exchange.conftest import assert_same, inputs_of

MISSING = [name for name in ("jax2onnx", "onnxruntime") if importlib.util.find_spec(name) is None]
converts = pytest.mark.skipif(
    bool(MISSING), reason=f"{' and '.join(MISSING)} not installed: pip install -e '.[onnx]'; tried with jax2onnx 0.17.1"
)


@pytest.mark.slow
@converts
@pytest.mark.parametrize("net", ["mlp", "conv", "resnet"])
def test_vaes_of_every_network_are_converted(net, place, tmp_path, called, capsys):
    trained = jv.load(place(net))
    given = inputs_of(trained)
    found = called(place(net), "onnx", given)
    assert_same(found, trained, given, 1e-5, left_out=["score"])
    said, notes = capsys.readouterr()
    assert "encode: within " in said
    assert "note: score draws random numbers, which ONNX does not as JAX does: it is left out" in notes
    record = json.loads((tmp_path / "out" / "functions.json").read_text())
    assert all(0 <= one["difference"] <= 1e-5 for one in record["functions"].values())
    assert "Differences from JAX" in (tmp_path / "out" / "card.md").read_text()
    if net != "mlp":  # rather than what a CPU has in their place
        assert b"Conv" in (tmp_path / "out" / "encode.onnx").read_bytes()


@pytest.mark.slow
@converts
@pytest.mark.parametrize("kind", ["vqvae", "autoregressive", "m2"])
def test_other_kinds_are_converted(kind, place, called):
    trained = jv.load(place(kind))
    given = inputs_of(trained)
    assert_same(called(place(kind), "onnx", given), trained, given, 1e-5)


@pytest.mark.slow
@converts
def test_a_larger_difference_is_an_error_that_leaves_nothing(place, tmp_path, monkeypatch):
    monkeypatch.setattr("jaxvae.commands.export_functions.TOLERANCE", -1.0)
    with pytest.raises(SystemExit, match="error: encode as ONNX differs from JAX by .*: nothing is written"):
        main(["export", place("vae"), "--format", "onnx", "--out", str(tmp_path / "out")])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@converts
def test_what_cannot_be_converted_is_one_sentence(place, tmp_path, monkeypatch):
    def unknown(*arguments, **options):
        raise NotImplementedError("No plugins registered for primitive 'erf_inv'")

    monkeypatch.setattr("jax2onnx.to_onnx", unknown)
    sentence = r"jax2onnx .* cannot convert encode \(No plugins registered for primitive 'erf_inv'\): it is left out"
    with pytest.raises(SystemExit, match=f"error: vae has no function of this format. {sentence}"):
        main(["export", place("vae"), "--format", "onnx", "--out", str(tmp_path / "out")])
    assert list(tmp_path.iterdir()) == []


def test_without_its_packages_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(onnx.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r'needs jax2onnx and onnxruntime, which are not .*"jaxvae\[onnx\]"\.'):
        onnx.require_onnx()


def test_convolutions_are_of_the_chosen_implementation_inside_alone():
    x, kernel = np.ones((1, 4, 4, 1), np.float32), np.ones((3, 3, 1, 1), np.float32)

    def operations():
        return str(jax.make_jaxpr(lambda x: convolve(x, kernel))(x))

    with convolutions_by("lax"):
        assert "conv_general_dilated" in operations()
    assert "conv_general_dilated" not in operations()
