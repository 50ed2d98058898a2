"""Saved models: what was written is read, bit by bit, and what is damaged or something else is refused."""

import json
import os
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from flax.core import freeze

from jaxvae.errors import UserError
from jaxvae.runs import export
from jaxvae.runs.export import is_export, read_arrays, read_record, save_model
from jaxvae.training.checkpoint import Best

RECORD = {"format": 2, "config": {"beta": 0.5, "below": float("inf")}, "name": "é", "list": [1, None, True]}
PLACES = ["model.safetensors", "folder", "new/deep/model.safetensors", "new/deep/folder.v1"]


def best(kernel_type=jnp.bfloat16):
    params = {
        "encoder": {"conv_0": {"kernel": jnp.arange(6, dtype=kernel_type).reshape(2, 3) / 7, "bias": np.zeros(3)}},
        "layers": [jnp.ones(2, jnp.float16), (jnp.array(3, jnp.int32), jnp.zeros((0, 2)))],
        "transposed": np.arange(6.0, dtype=np.float32).reshape(2, 3).T,  # its memory lies in another order
    }
    state = {"codebook": {"counts": np.array([1, 2], np.uint8), "used": np.array(True)}, "none": None}
    return Best(freeze(params), {**state, "key": jax.random.key(3), "old key": jax.random.PRNGKey(3)})


def shapes(tree):
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), tree)


def assert_same(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        if jax.dtypes.issubdtype(one.dtype, jax.dtypes.prng_key):
            one, other = jax.random.key_data(one), jax.random.key_data(other)
        assert np.asarray(one).tobytes() == np.asarray(other).tobytes()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("place", PLACES)
def test_model_is_read_as_it_was_written(place):
    assert save_model(place, RECORD, *best()) == Path(place)
    assert is_export(place)
    assert read_record(place) == RECORD
    assert_same(read_arrays(place, best()), best())
    assert_same(read_arrays(place, shapes(best())), best())


def test_folder_has_a_configuration_to_read_and_standard_arrays():
    save_model("folder", RECORD, *best())
    assert sorted(os.listdir("folder")) == ["config.json", "model.safetensors"]
    with open("folder/config.json") as file:
        assert json.load(file) == RECORD
    with safetensors.safe_open("folder/model.safetensors", "numpy") as file:
        assert "params/encoder/conv_0/kernel" in file.keys()  # noqa: SIM118
        assert "model_state/codebook/counts" in file.keys()  # noqa: SIM118
        assert file.get_tensor("params/encoder/conv_0/kernel").dtype == jnp.bfloat16
        np.testing.assert_array_equal(file.get_tensor("params/transposed"), best().params["transposed"])


def test_model_without_state_comes_back():
    save_model("m.safetensors", {}, {"w": np.ones(2)}, {})
    assert_same(read_arrays("m.safetensors", Best({"w": np.zeros(2)}, {})), Best({"w": np.ones(2)}, {}))


def test_what_is_no_export():
    os.mkdir("run")
    assert not is_export("run")
    assert not is_export("missing")
    assert is_export("missing.safetensors")  # by its name


@pytest.mark.parametrize("place", ["m.safetensors", "folder"])
def test_model_is_not_overwritten_unless_asked(place, folder):
    save_model(place, RECORD, *best())
    with pytest.raises(UserError, match=r"There is .* already: .*overwrite=True\.$"):
        save_model(place, {}, {}, {})
    assert_same(read_arrays(place, best()), best())
    save_model(place, {"new": 1}, {"w": np.ones(2)}, {}, overwrite=True)
    assert read_record(place) == {"new": 1}
    assert_same(read_arrays(place, Best({"w": np.ones(2)}, {})), Best({"w": np.ones(2)}, {}))
    assert not [path for path in folder.rglob("*") if "tmp" in path.name]


def test_configuration_of_a_run_is_not_overwritten(folder):
    (folder / "run").mkdir()
    (folder / "run" / "config.json").write_text("{}")
    with pytest.raises(UserError, match=r"config\.json already"):
        save_model("run", RECORD, *best())
    assert os.listdir("run") == ["config.json"]


@pytest.mark.parametrize("place", ["m.safetensors", "folder"])
def test_interrupted_write_leaves_what_was_there(place, folder, monkeypatch):
    save_model(place, RECORD, *best())
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(export.os, "replace", full)
        with pytest.raises(UserError, match=r"cannot be written to .*No space left on device"):
            save_model(place, {}, {}, {}, overwrite=True)
    assert {path: path.read_bytes() for path in folder.rglob("*.*")} == before


def test_place_that_cannot_be_written_is_a_user_error(folder):
    (folder / "file").write_text("")
    for place in ("file", "file/m.safetensors"):
        with pytest.raises(UserError, match="cannot be written to file"):
            save_model(place, RECORD, *best())


def test_unusual_types_and_names_are_refused():
    with pytest.raises(UserError, match=r"params/w is of type int4"):
        save_model("m.safetensors", {}, {"w": jnp.ones(2, jnp.int4)}, {})
    with pytest.raises(UserError, match=r"same place"):
        save_model("m.safetensors", {}, {"a": {"b": np.ones(2)}, "a/b": np.ones(2)}, {})
    assert not is_export(".")


# ---------- what does not fit


def changed(**changes):
    return best()._replace(params={"w": np.ones((2, 3), np.float32), **changes}, model_state={})


@pytest.mark.parametrize(("like", "match"), [
    (changed(more=np.ones(2)), r"params/more is missing in the file and float64\[2\] in the model"),
    (changed(w=None), r"params/w is float32\[2, 3\] in the file and missing in the model"),
    (changed(w=np.ones((3, 2), np.float32)), r"params/w is float32\[2, 3\] in the file and float32\[3, 2\]"),
    (changed(w=jnp.ones((2, 3), jnp.bfloat16)), r"params/w is float32\[2, 3\] in the file and bfloat16\[2, 3\]"),
])  # fmt: skip
def test_another_model_is_refused_by_the_name_of_an_array(like, match):
    save_model("folder", {}, changed().params, {})
    with pytest.raises(UserError, match=match) as error:
        read_arrays("folder", like)
    assert str(error.value).startswith("folder/model.safetensors does not fit")


# ---------- damage


def read_all(place):
    return read_record(place), read_arrays(place, changed())


def test_every_flipped_byte_is_noticed(folder):
    save_model("m.safetensors", RECORD, changed().params, {})
    whole = (folder / "m.safetensors").read_bytes()
    unnoticed = []
    for place in range(len(whole)):
        (folder / "m.safetensors").write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        try:
            read_all("m.safetensors")
            unnoticed.append(whole[place : place + 20])
        except UserError:
            continue
    assert not unnoticed


@pytest.mark.parametrize("place", ["m.safetensors", "folder"])
def test_truncated_file_is_damaged(place, folder):
    save_model(place, RECORD, changed().params, {})
    (path,) = folder.rglob("*.safetensors")
    whole = path.read_bytes()
    for length in (0, 4, 100, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(UserError, match=re.escape(path.name) + r" is no whole safetensors file .* damaged"):
            read_arrays(place, changed())


def test_missing_files_are_a_user_error(folder):
    (folder / "empty").mkdir()
    (folder / "dir.safetensors").mkdir()
    for read in (read_record, lambda place: read_arrays(place, changed())):
        with pytest.raises(UserError, match=r"There is no model m\.safetensors"):
            read("m.safetensors")
        with pytest.raises(UserError, match=r"empty/"):
            read("empty")
        with pytest.raises(UserError, match=r"dir\.safetensors"):
            read("dir.safetensors")


def test_files_of_others_and_of_other_versions_are_a_user_error(folder, monkeypatch):
    safetensors.numpy.save_file({"a": np.ones(2)}, "m.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match="is not a model of jaxvae"):
        read_all("m.safetensors")
    (folder / "m.safetensors").write_text("<html>404: not found</html>")
    with pytest.raises(UserError, match="is no whole safetensors file"):
        read_all("m.safetensors")
    with monkeypatch.context() as patch:
        patch.setattr(export, "VERSION", "7")
        save_model("new.safetensors", RECORD, changed().params, {})
    with pytest.raises(UserError, match=r"is of format 7, expected 1: "):
        read_all("new.safetensors")
    save_model("folder", RECORD, changed().params, {})
    with pytest.raises(UserError, match=r"no configuration in it: expected .* folder"):
        read_record("folder/model.safetensors")
