import sys
import types

import numpy as np
import pytest

from jaxvae.data import load
from jaxvae.errors import UserError


@pytest.fixture
def fake_tfds(monkeypatch):
    """Stands in for the package: `fake_tfds[name] = {split: [item, ...]}`; counts how often a set is opened."""
    sets: dict = {"opened": 0}

    def builder(name, file_format):
        assert file_format == "array_record"
        sets["opened"] += 1
        if name not in sets:
            raise LookupError(f"Dataset {name} not found.\nA long list of others")

        def prepare():
            if isinstance(sets[name], Exception):
                raise sets[name]

        return types.SimpleNamespace(
            info=types.SimpleNamespace(
                splits=dict.fromkeys(sets[name]) if isinstance(sets[name], dict) else {},
                features={"label": types.SimpleNamespace(names=sets["names"])} if "names" in sets else {},
            ),
            download_and_prepare=prepare,
            as_data_source=lambda split: sets[name][split],
        )

    module = types.ModuleType("tensorflow_datasets")
    module.builder = builder
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", module)
    return sets


def _items(rng, num, shape=(4, 4, 1)):
    return [{"image": rng.integers(0, 256, shape).astype(np.uint8), "label": i % 3, "id": b"x"} for i in range(num)]


@pytest.mark.parametrize("valid", ["validation", "valid", None])
def test_load_reads_the_splits(fake_tfds, rng, tmp_path, valid):
    items = fake_tfds["m/c:1.0"] = {"train": _items(rng, 30), "test": _items(rng, 5), "extra": _items(rng, 2)}
    if valid:
        items[valid] = _items(rng, 6)
    splits, spec = load("tfds:m/c:1.0", cache_dir=tmp_path)
    assert spec[:3] == ((4, 4, 1), 256, 3)
    assert [len(part.x) for part in splits] == ([30, 6, 5] if valid else [27, 3, 5])
    np.testing.assert_array_equal(splits.test.x, [item["image"] for item in items["test"]])
    assert splits.test.labels.tolist() == [0, 1, 2, 0, 1]
    if valid:
        np.testing.assert_array_equal(splits.valid.x, [item["image"] for item in items[valid]])


def test_load_decodes_once(fake_tfds, rng, tmp_path):
    fake_tfds["m"] = {"train": _items(rng, 9)}
    first, _ = load("tfds:m", cache_dir=tmp_path)
    again, _ = load("tfds:m", cache_dir=tmp_path)
    assert fake_tfds["opened"] == 1
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a.x, b.x)
        np.testing.assert_array_equal(a.labels, b.labels)


def test_load_does_without_labels(fake_tfds, rng, tmp_path):
    fake_tfds["m"] = {"train": [{"image": item["image"]} for item in _items(rng, 9)]}
    splits, spec = load("tfds:m", cache_dir=tmp_path)
    assert splits.train.labels is None
    assert spec.num_classes == 0


@pytest.mark.parametrize("shapes", [[(100, 80, 3)], [(9, 9, 3), (100, 80, 3)], [(9, 9, 3), (8, 5, 3)], [(9, 9, 3)]])
def test_load_resizes(fake_tfds, rng, tmp_path, shapes):
    fake_tfds["m"] = {"train": [item for shape in shapes for item in _items(rng, 5, shape)]}
    for size in (16, 12):  # the cache keeps them apart
        splits, spec = load("tfds:m", image_size=size, cache_dir=tmp_path)
        assert spec.shape == (size, size, 3)
        assert splits.train.x.dtype == np.uint8
    if len(shapes) > 1:
        with pytest.raises(UserError, match="pixels; pass --image-size N"):
            load("tfds:m", cache_dir=tmp_path)


def test_load_says_what_is_missing(fake_tfds, rng, tmp_path):
    with pytest.raises(UserError, match=r"cannot prepare 'nosuch': .*Dataset nosuch not found") as error:
        load("tfds:nosuch", cache_dir=tmp_path)
    assert "\n" not in str(error.value)
    fake_tfds["m"] = {"test": _items(rng, 9)}
    with pytest.raises(UserError, match="has the splits test, expected train"):
        load("tfds:m", cache_dir=tmp_path)
    fake_tfds["m"] = {"train": [{"text": "a", "label": 1}]}
    with pytest.raises(UserError, match="has the features text, label, expected image"):
        load("tfds:m", cache_dir=tmp_path)
    fake_tfds["m"] = OSError("no network")
    with pytest.raises(UserError, match="cannot prepare 'm': no network"):
        load("tfds:m", cache_dir=tmp_path)
    fake_tfds["m"] = ImportError("long words", name="tensorflow")
    with pytest.raises(UserError, match=r'Preparing tfds:m needs tensorflow; pip install "jaxvae\[tfds\]"'):
        load("tfds:m", cache_dir=tmp_path)
    assert list(tmp_path.rglob("*.npz")) == []


def test_load_names_the_classes(fake_tfds, rng, tmp_path):
    fake_tfds["m"] = {"train": _items(rng, 9)}
    fake_tfds["names"] = ["ant", "bee", "cat"]
    for _ in range(2):  # decoded, and from the cache
        assert load("tfds:m", cache_dir=tmp_path)[1].classes == ("ant", "bee", "cat")


@pytest.mark.parametrize(
    ("dtype", "factor", "message"), [(np.uint16, 250, "integers from"), (np.float32, 300, "floats from")]
)
def test_load_refuses_values_before_it_resizes(fake_tfds, rng, tmp_path, dtype, factor, message):
    items = _items(rng, 9, (100, 80, 3))
    fake_tfds["m"] = {"train": [{**item, "image": item["image"].astype(dtype) * dtype(factor)} for item in items]}
    with pytest.raises(UserError, match=message):
        load("tfds:m", image_size=16, cache_dir=tmp_path)


def test_load_refuses_labels_of_some_images(fake_tfds, rng, tmp_path):
    items = _items(rng, 9)
    del items[3]["label"]
    fake_tfds["m"] = {"train": items}
    with pytest.raises(UserError, match="has 9 images and 8 labels"):
        load("tfds:m", cache_dir=tmp_path)
    assert not list(tmp_path.rglob("*.npz"))


def test_load_keeps_the_set_in_bounds(fake_tfds, rng, tmp_path, monkeypatch):
    monkeypatch.setattr("jaxvae.data.limits.machine_memory", lambda: 1000)
    fake_tfds["m"] = {"train": _items(rng, 90)}
    with pytest.raises(UserError, match="tfds:m train would take 0.0 GB in memory"):
        load("tfds:m", cache_dir=tmp_path)


@pytest.mark.parametrize("name", ["n" * 5000, "../../x", "a\0b"])
def test_load_writes_no_file_of_an_absurd_name(fake_tfds, rng, tmp_path, name):
    fake_tfds[name] = {"train": _items(rng, 9)}
    assert len(load(f"tfds:{name}", cache_dir=tmp_path)[0].train.x) == 7
    assert all(path.parent == tmp_path / "tfds" for path in tmp_path.rglob("*.npz"))


def test_load_says_how_to_install_the_package(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(UserError, match=r'pip install "jaxvae\[tfds\]"'):
        load("tfds:mnist", cache_dir=tmp_path)
