"""Images by way of codes: all four stages, again and after mistakes."""

import json
import shutil
from dataclasses import replace

import jax
import numpy as np
import pytest

import jaxvae as jv
from experiments import vqvae
from jaxvae.applications.coding import encode_as_codes
from jaxvae.data import load_codes, split_grids
from jaxvae.errors import UserError
from jaxvae.runs.fingerprint import fingerprint
from jaxvae.runs.load import load_start
from jaxvae.runs.options import Options
from jaxvae.training import evaluation_batch_size
from jaxvae.types import DataSpec
from tests.experiments.conftest import SPEC, module_and_config

pytestmark = pytest.mark.usefixtures("images")


@pytest.mark.slow
def test_all_stages_leave_a_folder_that_loads_samples_and_resumes(tmp_path, images):
    module, config = module_and_config("vqvae_prior", class_conditional=True)
    folder = module.run(config, Options(name="a", out=tmp_path))
    metrics = json.loads((folder / "summary.json").read_text())["metrics"]
    pixels = 144 * np.log(2.0)
    np.testing.assert_allclose(metrics["nll_bound"], metrics["nll_of_codes"] + metrics["nll_of_pixels_given_codes"])
    np.testing.assert_allclose(metrics["bits_per_dim"], metrics["nll_bound"] / pixels, rtol=1e-6)
    np.testing.assert_allclose(metrics["rate_bits_per_dim"], metrics["nll_of_codes"] / pixels, rtol=1e-6)
    assert {path.name for path in (folder / "figures").iterdir()} == {
        "curves.png",
        "nearest.png",
        "reconstructions.png",
        "samples.png",
    }
    codec = jv.load(folder / "codec")
    of_codec = json.loads((folder / "codec" / "summary.json").read_text())["metrics"]
    assert of_codec["used_codes"] + of_codec["dead_codes"] == of_codec["num_codes"] == 32
    assert 1 <= of_codec["perplexity"] <= of_codec["used_codes"]
    np.testing.assert_allclose(of_codec["rate_bits_per_dim"], 9 * 5 / 144)
    np.testing.assert_allclose(of_codec["reconstruction"], metrics["nll_of_pixels_given_codes"], rtol=1e-5)

    # The codes are those of the codec, and the prior's checkpoint alone draws images, with the codec moved away.
    codes = load_codes(folder / "codes" / "test")
    expected = encode_as_codes(codec.system, codec.params, codec.model_state, images.test).codes
    for found, grid in zip(split_grids(codes.dataset.x, codes.shapes), expected, strict=True):
        np.testing.assert_array_equal(found, grid)
    assert codes.codec == fingerprint(codec)
    shutil.move(folder / "codec", tmp_path / "elsewhere")
    prior = jv.load(folder)
    samples = prior.sample(4)
    assert samples.shape == (4, *SPEC.shape)
    assert np.all((samples >= 0) & (samples <= 1))
    jax.tree.map(np.testing.assert_array_equal, prior.model_state["params"], codec.params)

    shutil.move(tmp_path / "elsewhere", folder / "codec")
    with pytest.raises(UserError, match="was started with codec_steps 2, now it is 3"):
        module.run(replace(config, codec_steps=3), Options(name="a", out=tmp_path, resume=True))
    jv.load(folder)
    again = replace(config, steps=3, eval_every=3)
    assert module.run(again, Options(name="a", out=tmp_path, resume=True)) == folder
    assert json.loads((folder / "summary.json").read_text())["steps"] == 3
    meta = folder / "codes" / "train" / "codes.json"
    meta.write_text(meta.read_text().replace(codes.codec, "0123456789abcdef"))
    with pytest.raises(UserError, match=f"has codes of the codec 0123456789abcdef, now it is {codes.codec}: choose an"):
        module.run(again, Options(name="a", out=tmp_path, resume=True))
    np.testing.assert_array_equal(load_codes(folder / "codes" / "test").dataset.x, codes.dataset.x)

    # Another training may start from this codec, codebook and all, if it has as many codes.
    of_codec = vqvae.Config(**{**codec.config, "channels": tuple(codec.config["channels"])})
    start = load_start(folder / "codec", vqvae.build(of_codec, SPEC))
    jax.tree.map(np.testing.assert_array_equal, tuple(start), (codec.params, codec.model_state))
    other = vqvae.build(replace(of_codec, num_codes=16), SPEC)
    with pytest.raises(UserError, match=r"does not fit this model: .*\[32.*\[16"):
        load_start(folder / "codec", other)


@pytest.mark.parametrize(("backend", "expected"), [("cpu", [100, 100, 6]), ("gpu", [500, 500, 31])])
def test_evaluation_takes_fewer_grids_of_more_codes(monkeypatch, backend, expected):
    monkeypatch.setattr("jax.default_backend", lambda: backend)
    sizes = [
        evaluation_batch_size(DataSpec(*of)) for of in (((28, 28, 1), 256, 10), ((49,), 512, 10), ((49,), 8192, 10))
    ]
    assert sizes == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_codes": 0}, "--num-codes is 0, expected at least 1"),
        ({"features": 6, "num_heads": 4, "prior": "transformer"}, "--num-heads is 4, expected a divisor of --features"),
    ],
)
def test_impossible_values_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        module_and_config("vqvae_prior", **changes)


def test_what_is_no_codec_is_named(tmp_path):
    module, config = module_and_config("vqvae_prior", codec=str(tmp_path / "none"))
    with pytest.raises(UserError, match="cannot be read"):
        module.run(config, Options(name="a", out=tmp_path))
    with pytest.raises(UserError, match="--levels is 2, expected none beside --codec, which has its own"):
        module.run(replace(config, levels=2), Options(name="a", out=tmp_path))
    _, own = module_and_config("vqvae_prior")
    with pytest.raises(UserError, match="There is no run .*typo to resume"):
        module.run(own, Options(name="typo", out=tmp_path, resume=True))
    assert not any(tmp_path.iterdir())
    codec = vqvae.build(module_and_config("vqvae")[1], SPEC).parts
    config = module_and_config("vqvae_prior", class_conditional=True)[1]
    with pytest.raises(UserError, match="--class-conditional needs labels"):
        module.build(config, DataSpec((9,), 32, 0), codec)
    codec = vqvae.build(module_and_config("vqvae", num_codes=1)[1], SPEC).parts
    with pytest.raises(UserError, match="A prior is over two codes at least, the VQ-VAE has one"):
        module.build(replace(config, class_conditional=False), DataSpec((9,), 1, 0), codec)
