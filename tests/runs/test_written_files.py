"""Files of compressed images that were written once by shipped models: later versions read them."""

import numpy as np
import pytest

import jaxvae as jv

MODELS = {"digits-vae": "bits back", "digits-pixelcnn": "autoregressive", "digits-vqvae": "codes"}


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_a_file_that_was_written_before_gives_its_images(name, request):
    """Where it does not, words or the file have changed: the coder gets another version, or the format does."""
    contents = (request.config.rootpath / "tests" / "fixtures" / "compressed" / f"{name}.jvz").read_bytes()
    digits = np.asarray(jv.data.load("digits")[0].test.x)[:8]
    expected = digits if name == "digits-vqvae" else digits > 127
    np.testing.assert_array_equal(jv.load(name).decompress(contents), expected)
