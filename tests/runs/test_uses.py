"""What a trained model is used for, by its methods: shapes, seeds, and what a kind cannot do."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxvae as jv
from jaxvae.runs.comparison import require_same
from jaxvae.runs.folder import read_json, write_json
from tests.runs.small import BUILDS, IMAGES, SIZES, SPEC


def test_images_between_two_begin_and_end_at_their_reconstructions(trained):
    model = trained["vae"]
    path = model.interpolate(IMAGES[0], IMAGES[1], 4)
    assert path.shape == (4, 8, 8, 1)
    np.testing.assert_allclose(path[[0, -1]], model.reconstruct(IMAGES[:2]), atol=1e-5)
    np.testing.assert_array_equal(path, model.interpolate(IMAGES[0][..., None], IMAGES[1], 4))
    assert (path != model.interpolate(IMAGES[0], IMAGES[1], 4, path="linear")).any()


def test_latents_are_traversed_at_the_mean_or_at_an_image(trained):
    model = trained["vae"]
    rows = model.traverse(num=5)
    assert rows.shape == (3, 5, 8, 8, 1)
    order = np.argsort(-model.latents.std[0])
    np.testing.assert_array_equal(rows, model.traverse(num=5, dims=order))
    middle = model.decode(model.encode(IMAGES[:1]))
    assert np.abs(model.traverse(IMAGES[0], num=9) - middle).max(axis=(2, 3, 4)).min() > 0
    assert model.traverse(IMAGES[0], dims=[2]).shape == (1, 9, 8, 8, 1)


def test_images_get_more_or_less_of_an_attribute(trained):
    model, has = trained["vae"], np.arange(len(IMAGES)) % 3 == 0
    found = model.attribute(IMAGES, has)
    codes = model.encode(IMAGES)
    np.testing.assert_allclose(found.direction, codes[has].mean(0) - codes[~has].mean(0), rtol=1e-4, atol=1e-6)
    moved = model.move(IMAGES[:2], found, (-1, 0, 2))
    assert moved.shape == (2, 3, 8, 8, 1)
    np.testing.assert_allclose(moved[:, 1], model.reconstruct(IMAGES[:2]), atol=1e-5)
    np.testing.assert_allclose(moved[:, 2], model.decode(codes[:2] + 2 * found.direction), atol=1e-5)


def test_samples_have_means_and_a_temperature(trained):
    model = trained["vae"]
    means = model.sample(4, means=True)
    assert set(np.unique(model.sample(4))) <= {0, 1}
    assert 0 < means.min() < means.max() < 1
    assert model.sample(40, means=True, temperature=0.3).std(axis=0).mean() < means.std(axis=0).mean()
    np.testing.assert_array_equal(model.sample(4, temperature=1.0), model.sample(4))
    assert trained["autoregressive"].sample(3, temperature=0.5).shape == (3, 8, 8, 1)


def test_posterior_and_scores_say_more_than_encode_and_log_likelihood(trained):
    model = trained["vae"]
    means, stds = model.posterior(IMAGES[:5])
    np.testing.assert_allclose(means, model.encode(IMAGES[:5]), atol=1e-6)
    assert stds.shape == means.shape
    assert stds.min() > 0
    scores = model.score(IMAGES[:5], num_samples=20)
    np.testing.assert_array_equal(scores.log_likelihood, model.log_likelihood(IMAGES[:5], num_samples=20))
    assert (scores.elbo < scores.log_likelihood).all()
    np.testing.assert_allclose(scores.bits_per_dim, -scores.log_likelihood / np.log(2) / 64, rtol=1e-5)
    exact = trained["autoregressive"].score(IMAGES[:5])
    assert exact.elbo is exact.stderr is None
    np.testing.assert_array_equal(exact.log_likelihood, trained["autoregressive"].log_likelihood(IMAGES[:5]))


def test_noise_is_taken_out_of_images_that_are_no_longer_binary(trained):
    noisy = IMAGES[:5] / 255 + np.random.default_rng(0).normal(0, 0.3, (5, 8, 8))
    found = trained["vae"].denoise(noisy, num_samples=3)
    assert found.shape == (5, 8, 8, 1)
    assert len(np.unique(found)) > 10
    np.testing.assert_allclose(found[:2], trained["vae"].denoise(noisy[:2], num_samples=3), atol=1e-5)
    codec = trained["vqvae"]
    np.testing.assert_array_equal(codec.denoise(IMAGES[:5]), codec.reconstruct(IMAGES[:5]))


@pytest.mark.parametrize("name", ["vae", "autoregressive"])
def test_images_are_completed_several_times(trained, name):
    mask = np.zeros((8, 8), np.uint8)
    mask[3:] = 255
    found = trained[name].complete(IMAGES[:3], mask, num=2)
    assert found.shape == (3, 2, 8, 8, 1)
    np.testing.assert_array_equal(found[:, :, :3, :, 0], np.stack([IMAGES[:3, :3] / 255] * 2, axis=1))
    np.testing.assert_array_equal(found, trained[name].complete(IMAGES[:3], mask, num=2))
    assert (found != trained[name].complete(IMAGES[:3], mask, num=2, seed=1)).any()
    assert set(np.unique(found)) == {0, 1}
    if name == "vae":
        means = trained[name].complete(IMAGES[:3], mask, num=2, drawn=False)
        assert 0 < means[:, :, 3:].min() < means[:, :, 3:].max() < 1


def test_a_classifier_gives_probabilities(trained):
    """By a system that classifies each image by its top left pixel."""
    log_q = lambda params, state, keys, x: jax.nn.log_softmax(jnp.stack([x[:, 0, 0, 0], 0 * x[:, 0, 0, 0]], 1))  # noqa: E731
    model = trained["vae"]
    model = dataclasses.replace(model, system=model.system._replace(use=(jv.capabilities.Classifies(log_q),)))
    images = IMAGES[:6].copy()
    images[:3, 0, 0], images[3:, 0, 0] = 255, 0
    found = model.classify(images)
    np.testing.assert_allclose(found[:, 0], np.repeat([np.e / (1 + np.e), 0.5], 3), rtol=1e-5)


REFUSED = {
    "no means": (
        "autoregressive",
        lambda m: m.sample(2, means=True),
        "autoregressive has no means of its samples: expected a VAE whose pixels are independent, M2 or",
    ),
    "no classes": ("vae", lambda m: m.sample(2, label=0), "vae cannot draw images of a class: expected one of"),
    "no temperature": ("vae", lambda m: m.sample(2, temperature=0), "temperature is 0, expected a number above 0"),
    "no completion": (
        "vqvae",
        lambda m: m.complete(IMAGES, np.ones((8, 8))),
        "vqvae cannot complete images: expected one of VAEs whose pixels are independent given the latent",
    ),
    "another mask": (
        "vae",
        lambda m: m.complete(IMAGES[:2], np.ones((7, 8))),
        r"The mask is of shape \[7, 8\], expected \[8, 8\], as the model has images, or one for each of them",
    ),
    "no means of pixels": (
        "autoregressive",
        lambda m: m.complete(IMAGES[:2], np.ones((8, 8)), drawn=False),
        "autoregressive draws pixels one by one, and has no means of them: leave drawn=False out",
    ),
    "no class": (
        "vae",
        lambda m: m.complete(IMAGES[:2], np.ones((8, 8)), labels=[0, 1]),
        "vae knows no classes: leave the labels out",
    ),
    "no denoiser": ("autoregressive", lambda m: m.denoise(IMAGES), "autoregressive has no codes of images: expected"),
    "no classifier": ("vae", lambda m: m.classify(IMAGES), "vae cannot classify images: expected one of classifiers"),
    "no posterior": ("vqvae", lambda m: m.posterior(IMAGES), r"vqvae cannot draw latents of q\(z \| x\): expected"),
    "no score": ("vqvae", lambda m: m.score(IMAGES), "vqvae has no likelihood of images: expected one of"),
    "labels of no use": (
        "vae",
        lambda m: m.score(IMAGES[:1], labels=[0]),
        "vae knows no classes: leave the labels out",
    ),
    "no path between grids": (
        "vqvae",
        lambda m: m.interpolate(IMAGES[0], IMAGES[1]),
        "vqvae cannot encode images as vectors: expected one of VAEs and autoencoders",
    ),
    "no vectors": ("autoregressive", lambda m: m.traverse(), "autoregressive cannot encode images as vectors"),
    "no directions": (
        "vqvae",
        lambda m: m.attribute(IMAGES, np.arange(len(IMAGES)) > 1),
        "vqvae cannot encode images as vectors",
    ),
    "several images": (
        "vae",
        lambda m: m.interpolate(IMAGES[:2, None], IMAGES[0]),
        r"The image has shape \[2, 1, 8, 8\], expected \[H, W\] or \[H, W, C\]",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_done_is_one_sentence(trained, name):
    model, method, message = REFUSED[name]
    with pytest.raises(jv.UserError, match=message) as error:
        method(trained[model])
    assert "\n" not in str(error.value)


# ---------- statistics of the codes


def test_statistics_of_the_codes_are_saved_with_a_model(trained, tmp_path):
    model = trained["vae"]
    splits, _ = jv.data.load(IMAGES)
    means, statistics = model.encode(splits.train.x), model.latents
    np.testing.assert_allclose(statistics.mean[0], means.mean(axis=0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(statistics.std[0], means.std(axis=0), rtol=1e-4)
    assert statistics.posterior_std[0].shape == (3,)
    for place in (model.folder, model.save(tmp_path / "model.safetensors"), model.save(tmp_path / "folder")):
        found = jv.load(place).latents
        for group, expected in zip(found, statistics, strict=True):
            np.testing.assert_array_equal(group[0], expected[0])
    assert trained["vqvae"].latents is None
    assert trained["autoregressive"].latents is None


def test_a_model_without_statistics_loads_and_is_traversed(trained, tmp_path):
    place = trained["vae"].save(tmp_path / "old")
    record = read_json(place / "config.json")
    del record["latents"]
    write_json(place / "config.json", record)
    old = jv.load(place)
    assert old.latents is None
    assert old.traverse(num=2).shape == (3, 2, 8, 8, 1)


@pytest.mark.parametrize("damaged", [{"mean": [[0.0]]}, {"mean": [[0.0]], "std": [[1.0, 2.0]]}, [], {"mean": 1}, "no"])
def test_damaged_statistics_are_one_sentence(trained, tmp_path, damaged):
    place = trained["vae"].save(tmp_path / "damaged")
    record = read_json(place / "config.json")
    write_json(place / "config.json", {**record, "latents": damaged})
    with pytest.raises(jv.UserError, match="statistics of the codes in config.json are damaged"):
        jv.load(place).latents  # noqa: B018


def test_statistics_of_a_first_stage_are_no_other_model(tmp_path):
    before, now = ({"stage": {"data": "a", "latents": {"mean": [[value]]}}} for value in (0.1, 0.2))
    require_same(tmp_path, before, now, ())
    with pytest.raises(jv.UserError, match="other images"):
        require_same(tmp_path, before, {"stage": {**now["stage"], "data": "b"}}, ())


@pytest.mark.slow
def test_a_resumed_run_has_the_statistics_of_its_new_codes(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    before = jv.train(BUILDS["vae"](SPEC), IMAGES, folder=folder, **SIZES)
    counted = []
    monkeypatch.setattr("jaxvae.runs.training.latent_statistics", lambda *model: counted.append(model))
    again = jv.train(BUILDS["vae"](SPEC), IMAGES, folder=folder, resume=True, **SIZES)
    assert not counted  # nothing was trained
    np.testing.assert_array_equal(again.latents.mean[0], before.latents.mean[0])
    monkeypatch.undo()
    longer = jv.train(BUILDS["vae"](SPEC), IMAGES, folder=folder, resume=True, **{**SIZES, "steps": 60})
    assert json.loads((folder / "config.json").read_text())["latents"]["step"] == longer.training["best_step"] > 6
    assert (longer.latents.mean[0] != before.latents.mean[0]).any()
