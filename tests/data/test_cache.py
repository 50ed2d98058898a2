import numpy as np
import pytest

from jaxvae.data.cache import cache_folder, cached
from jaxvae.errors import UserError


def test_cached_makes_once(tmp_path):
    calls = []

    def make():
        calls.append(1)
        return {"x": np.arange(3)}

    for _ in range(2):
        np.testing.assert_array_equal(cached(tmp_path / "deep" / "a.npz", make, "x")["x"], [0, 1, 2])
    assert len(calls) == 1
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.npz"]


def _flip(raw):
    middle = raw.index(b"BBBB")
    return raw[:middle] + b"C" + raw[middle + 1 :]


@pytest.mark.parametrize("damage", [lambda raw: b"", lambda raw: raw[:300], lambda raw: b"text", _flip])
def test_cached_makes_again_what_is_broken(tmp_path, damage):
    path = tmp_path / "a.npz"
    good = np.full(500, ord("B"), np.uint8)
    cached(path, lambda: {"x": good}, "x")
    path.write_bytes(damage(path.read_bytes()))
    np.testing.assert_array_equal(cached(path, lambda: {"x": good}, "x")["x"], good)
    np.testing.assert_array_equal(cached(path, dict, "x")["x"], good)  # written whole again


def test_cached_makes_again_what_is_of_something_else(tmp_path):
    np.savez(tmp_path / "a.npz", y=np.zeros(3))
    assert cached(tmp_path / "a.npz", lambda: {"x": np.ones(2)}, "x")["x"].tolist() == [1, 1]


def test_cached_makes_again_what_is_a_lone_array(tmp_path):
    with (tmp_path / "a.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    assert cached(tmp_path / "a.npz", lambda: {"x": np.ones(2)}, "x")["x"].tolist() == [1, 1]


def test_cached_leaves_nothing_half_written(tmp_path, monkeypatch):
    def stop(*args, **kwargs):
        args[0].write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", stop)
    with pytest.raises(KeyboardInterrupt):
        cached(tmp_path / "a.npz", lambda: {"x": np.arange(3)}, "x")
    assert list(tmp_path.iterdir()) == []


def test_cached_survives_a_full_disk(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    assert cached(tmp_path / "a.npz", lambda: {"x": np.arange(3)}, "x")["x"].tolist() == [0, 1, 2]
    assert list(tmp_path.iterdir()) == []


def test_cached_does_without_a_folder(tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert cached(tmp_path / "file" / "a.npz", lambda: {"x": np.arange(3)}, "x")["x"].tolist() == [0, 1, 2]


def test_cache_folder_prefers_the_argument(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXVAE_CACHE", str(tmp_path / "environment"))
    assert cache_folder(tmp_path / "argument") == tmp_path / "argument"
    assert cache_folder() == tmp_path / "environment"
    monkeypatch.delenv("JAXVAE_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "jaxvae"


@pytest.mark.parametrize("folder", ["~nobody-of-this-name/x", "a\0b", "n" * 5000])
def test_cache_folder_refuses_what_is_no_path(folder):
    with pytest.raises(UserError, match="cache:"):
        cache_folder(folder)
