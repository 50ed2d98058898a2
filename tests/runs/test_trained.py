"""From an array to a trained model and back from every place: what a person types first."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxvae as jv
from jaxvae.applications import generation
from jaxvae.data.arrays import as_examples, as_noisy_examples
from jaxvae.runs.trained import Trained
from jaxvae.systems.flow_density import flow_density_system
from tests.runs.small import BUILDS, IMAGES, SIZES, SPEC, squares
from tests.systems.test_code_prior import prior_of


def untrained(system):
    """A model as it was initialised, without data."""
    params, state = jax.jit(system.trainable.init)(
        jax.random.key(0), jv.Batch(np.zeros((8, *system.spec.shape), np.uint8), np.zeros(8, np.int32), np.ones(8))
    )
    return Trained(system, params, state, {"config": {}})


@pytest.fixture(scope="module")
def others():
    """Models that are of no images."""
    planar = {"target": "mixture", "num_flows": 2, "base": "fixed", "objective": "reverse_kl", "gradient": "path"}
    system = flow_density_system(
        name="planar_density", max_flows=2, anneal_steps=0.0, optimizer=optax.adam(1e-2), **planar
    )
    return {"prior": untrained(prior_of(levels=1)), "planar_density": untrained(system)}


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


GRID, Z = np.zeros((2, 4, 4), np.int32), np.zeros((2, 3), np.float32)
REFUSED = {
    "no samples of a codec": ("vqvae", lambda m: m.sample(2), "vqvae cannot draw new images: expected one of VAEs"),
    "no scores of a codec": (
        "vqvae",
        lambda m: m.log_likelihood(IMAGES[:2]),
        "vqvae has no likelihood of images: expected one of autoregressive models, VAEs",
    ),
    "no codes": (
        "autoregressive",
        lambda m: m.encode(IMAGES[:2]),
        "autoregressive has no codes of images: expected one of VQ-VAEs, VAEs and autoencoders",
    ),
    "nothing to decode": (
        "autoregressive",
        lambda m: m.decode(Z),
        "autoregressive has no codes of images that it decodes",
    ),
    "another size": (
        "vae",
        lambda m: m.encode(squares(2, 9)),
        "The images are of 9x9 pixels and 1 channel, the model is of 8x8",
    ),
    "grey": ("vae", lambda m: m.encode(IMAGES[:2] // 2 + 1), "The images are grey, the model is of black and white"),
    "no images": ("vae", lambda m: m.encode(IMAGES[:0]), "expected at least one image"),
    "ragged": ("vae", lambda m: m.encode([[1, 2], [3]]), "The images are no array"),
    "two grids": ("vqvae", lambda m: m.decode((GRID, GRID)), "vqvae has 1 grid of codes an image, got 2"),
    "list of grids": ("vqvae", lambda m: m.decode([GRID]), r"of shape \[1, 2, 4, 4\], those of vqvae of \[N, 4, 4\]"),
    "code too large": ("vqvae", lambda m: m.decode(GRID + 8), "The codes are from 8 to 8, those of vqvae from 0 to 7"),
    "code below 0": ("vqvae", lambda m: m.decode(GRID - 1), "The codes are from -1 to -1, those of vqvae from 0 to 7"),
    "floats for codes": (
        "vqvae",
        lambda m: m.decode(GRID * 1.0),
        "The codes are of type float64, expected",
    ),
    "grid of another size": (
        "vqvae",
        lambda m: m.decode(GRID[:, :3]),
        r"The codes are of shape \[2, 3, 4\], those of vqvae of \[N, 4, 4\]",
    ),
    "no grids": ("vqvae", lambda m: m.decode(GRID[:0]), "There are no codes"),
    "vectors too wide": (
        "vae",
        lambda m: m.decode(np.zeros((2, 4))),
        r"The codes are of shape \[2, 4\], those of vae of \[N, 3\]",
    ),
    "one vector": ("vae", lambda m: m.decode(Z[0]), r"The codes are of shape \[3\], those of vae of \[N, 3\]"),
    "no vectors": ("vae", lambda m: m.decode(Z[:0]), "There are no codes"),
    "vectors of NaN": ("vae", lambda m: m.decode(Z * np.nan), "The codes have NaN"),
    "vectors of words": ("vae", lambda m: m.decode([["a"] * 3]), "The codes are of type <U1, expected floats"),
    "two groups": ("vae", lambda m: m.decode((Z, Z)), "vae has 1 group of latents, got 2"),
    "no sample": ("vae", lambda m: m.sample(0), "num is 0, expected a whole number of at least 1"),
    "negative number": ("vae", lambda m: m.sample(-3), "num is -3, expected a whole number of at least 1"),
    "half a sample": ("vae", lambda m: m.sample(2.5), "num is 2.5, expected a whole number of at least 1"),
    "negative seed": ("vae", lambda m: m.sample(2, seed=-1), "seed is -1, expected a whole number of at least 0"),
    "no latents": (
        "vae",
        lambda m: m.log_likelihood(IMAGES[:2], num_samples=0),
        "num_samples is 0, expected a whole number of at least 1",
    ),
    "labels of no use": (
        "vae",
        lambda m: m.log_likelihood(IMAGES[:2], labels=[0, 1]),
        "vae knows no classes: leave the labels out",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_done_is_one_sentence(trained, name):
    model, method, message = REFUSED[name]
    with pytest.raises(jv.UserError, match=message) as error:
        method(trained[model])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "method", "message"),
    [
        ("prior", lambda m: m.encode(IMAGES), "prior has no codes of images: expected one of VQ-VAEs"),
        ("prior", lambda m: m.reconstruct(IMAGES), "prior has no codes of images"),
        ("prior", lambda m: m.log_likelihood(IMAGES, labels=[0] * 60), "prior is a model of rows of 9 numbers, not of"),
        ("planar_density", lambda m: m.encode(IMAGES), "planar_density has no codes of images"),
        ("planar_density", lambda m: m.log_likelihood(IMAGES), "planar_density has no likelihood of images"),
        ("planar_density", lambda m: m.decode(np.zeros((1, 2))), "planar_density has no codes of images"),
    ],
)
def test_models_that_are_of_no_images_take_none(others, name, method, message):
    with pytest.raises(jv.UserError, match=message):
        method(others[name])


def test_models_of_codes_and_of_points_draw(others):
    assert others["prior"].sample(4).shape == (4, 12, 12, 1)
    points = others["planar_density"].sample(4)
    assert points.shape == (4, 2)
    assert points.min() < 0  # they are no pixels


def test_a_model_of_classes_scores_with_labels_alone(others):
    """Exactly that of the classes given, and none that does not exist."""
    decoder = prior_of(levels=1).parts.decoders[0]
    parts = BUILDS["autoregressive"](SPEC).parts
    context = decoder.context.clone(num_embeddings=3, features=4)
    spec = SPEC._replace(num_classes=3)
    system = jv.systems.autoregressive_system(
        name="by_class",
        spec=spec,
        decoder=parts.decoder.clone(context=context),
        likelihood=parts.likelihood,
        tokens=parts.tokens,
        prepare=parts.prepare,
        optimizer=optax.sgd(1.0),
    )
    model, x = untrained(system), IMAGES[:3]
    labels = np.array([0, 1, 2])
    found = model.log_likelihood(x, labels=labels)
    singly = [model.log_likelihood(x[i : i + 1], labels=labels[i : i + 1])[0] for i in range(3)]
    np.testing.assert_allclose(found, singly, rtol=1e-5)
    assert np.abs(found - model.log_likelihood(x, labels=[1, 1, 1]))[[0, 2]].min() > 1e-4
    for given, message in (
        (None, "by_class is conditional on classes: expected labels, one from 0 to 2 each"),
        ([0, 1], r"The labels are int64 of shape \[2\], expected an integer for each of the 3 images"),
        ([0, 1, 3], "The labels are from 0 to 3, the classes of by_class from 0 to 2"),
        ([0, -1, 1], "The labels are from -1 to 1, the classes of by_class from 0 to 2"),
        ([0.0, 1.0, 2.0], "The labels are float64"),
        ([[0], [1, 2]], "The labels are no array"),
    ):
        with pytest.raises(jv.UserError, match=message):
            model.log_likelihood(x, labels=given)
    splits, _ = jv.data.load(IMAGES)
    with pytest.raises(jv.UserError, match="by_class is conditional on classes, and the training set has no labels"):
        jv.train(system, splits, **SIZES)


def test_results_do_not_depend_on_how_many_images_are_given_at_once(trained):
    model = trained["vae"]
    whole, parts = model.log_likelihood(IMAGES[:6], num_samples=7), model.log_likelihood(IMAGES[:3], num_samples=7)
    np.testing.assert_allclose(whole[:3], parts, rtol=1e-5)
    np.testing.assert_allclose(model.encode(IMAGES[:6])[:2], model.encode(IMAGES[:2]), rtol=1e-5, atol=1e-6)


def test_fewer_samples_are_the_first_ones_of_more(trained, monkeypatch):
    monkeypatch.setattr(generation, "BATCH", 4)
    monkeypatch.setattr(generation, "NUMBERS", 1)
    for name in ("vae", "autoregressive"):
        some = trained[name].sample(10)
        assert some.shape == (10, 8, 8, 1)
        for num in (1, 4, 7):
            np.testing.assert_array_equal(trained[name].sample(num), some[:num])
        assert (some[:4] != some[4:8]).any()
    traces = generation._batch._cache_size()
    trained["vae"].sample(23)  # one program for any number
    assert generation._batch._cache_size() == traces


@pytest.mark.parametrize(("spec", "size"), [
    (jv.DataSpec((28, 28, 1), 256, 0), 100),
    (jv.DataSpec((28, 28, 1), 256, 47), 94),  # as many of every class
    (jv.DataSpec((256, 256, 3), 256, 0), 1),
    (jv.DataSpec((64, 64, 3), 256, 1000), 1000),
    (jv.DataSpec((2,), 2, 0), 5000),
])  # fmt: skip
def test_samples_are_drawn_in_batches_of_one_size(spec, size):
    assert generation.batch_size(spec) == size


def test_no_method_has_the_noise_of_another_or_of_a_training(trained):
    model, num = trained["vae"], generation.batch_size(SPEC)
    sample = jv.capabilities.require(model.system, jv.capabilities.Generates).sample
    for key in (jax.random.key(0), jax.random.fold_in(jax.random.key(0), 0)):
        assert (np.asarray(sample(key, model.params, {}, num).x) != model.sample(num, seed=0)).any()


def test_every_method_has_a_key_of_its_own(trained, monkeypatch):
    keys = []
    for place, name in (
        ("generation", "sample"),
        ("encoding", "encode"),
        ("encoding", "decode"),
        ("likelihood", "log_likelihood"),
    ):
        noted = lambda *args: keys.append(next(a for a in args if isinstance(a, jax.Array)))  # noqa: E731
        answer = lambda *args, noted=noted, **options: noted(*args) or (IMAGES,)  # noqa: E731
        monkeypatch.setattr(f"jaxvae.applications.{place}.{name}", answer)
    model = trained["vae"]
    for method in (lambda m: m.encode(IMAGES), lambda m: m.decode(Z), lambda m: m.log_likelihood(IMAGES)):
        method(model)
    with pytest.raises(AttributeError):
        model.sample(2)  # of no images
    data = {tuple(np.asarray(jax.random.key_data(key)).tolist()) for key in keys}
    assert len(data) == len(keys) == 4


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


def test_the_home_folder_is_written_as_a_tilde(trained, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    trained["vae"].save("~/m.safetensors")
    assert (tmp_path / "m.safetensors").is_file()
    jv.load("~/m.safetensors")
    jv.train(BUILDS["vae"](SPEC), IMAGES, folder="~/run", init_from="~/m.safetensors", **SIZES)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.safetensors", "run"]


@pytest.mark.parametrize(
    ("x", "num_values", "expected"),
    [
        ([[0, 255]], 2, [0, 1]),
        ([[0, 1]], 2, [0, 1]),
        ([[0, 7]], 2, [0, 1]),
        ([[7, 7]], 2, [1, 1]),
        ([[0, 255]], 256, [0, 255]),
        ([[0, 1]], 256, [0, 1]),  # nearly black, whatever the other images are
        ([[0, 7]], 256, [0, 7]),
    ],
)
def test_images_are_taken_as_the_system_has_them(x, num_values, expected):
    spec = jv.DataSpec((1, 2, 1), num_values, 0)
    np.testing.assert_array_equal(as_examples(np.array([x], np.uint8), spec).ravel(), expected)
    assert as_examples(np.array([x], np.uint8), spec).dtype == np.uint8


@pytest.mark.parametrize("num_values", [2, 256])
def test_what_becomes_of_an_image_does_not_depend_on_the_others(num_values):
    spec = jv.DataSpec((1, 2, 1), num_values, 0)
    x = np.array([[[0, 1]], [[0, 255]], [[0, 0]], [[0, 128]], [[9, 9]]], np.uint8)
    whole = as_examples(x, spec)
    for i in range(len(x)):
        np.testing.assert_array_equal(as_examples(x[i : i + 1], spec)[0], whole[i])


def test_floats_stay_in_unit_range_and_bools_are_black_and_white():
    x = np.array([[[0.25, 0.5]]])
    np.testing.assert_allclose(as_examples(x, jv.DataSpec((1, 2, 1), 256, 0)).ravel(), [0.25, 0.5])
    with pytest.raises(jv.UserError, match="The images are grey"):
        as_examples(x, jv.DataSpec((1, 2, 1), 2, 0))
    for num_values in (2, 256):
        spec = jv.DataSpec((1, 2, 1), num_values, 0)
        assert as_examples(x > 0.3, spec).ravel().tolist() == [0, num_values - 1]
    with pytest.raises(jv.UserError, match="The images have values up to 200, the model knows 0 to 15"):
        as_examples(np.full((1, 1, 2), 200, np.uint8), jv.DataSpec((1, 2, 1), 16, 0))


def test_images_of_jax_are_taken_too(trained):
    np.testing.assert_array_equal(trained["vae"].encode(jnp.asarray(IMAGES[:3])), trained["vae"].encode(IMAGES[:3]))


@pytest.mark.parametrize(("spec", "name"), [
    (jv.DataSpec((8, 8, 1), 2, 0), "bernoulli"),
    (jv.DataSpec((8, 8, 1), 256, 0), "bernoulli"),
    (jv.DataSpec((8, 8, 3), 2, 0), "bernoulli"),
    (jv.DataSpec((8, 8, 3), 256, 0), "gaussian"),
])  # fmt: skip
def test_the_likelihood_of_a_ready_vae_is_that_of_its_images(spec, name):
    assert jv.systems.vae(spec).parts.vae.likelihood.recipe.constructor.__name__ == name


def test_a_record_is_json(trained):
    json.dumps(trained["vae"].record, allow_nan=False)


@pytest.mark.parametrize(
    ("x", "num_values", "expected"),
    [
        (np.array([[0, 255]], np.uint8), 2, [0, 1]),
        (np.array([[0, 1]], np.uint8), 2, [0, 1]),
        (np.array([[51, 255]], np.uint8), 2, [0.2, 1]),  # greys of a binary image
        (np.array([[0, 255]], np.uint8), 256, [0, 1]),
        (np.array([[0, 1]], np.uint8), 256, [0, 1 / 255]),
        (np.array([[3, 15]], np.uint8), 16, [0.2, 1]),
        (np.array([[False, True]]), 256, [0, 1]),
        (np.array([[-0.5, 1.25]]), 2, [-0.5, 1.25]),  # as Gaussian noise leaves them
    ],
)
def test_noisy_images_are_taken_as_they_are(x, num_values, expected):
    found = as_noisy_examples(x[None], jv.DataSpec((1, 2, 1), num_values, 0))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.ravel(), expected, rtol=1e-6)


@pytest.mark.parametrize(("x", "message"), [
    (np.array([[0.0, np.nan]]), "The images hold NaN or infinite values"),
    (np.array([[0.0, 1.0, 1.0]]), "The images are of 1x3 pixels and 1 channel, the model is of 1x2"),
    (np.array([[0, 16]], np.uint8), "The images have values up to 16, the model knows 0 to 15"),
])  # fmt: skip
def test_noisy_images_that_are_none_are_refused(x, message):
    with pytest.raises(jv.UserError, match=message):
        as_noisy_examples(x[None], jv.DataSpec((1, 2, 1), 16, 0))


def test_in_a_notebook_a_model_shows_its_samples_and_numbers(trained, tmp_path):
    model = trained["vae"]
    shown = model._repr_html_()
    assert f"<b>{model.system.name}</b>" in shown
    assert "of 8x8x1" in shown
    assert 'src="data:image/png;base64,' in shown
    (tmp_path / "config.json").write_text(json.dumps(model.record))
    (tmp_path / "summary.json").write_text(json.dumps({"metrics": {"nll": 12.3421}}))
    placed = dataclasses.replace(model, folder=tmp_path)
    assert "12.34 nats per image" in placed._repr_html_()
