"""Images by way of codes: all four stages, again and after mistakes."""

import json
import shutil
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import vq_prior, vq_vae
from experiments.common.code_prior import grid_shapes
from experiments.common.judge_prior import nearest_images
from experiments.common.loading import fingerprint, load_start
from experiments.common.training import evaluation_batch
from experiments.run import Options, load
from jaxvae.data import load_codes, split_grids
from jaxvae.errors import UserError
from jaxvae.training import evaluation_keys
from jaxvae.types import Batch, DataSpec
from tests.experiments.conftest import SPEC, module_and_config

pytestmark = pytest.mark.usefixtures("images")


@pytest.mark.slow
def test_all_stages_leave_a_folder_that_loads_samples_and_resumes(tmp_path, images):
    module, config = module_and_config("vq_prior", class_conditional=True)
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
    codec = load(folder / "codec")
    of_codec = json.loads((folder / "codec" / "summary.json").read_text())["metrics"]
    assert of_codec["used_codes"] + of_codec["dead_codes"] == of_codec["num_codes"] == 32
    assert 1 <= of_codec["perplexity"] <= of_codec["used_codes"]
    np.testing.assert_allclose(of_codec["rate_bits_per_dim"], 9 * 5 / 144)
    np.testing.assert_allclose(of_codec["reconstruction"], metrics["nll_of_pixels_given_codes"], rtol=1e-5)

    # The codes are those of the codec, and the prior's checkpoint alone draws images, with the codec moved away.
    codes = load_codes(folder / "codes" / "test")
    x = codec.experiment.prepare(evaluation_keys(0, 10), jnp.asarray(images.test.x))
    expected = jax.jit(codec.experiment.codec.encode)(codec.params, codec.model_state, x)
    for found, grid in zip(split_grids(codes.dataset.x, codes.shapes), expected, strict=True):
        np.testing.assert_array_equal(found, grid)
    assert codes.codec == fingerprint(codec)
    shutil.move(folder / "codec", tmp_path / "elsewhere")
    prior = load(folder)
    draw = jax.jit(prior.experiment.sample, static_argnums=3)
    samples = draw(jax.random.key(0), prior.params, prior.model_state, 4).x
    assert samples.shape == (4, *SPEC.shape)
    assert np.all((samples >= 0) & (samples <= 1))
    jax.tree.map(np.testing.assert_array_equal, prior.model_state["params"], codec.params)

    shutil.move(tmp_path / "elsewhere", folder / "codec")
    with pytest.raises(UserError, match="was started with --codec-steps 2, now it is 3"):
        module.run(replace(config, codec_steps=3), Options(name="a", out=tmp_path, resume=True))
    load(folder)
    again = replace(config, steps=3, eval_every=3)
    assert module.run(again, Options(name="a", out=tmp_path, resume=True)) == folder
    assert json.loads((folder / "summary.json").read_text())["steps"] == 3
    meta = folder / "codes" / "train" / "codes.json"
    meta.write_text(meta.read_text().replace(codes.codec, "0123456789abcdef"))
    with pytest.raises(UserError, match=f"has codes of the codec 0123456789abcdef, now it is {codes.codec}: choose an"):
        module.run(again, Options(name="a", out=tmp_path, resume=True))
    np.testing.assert_array_equal(load_codes(folder / "codes" / "test").dataset.x, codes.dataset.x)

    # Another training may start from this codec, codebook and all, if it has as many codes.
    start = load_start(folder / "codec", codec.experiment, SPEC)
    jax.tree.map(np.testing.assert_array_equal, tuple(start), (codec.params, codec.model_state))
    other = vq_vae.build(replace(codec.config, num_codes=16), SPEC)
    with pytest.raises(UserError, match=r"does not fit this model: .*\[32.*\[16"):
        load_start(folder / "codec", other, SPEC)


def test_two_grids_have_a_prior_each_the_second_given_the_first():
    codec = vq_vae.build(module_and_config("vq_vae", levels=2)[1], SPEC)
    shapes = grid_shapes(codec)
    assert shapes == ((2, 2), (3, 3))
    config = module_and_config("vq_prior", features=8, num_layers=1, class_conditional=True)[1]
    experiment = vq_prior.build(config, DataSpec((13,), 32, 3), codec)
    codes = np.random.default_rng(0).integers(0, 32, (5, 13)).astype(np.uint16)
    batch = Batch(codes, np.array([0, 1, 2, 0, 1]), np.ones(5, np.float32))
    shapes_of, state = jax.eval_shape(experiment.init, jax.random.key(0), batch)
    generator = np.random.default_rng(1)
    params = jax.tree.map(lambda leaf: 0.3 * generator.standard_normal(leaf.shape, np.float32), shapes_of)
    evaluate = jax.jit(lambda batch: experiment.evaluate(params, {}, jax.random.split(jax.random.key(0), 5), batch, {}))
    nll = evaluate(batch)["nll"]
    np.testing.assert_allclose(evaluate(batch)["rate_bits_per_dim"], nll / (144 * np.log(2.0)), rtol=1e-6)

    def changed(column=None, label=None):
        x, labels = codes.copy(), batch.labels.copy()
        if column is not None:
            x[0, column] = (x[0, column] + 1) % 32
        if label is not None:
            labels[0] = label
        return np.abs(np.asarray(evaluate(batch._replace(x=x, labels=labels))["nll"] - nll)) > 1e-5

    # An image's own codes and class count, whatever their grid, and nobody else's.
    for change in (changed(column=0), changed(column=12), changed(label=2)):
        np.testing.assert_array_equal(change, [True, False, False, False, False])


def test_evaluation_takes_fewer_grids_of_more_codes():
    sizes = [evaluation_batch(DataSpec(*of)) for of in (((28, 28, 1), 256, 10), ((49,), 512, 10), ((49,), 8192, 10))]
    assert sizes == [500, 500, 31]


def test_nearest_images_are_found_in_chunks():
    generator = np.random.default_rng(0)
    among = generator.integers(0, 256, (23, 3, 3, 1)).astype(np.uint8)
    wanted = np.array([22, 0, 7])
    x = np.clip(among[wanted] / 255.0 + 0.01, 0, 1).astype(np.float32)
    np.testing.assert_allclose(nearest_images(x, among, 256, chunk=5), among[wanted] / 255.0, rtol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_codes": 0}, "--num-codes is 0, expected at least 1"),
        ({"features": 6, "num_heads": 4, "prior": "transformer"}, "--num-heads is 4, expected a divisor of --features"),
    ],
)
def test_impossible_values_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        module_and_config("vq_prior", **changes)


def test_what_is_no_codec_is_named(tmp_path):
    module, config = module_and_config("vq_prior", codec=str(tmp_path / "none"))
    with pytest.raises(UserError, match="cannot be read"):
        module.run(config, Options(name="a", out=tmp_path))
    with pytest.raises(UserError, match="--levels is 2, expected none beside --codec, which has its own"):
        module.run(replace(config, levels=2), Options(name="a", out=tmp_path))
    _, own = module_and_config("vq_prior")
    with pytest.raises(UserError, match="There is no run .*typo to resume"):
        module.run(own, Options(name="typo", out=tmp_path, resume=True))
    assert not any(tmp_path.iterdir())
    with pytest.raises(UserError, match="--sweep is not for vq_prior"):
        module.run(config, Options(name="a", out=tmp_path, sweep=("seed=0,1",)))
    codec = vq_vae.build(module_and_config("vq_vae")[1], SPEC)
    config = module_and_config("vq_prior", class_conditional=True)[1]
    with pytest.raises(UserError, match="--class-conditional needs labels"):
        module.build(config, DataSpec((9,), 32, 0), codec)
