"""Adversarial systems from the command line and from Python: reports, resumption, export, what is refused."""

import json

import jax
import numpy as np
import optax
import pytest

import jaxvae as jv
from experiments import gan
from jaxvae.errors import UserError
from jaxvae.reports.page_curves import by_player, curves_of
from jaxvae.runs.files import read_records
from jaxvae.types import Dataset, Splits
from tests import squares
from tests.experiments.conftest import SPEC, module_and_config, run_command
from tests.runs.small import assert_same_parameters

SMALL = ("--channels", "3", "--hidden", "4", "--latent-dim", "3")
FIGURES = {"samples.png", "interpolations.png", "curves.png"}
ALL = {"energy_score", "energy_score_of_images", "told_apart_train", "told_apart_test"}
RUNS = {
    "gan": (("--pac", "2", "--spectral-norm"), ALL, FIGURES),
    "vae_gan": ((), {*ALL, "mse", "psnr", "ssim", "kl"}, {*FIGURES, "reconstructions.png", "latents.png"}),
    "adversarial_autoencoder": (
        ("--alternating",),
        {*ALL, "mse", "psnr", "ssim", "reconstruction"},
        {*FIGURES, "reconstructions.png", "latents.png"},
    ),
}


@pytest.mark.slow
@pytest.mark.usefixtures("images")
@pytest.mark.parametrize("name", RUNS)
def test_run_is_reported_loads_and_resumes(name, tmp_path, images, capsys):
    flags, metrics, figures = RUNS[name]
    folder = run_command(name, *SMALL, *flags, out=tmp_path)
    assert "energy score of samples" in capsys.readouterr().out
    found = json.loads((folder / "summary.json").read_text())
    assert set(found["metrics"]) == metrics
    assert {path.name for path in (folder / "figures").iterdir()} == figures
    loaded = jv.load(folder)
    samples = loaded.sample(3, seed=1)
    np.testing.assert_array_equal(samples, loaded.sample(3, seed=1))
    assert samples.shape == loaded.decode(np.zeros((3, 3), np.float32)).shape == (3, *SPEC.shape)
    assert loaded.sample(2, temperature=0.5).shape == (2, *SPEC.shape)
    with pytest.raises(UserError, match=f"{name} has no likelihood of images: expected one of"):
        loaded.log_likelihood(images.test.x)
    place = loaded.save(tmp_path / "exported")
    np.testing.assert_array_equal(jv.load(place).sample(3, seed=1), samples)
    run_command(name, *SMALL, *flags, "--steps", "4", "--resume", out=tmp_path)
    assert json.loads((folder / "summary.json").read_text())["steps"] == 4
    curves = curves_of(folder)
    assert {"loss_discriminator", "energy_score"} <= set(curves)
    assert "loss" not in curves


@pytest.mark.slow
@pytest.mark.parametrize("alternating", [False, True])
def test_a_resumed_training_is_that_of_one_piece(alternating, tmp_path):
    _, config = module_and_config("gan", channels=(2,), hidden=3, latent_dim=2, spectral_norm=True, shift=1)
    system = gan.build(config, SPEC)
    players = tuple(player._replace(optimizer=optax.adam(1e-2)) for player in system.trainable.players)
    system = system._replace(
        parts=None,
        trainable=system.trainable._replace(players=players, alternating=alternating, hparams={"augment_steps": 9.0}),
    )
    train, valid, test = squares.squares()
    splits = Splits(*(Dataset(part.x, part.labels) for part in (train, valid, test)))
    options = {"batch_size": 8, "eval_every": 2, "ema_decay": 0.5, "progress": False}
    whole = jv.train(system, splits, steps=4, folder=tmp_path / "whole", **options)
    jv.train(system, splits, steps=2, folder=tmp_path / "parts", **options)
    parts = jv.train(system, splits, steps=4, folder=tmp_path / "parts", resume=True, **options)
    assert_same_parameters(parts, whole)
    lines = [
        [{k: v for k, v in line.items() if "images_per" not in k} for line in read_records(tmp_path / one)]
        for one in ("parts", "whole")
    ]
    assert lines[0][-1] == lines[1][-1]


def test_losses_go_by_what_they_are_of():
    records = [
        {"step": 1, "part": "train", "loss": 2.0, "loss_generator": 3.0},
        {"step": 1, "part": "valid", "loss": 5.0, "energy_score": 5.0},
    ]
    assert by_player(records) == [
        {"step": 1, "part": "train", "loss_discriminator": 2.0, "loss_generator": 3.0},
        {"step": 1, "part": "valid", "energy_score": 5.0},
    ]
    others = [{"step": 1, "part": "train", "loss": 2.0}, {"step": 1, "part": "valid", "loss": 5.0}]
    assert by_player(others) == others


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"pac": 3}, "--pac is 3, expected a number that divides the 8 images of --batch-size"),
        ({"pac": 0}, "--pac is 0, expected at least 1"),
        ({"r1": -1.0}, "--r1 is -1.0, expected at least 0"),
        ({"channels": (0,)}, "--channels is 0, expected numbers of at least 1"),
        ({"latent_dim": 0}, "--latent-dim is 0, expected at least 1"),
    ],
)
def test_impossible_settings_are_refused(changes, sentence):
    with pytest.raises(UserError, match=sentence):
        module_and_config("gan", **changes)


def test_images_that_cannot_be_halved_are_refused():
    _, config = module_and_config("gan", channels=(2, 2, 2, 2, 2))
    system = gan.build(config, SPEC)
    with pytest.raises(UserError, match="An image of 12x12 pixels cannot be halved 5 times"):
        jax.eval_shape(system.trainable.init, jax.random.key(0), squares.batch_of_squares())
