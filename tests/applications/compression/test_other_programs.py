"""What one program coded, another one decodes: with other threads, other devices, and compiled in another way."""

import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from jaxvae import UserError
from jaxvae.applications.compression import grids
from tests.applications.compression import other_program
from tests.applications.compression.other_program import MODELS, NUM, coder_of, images, read

ONE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
EIGHT_DEVICES = "--xla_force_host_platform_device_count=8"


def run(root, folder, verb, flags="", *options):
    """In another process, which compiles as people's do."""
    line = [sys.executable, "-m", "tests.applications.compression.other_program", verb, str(folder), *options]
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(line, cwd=root, env=environment, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def assert_same_images(name, found):
    coder = coder_of(name)
    values = images(name, coder)
    if not coder.lossless:
        values = coder.decode(coder.encode(values), NUM)
    np.testing.assert_array_equal(found, values)


@pytest.mark.slow
def test_another_program_decodes(request, tmp_path):
    other_program.encode(tmp_path)  # on eight devices, most optimizations left out
    run(request.config.rootpath, tmp_path, "decode", ONE_THREAD, "one")
    for name in MODELS:
        assert_same_images(name, np.load(tmp_path / f"{name}.npy"))


@pytest.mark.slow
def test_words_of_another_program_are_decoded(request, tmp_path):
    run(request.config.rootpath, tmp_path, "encode", ONE_THREAD, "one")
    for name in MODELS:
        assert_same_images(name, coder_of(name).decode(read(tmp_path, name), NUM))
    run(request.config.rootpath, tmp_path, "decode", EIGHT_DEVICES)
    for name in MODELS:
        assert_same_images(name, np.load(tmp_path / f"{name}.npy"))


def nudged(model, by=3e-7):
    """With parameters that differ in their last digits, and so all that is computed of them."""
    generator = np.random.default_rng(1)
    other = lambda leaf: (leaf * (1 + by * generator.standard_normal(leaf.shape))).astype(leaf.dtype)  # noqa: E731
    return model._replace(params=jax.tree.map(other, model.params))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in MODELS if name != "codes"])  # of which other images are decoded
def test_other_last_digits_decode_to_the_same_images(name):
    model = MODELS[name]()
    coder, other = coder_of(name, model), coder_of(name, nudged(model))
    values = images(name, coder)
    stream = coder.encode(values)
    np.testing.assert_array_equal(other.decode(stream, NUM), coder.decode(stream, NUM))


@pytest.mark.slow
def test_without_a_tolerance_they_would_decode_to_other_ones(monkeypatch):
    model = MODELS["blocks"]()
    monkeypatch.setattr(grids, "TOLERANCE", 0.0)
    stream = coder_of("blocks", model).encode(model.images(1000))
    with pytest.raises(UserError, match="damaged"):
        coder_of("blocks", nudged(model)).decode(stream, 1000)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["VAE", "blocks"])
def test_images_whose_numbers_have_no_position_together_have_one_in_smaller_blocks(monkeypatch, name):
    coder = coder_of(name)
    values = images(name, coder)
    usual = coder.encode(values)
    monkeypatch.setattr(grids, "_NEAR", 400.0)
    stream = coder.encode(values)
    block = "pixel_block" if name == "VAE" else "token_block"
    assert stream.settings[block] > usual.settings[block]
    np.testing.assert_array_equal(coder.decode(stream, NUM), values)
