"""Models from their places: what `load` and `init_from` take, and what they say of all else."""

import json
import sys

import jax
import numpy as np
import pytest

import jaxvae as jv
from jaxvae.runs import names
from jaxvae.runs.load import load_start
from tests.runs.small import BUILDS, IMAGES, SIZES, SPEC, assert_same_parameters


def moved(found, expected):
    """How far parameters are from those of another model."""
    pairs = zip(*(jax.tree.leaves(jax.device_get(one.params)) for one in (found, expected)), strict=True)
    return sum(float(np.abs(a - b).sum()) for a, b in pairs)


def test_a_loaded_model_is_not_trained_further_but_its_parameters_are(trained):
    loaded, system = jv.load(trained["vae"].folder), BUILDS["vae"](SPEC)
    with pytest.raises(jv.UserError, match="vae was loaded for use and has no loss: build it anew"):
        jv.train(loaded.system, IMAGES, **SIZES)
    assert_same_parameters(jv.train(system, IMAGES, **SIZES), loaded)  # the same seed again
    assert moved(jv.train(system, IMAGES, init_from=trained["vae"].folder, **SIZES), loaded) > 0.0


@pytest.mark.parametrize("place", ["run", "file.safetensors", "folder", "study"])
def test_a_training_starts_from_every_place_that_loads(trained, place, tmp_path):
    model, where = trained["vqvae"], tmp_path / place
    if place == "run":
        where = model.folder
    elif place == "study":
        where.mkdir()
        (where / "config.json").write_text(json.dumps({key: model.record[key] for key in ("format", "config", "spec")}))
        (where / "summary.json").write_text(json.dumps({"best": "seed=0"}))
        (where / "seed=0").symlink_to(model.folder)
    else:
        model.save(where)
    start = load_start(where, BUILDS["vqvae"](SPEC))
    assert_same_parameters(model, start)
    other = jv.systems.vqvae(SPEC, num_codes=16, code_dim=4, channels=(4,))
    with pytest.raises(jv.UserError, match=r"does not fit this model: .*\[8.* there, float32\[16.* here"):
        load_start(where, other)
    with pytest.raises(jv.UserError, match="does not fit this model: .* missing here"):
        load_start(where, BUILDS["vae"](SPEC))


@pytest.mark.slow
def test_a_system_composed_by_hand_loads_by_itself_alone_and_starts_another(trained, tmp_path, capsys):
    system = BUILDS["vae"](SPEC)._replace(parts=None)
    jv.train(system, IMAGES, folder=tmp_path / "a", **SIZES)
    assert "this run loads only with load(place, system=...)" in capsys.readouterr().err
    with pytest.raises(jv.UserError, match=r"does not describe its model .* load\(place, system=...\)"):
        jv.load(tmp_path / "a")
    np.testing.assert_array_equal(jv.load(tmp_path / "a", system=system).sample(2), trained["vae"].sample(2))
    assert moved(jv.train(system, IMAGES, init_from=tmp_path / "a", **SIZES), trained["vae"]) > 0.0


RECORD = {"format": 2, "config": {}, "spec": {}, "system": {}}
BROKEN = {
    "nothing": (None, "config.json cannot be read"),
    "garbage": (b"\xff\xfe\x00garbage", "config.json is not JSON .*damaged"),
    "not whole": (b'{"format": 2,', "config.json is not JSON .*damaged"),
    "deep": (b"[" * 100_000, "config.json is not JSON .*damaged"),
    "a list": (b"[1]", "has no record of a run in its config.json"),
    "version 0.1": (
        {"config": {}, "spec": {}},
        "was written by jaxvae 0.1, whose runs .* train it again",
    ),
    "a later version": (RECORD | {"format": 3}, "is of format 3, this jaxvae reads up to 2: update jaxvae"),
    "no version": (RECORD | {"format": "x"}, "is of format 'x', expected 2"),
    "no checkpoints": (RECORD, "has no checkpoints: train it first"),
    "support vectors": (
        {"format": 2, "config": {}},
        "no model that could be loaded: support vectors are not saved",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_run_is_one_sentence(name, tmp_path):
    contents, message = BROKEN[name]
    if contents is not None:
        (tmp_path / "config.json").write_bytes(
            contents if isinstance(contents, bytes) else json.dumps(contents).encode()
        )
    with pytest.raises(jv.UserError, match=message) as error:
        jv.load(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "system",
    [
        None,
        3,
        {},
        {"name": 3},
        {"name": "vae", "hparams": [], "parts": {}},
        {"name": "vae", "hparams": {}, "parts": {}},
    ],
)
def test_a_record_without_a_model_is_damaged(system, trained, tmp_path):
    record = dict(trained["vae"].record) | {"system": system}
    (tmp_path / "config.json").write_text(json.dumps(record))
    (tmp_path / "checkpoints").symlink_to(trained["vae"].folder / "checkpoints")
    with pytest.raises(jv.UserError, match="does not describe its model as expected: its config.json is damaged"):
        jv.load(tmp_path)


def test_a_study_without_a_best_run_names_its_parts(trained, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"format": 2, "config": {}}))
    for name in ("seed=0", "seed=1"):
        (tmp_path / name).symlink_to(trained["vae"].folder)
    for summary in ({}, {"best": None}, {"best": 3}, {"best": "seed=7"}, []):
        (tmp_path / "summary.json").write_text(json.dumps(summary))
        with pytest.raises(jv.UserError, match="none of them is the best one: load one of its parts, seed=0, seed=1"):
            jv.load(tmp_path)
    (tmp_path / "summary.json").write_bytes(b"\xff\x00")
    with pytest.raises(jv.UserError, match="summary.json is not JSON"):
        jv.load(tmp_path)


def test_a_save_under_way_is_left_alone_and_nothing_is_written(trained, tmp_path, caplog):
    (tmp_path / "config.json").write_text(json.dumps(trained["vae"].record))
    under_way = tmp_path / "checkpoints" / "12.orbax-checkpoint-tmp"
    under_way.mkdir(parents=True)
    with pytest.raises(jv.UserError, match="no finished checkpoint"):
        jv.load(tmp_path)
    assert under_way.is_dir()
    assert not (tmp_path / ".lock").exists()
    jv.load(trained["vae"].folder)
    assert not caplog.records  # as that the folder is opened to be read


OWN = """
import flax.linen as nn
import jaxvae as jv

class Halved(nn.Module):
    width: int

    @nn.compact
    def __call__(self, x):
        return nn.Dense(self.width)(x[..., ::2, ::2, :].reshape(*x.shape[:-3], -1))
"""


@pytest.mark.slow
def test_a_package_that_was_listed_once_counts_for_all_later_loads(tmp_path, monkeypatch):
    monkeypatch.setattr(names, "_LISTED", set())
    folder = tmp_path / "site-packages"
    folder.mkdir()
    (folder / "halved_net.py").write_text(OWN)
    monkeypatch.syspath_prepend(folder)
    net = __import__("halved_net").Halved(5)
    base = BUILDS["vae"](SPEC)
    vae = base.parts.vae.clone(encoder=net)
    system = jv.systems.vae_system(
        name="own",
        spec=SPEC,
        vae=vae,
        prepare=base.parts.prepare,
        bound=jv.systems.closed_bound(vae),
        optimizer=jv.training.cosine_adam(1e-3, 6),
        hparams=base.trainable.hparams,
    )
    jv.train(system, IMAGES, folder=tmp_path / "a", **SIZES)
    with pytest.raises(jv.UserError, match=r"may not use: .*imports=\['halved_net'\].* or --import halved_net"):
        jv.load(tmp_path / "a")
    jv.train(system, IMAGES, init_from=tmp_path / "a", **SIZES)  # the parts are at hand
    first = jv.load(tmp_path / "a", imports=["halved_net"])
    assert_same_parameters(jv.load(tmp_path / "a"), first)
    sys.modules.pop("halved_net")
