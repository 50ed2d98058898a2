"""From an array to a trained model and back from every place: what a person types first."""

import json

import jax
import numpy as np
import pytest

import jaxvae as jv
from jaxvae.data.arrays import as_examples
from jaxvae.runs.recorder import read_records


def squares(num=60, side=8, seed=0):
    """White squares of 3x3 pixels on black, uint8 [N, side, side]."""
    x = np.zeros((num, side, side), np.uint8)
    for image, (row, column) in zip(x, np.random.default_rng(seed).integers(0, side - 3, (num, 2)), strict=True):
        image[row : row + 3, column : column + 3] = 255
    return x


IMAGES = squares()
BUILDS = {
    "vae": lambda spec: jv.systems.vae(spec, latent_dim=3, net="mlp", warmup_steps=5),
    "vqvae": lambda spec: jv.systems.vqvae(spec, num_codes=8, code_dim=4, channels=(4,)),
    "autoregressive": lambda spec: jv.systems.autoregressive(spec, features=4, num_layers=2),
}


def _leaves(tree):
    return jax.tree.leaves(jax.device_get(tree))


SIZES = {"steps": 6, "batch_size": 16, "eval_every": 3, "progress": False}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model of every ready build, each in a folder of its own."""
    folder, found = tmp_path_factory.mktemp("runs"), {}
    for name, build in BUILDS.items():
        _, spec = jv.data.load(IMAGES)
        found[name] = jv.train(build(spec), IMAGES, folder=folder / name, **SIZES)
    return found


def test_a_vae_samples_encodes_decodes_and_scores(trained):
    model = trained["vae"]
    samples = model.sample(5, seed=3)
    assert samples.shape == (5, 8, 8, 1)
    np.testing.assert_array_equal(samples, model.sample(5, seed=3))
    assert (samples != model.sample(5, seed=4)).any()
    assert set(np.unique(samples)) <= {0.0, 1.0}
    z = model.encode(IMAGES[:7])
    assert z.shape == (7, 3)
    np.testing.assert_array_equal(model.reconstruct(IMAGES[:7]), model.decode(z))
    scores = model.log_likelihood(IMAGES[:7], num_samples=20)
    assert scores.shape == (7,)
    assert np.all(np.isfinite(scores))
    assert np.all(scores < 0)


def test_a_vqvae_has_grids_of_codes_and_an_autoregressive_model_exact_scores(trained):
    codes = trained["vqvae"].encode(IMAGES[:4])
    assert codes.shape == (4, 4, 4)
    assert codes.max() < 8
    assert trained["vqvae"].decode(codes).shape == (4, 8, 8, 1)
    model = trained["autoregressive"]
    assert model.sample(2).shape == (2, 8, 8, 1)
    np.testing.assert_array_equal(model.log_likelihood(IMAGES[:4], seed=0), model.log_likelihood(IMAGES[:4], seed=1))


@pytest.mark.parametrize(
    ("name", "method", "message"),
    [
        ("vqvae", lambda m: m.sample(2), "vqvae cannot draw new images: expected one of VAEs"),
        ("vqvae", lambda m: m.log_likelihood(IMAGES[:2]), r"vqvae cannot bound log p\(x\): expected one of VAEs"),
        ("autoregressive", lambda m: m.encode(IMAGES[:2]), "autoregressive cannot encode images as vectors"),
        ("vae", lambda m: m.encode(squares(2, 9)), "The images are of 9x9 pixels and 1 channel, the model is of 8x8"),
        ("vae", lambda m: m.encode(IMAGES[:2] // 2), "The images are grey, the model is of black and white ones"),
        ("vqvae", lambda m: m.decode((IMAGES[:2], IMAGES[:2])), "vqvae has 1 grids of codes an image, got 2"),
    ],
)
def test_what_a_kind_cannot_do_says_which_can(trained, name, method, message):
    with pytest.raises(jv.UserError, match=message):
        method(trained[name])


def test_results_do_not_depend_on_how_many_images_are_given_at_once(trained):
    model = trained["vae"]
    whole, parts = model.log_likelihood(IMAGES[:6], num_samples=7), model.log_likelihood(IMAGES[:3], num_samples=7)
    np.testing.assert_allclose(whole[:3], parts, rtol=1e-5)
    np.testing.assert_allclose(model.encode(IMAGES[:6])[:2], model.encode(IMAGES[:2]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", BUILDS)
@pytest.mark.parametrize("place", ["run", "file.safetensors", "folder"])
def test_a_model_comes_back_from_every_place(trained, name, place, tmp_path):
    model = trained[name]
    where = model.folder if place == "run" else model.save(tmp_path / place)
    again = jv.load(where)
    assert again.system.name == name
    assert again.spec == model.spec
    assert again.config["batch_size"] == 16
    if name != "autoregressive":
        np.testing.assert_array_equal(again.encode(IMAGES[:3]), model.encode(IMAGES[:3]))
    if name != "vqvae":
        np.testing.assert_array_equal(again.sample(3), model.sample(3))
    if place != "run":
        with pytest.raises(jv.UserError, match="overwrite"):
            model.save(where)
        model.save(where, overwrite=True)


def test_a_loaded_model_is_not_trained_further_but_its_parameters_are(trained, tmp_path):
    loaded, system = jv.load(trained["vae"].folder), trained["vae"].system
    with pytest.raises(jv.UserError, match="vae was loaded for use and has no loss: build it anew"):
        jv.train(loaded.system, IMAGES, **SIZES)
    tuned = jv.train(system, IMAGES, init_from=trained["vae"].folder, **SIZES)
    far = jv.train(system, IMAGES, **SIZES)
    distance = lambda one: sum(  # noqa: E731
        float(np.abs(a - b).sum()) for a, b in zip(*map(_leaves, (one.params, loaded.params)), strict=True)
    )
    assert distance(far) == 0.0  # the same seed again
    assert distance(tuned) > 0.0
    other = jv.systems.vae(loaded.spec, latent_dim=4, net="mlp")
    with pytest.raises(jv.UserError, match="does not fit this model"):
        jv.train(other, IMAGES, init_from=trained["vae"].folder, **SIZES)


def test_a_training_goes_on_where_it_stopped(trained, tmp_path):
    _, spec = jv.data.load(IMAGES)
    system = BUILDS["vae"](spec)
    jv.train(system, IMAGES, folder=tmp_path / "a", **SIZES | {"steps": 3})
    with pytest.raises(jv.UserError, match="exists already"):
        jv.train(system, IMAGES, folder=tmp_path / "a", **SIZES)
    resumed = jv.train(system, IMAGES, folder=tmp_path / "a", resume=True, **SIZES)
    for a, b in zip(_leaves(resumed.params), _leaves(trained["vae"].params), strict=True):
        np.testing.assert_array_equal(a, b)
    assert [r["step"] for r in read_records(tmp_path / "a") if r["part"] == "valid"] == [3, 6]


def test_images_that_are_not_those_of_the_system_are_refused(trained):
    system = trained["vae"].system
    with pytest.raises(jv.UserError, match=r"The images are \[9, 9, 1\] of 2 values, vae is of \[8, 8, 1\] of 2"):
        jv.train(system, squares(20, 9), **SIZES)
    splits, _ = jv.data.load(squares(20, 9))
    with pytest.raises(jv.UserError, match=r"The examples are of shape \[9, 9, 1\]"):
        jv.train(system, splits, **SIZES)


def test_a_system_composed_by_hand_without_parts_loads_by_itself_alone_with_system(trained, tmp_path, capsys):
    system = trained["vae"].system._replace(parts=None)
    jv.train(system, IMAGES, folder=tmp_path / "a", **SIZES)
    assert "this run loads only with load(place, system=...)" in capsys.readouterr().err
    with pytest.raises(jv.UserError, match=r"does not describe its model .* load\(place, system=...\)"):
        jv.load(tmp_path / "a")
    np.testing.assert_array_equal(jv.load(tmp_path / "a", system=system).sample(2), trained["vae"].sample(2))


def test_load_names_what_is_wrong_and_leaves_a_save_under_way(tmp_path, trained):
    with pytest.raises(jv.UserError, match="cannot be read"):
        jv.load(tmp_path)
    record = dict(trained["vae"].record)
    (tmp_path / "config.json").write_text(json.dumps({key: record[key] for key in ("experiment", "config", "spec")}))
    with pytest.raises(jv.UserError, match="is of format that of version 0.1, this version of jaxvae reads format 2"):
        jv.load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(record))
    with pytest.raises(jv.UserError, match="has no checkpoints, train it first"):
        jv.load(tmp_path)
    under_way = tmp_path / "checkpoints" / "12.orbax-checkpoint-tmp"
    under_way.mkdir(parents=True)
    with pytest.raises(jv.UserError, match="no finished checkpoint"):
        jv.load(tmp_path)
    assert under_way.is_dir()


@pytest.mark.parametrize(
    ("x", "num_values", "expected"),
    [
        ([[0, 255]], 2, [0, 1]),
        ([[0, 1]], 2, [0, 1]),
        ([[0, 255]], 256, [0, 255]),
        ([[0, 1]], 256, [0, 255]),  # black and white, as `data.load` takes them
        ([[0, 7]], 256, [0, 7]),
    ],
)
def test_images_are_taken_as_the_system_has_them(x, num_values, expected):
    spec = jv.DataSpec((1, 2, 1), num_values, 0)
    np.testing.assert_array_equal(as_examples(np.array([x], np.uint8), spec).ravel(), expected)
    assert as_examples(np.array([x], np.uint8), spec).dtype == np.uint8


def test_floats_stay_in_unit_range():
    x = np.array([[[0.25, 0.5]]])
    np.testing.assert_allclose(as_examples(x, jv.DataSpec((1, 2, 1), 256, 0)).ravel(), [0.25, 0.5])
    with pytest.raises(jv.UserError, match="The images are grey"):
        as_examples(x, jv.DataSpec((1, 2, 1), 2, 0))
    assert as_examples(x > 0.3, jv.DataSpec((1, 2, 1), 2, 0)).ravel().tolist() == [0, 1]
