import subprocess
import sys

import numpy as np
import pytest

from jaxvae.data import load
from jaxvae.errors import UserError


@pytest.mark.parametrize("source", ["mnist", "mnist:a", "", ":", "idx", "idx:", "digits:3", "tfds", "IDX:a"])
def test_load_lists_the_sources(source):
    with pytest.raises(
        UserError, match=f"The data source is '{source}', expected digits, idx:FOLDER, npz:FILE"
    ) as error:
        load(source)
    for kind in ("digits", "idx", "npz", "folder", "tfds", "binarized_mnist"):
        assert kind in str(error.value)


def test_load_refuses_an_empty_image_size(save_npz, grey):
    with pytest.raises(UserError, match="image size is 0, expected at least 1"):
        load(save_npz(images=grey), image_size=0)


def test_load_resizes_any_source(save_npz, grey):
    splits, spec = load(save_npz(images=grey), image_size=6)
    assert spec[:3] == ((6, 6, 1), 256, 0)
    assert splits.train.x.shape == (16, 6, 6, 1)
    assert splits.train.x.dtype == np.uint8
    whole, _ = load(save_npz(images=grey))
    np.testing.assert_array_equal(splits.train.x[:, :, :5], whole.train.x)  # 6 x 5: a column is added


def test_load_is_deterministic(save_npz, grey):
    first, again = (load(save_npz(images=grey, labels=np.arange(20)))[0] for _ in range(2))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a.x, b.x)
        np.testing.assert_array_equal(a.labels, b.labels)


def test_import_needs_only_the_core():
    code = """
import sys
sys.modules.update(dict.fromkeys(("PIL", "mlxtend", "tensorflow_datasets", "tensorflow", "tqdm")))
import jaxvae.data
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
