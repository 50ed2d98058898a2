"""`jv.train`: what it refuses, how it goes on, what an interrupt leaves, and schedules that follow its steps."""

import os
import signal
import subprocess
import sys
import threading

import jax
import numpy as np
import optax
import pytest

import jaxvae as jv
from jaxvae.runs import recorder
from jaxvae.runs.files import read_json, read_records
from jaxvae.runs.lock import lock
from tests.runs.small import BUILDS, IMAGES, SIZES, SPEC, assert_same_parameters, squares

# ---------- what is refused


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps is 0, expected a whole number of at least 1"),
        ({"steps": 2.5}, "steps is 2.5, expected a whole number"),
        ({"batch_size": 0}, "batch_size is 0, expected a whole number of at least 1"),
        ({"eval_every": 0}, "eval_every is 0, expected a whole number of at least 1"),
        ({"seed": -1}, "seed is -1, expected a whole number of at least 0"),
        ({"seed": 2**32}, "seed is 4294967296, expected a whole number of at most 4,294,967,295"),
        ({"steps": 10**20}, "steps is .*, expected a whole number of at most 1,000,000,000"),
        ({"ema_decay": 1.0}, "ema_decay is 1.0, expected 0 to below 1"),
        ({"patience": -1}, "patience is -1, expected a whole number of at least 0"),
        ({"clip_norm": -1.0}, "clip_norm is -1.0, expected more than 0"),
        ({"clip_norm": float("nan")}, "clip_norm is nan, expected a finite number"),
        ({"ema_decay": "much"}, "One of ema_decay, .* is no number"),
        ({"resume": True}, "resume=True continues the training in a folder: name it"),
    ],
)
def test_impossible_arguments_are_refused_by_their_names(changes, message, tmp_path):
    with pytest.raises(jv.UserError, match=message) as error:
        jv.train(BUILDS["vae"](SPEC), IMAGES, **SIZES | changes)
    assert "--" not in str(error.value)


@pytest.mark.parametrize("system", [None, BUILDS["vae"], jv.MLP((3,))])
def test_what_is_no_system_is_named(system):
    with pytest.raises(jv.UserError, match=r"is no system to train: make one, as jaxvae\.systems\.vae"):
        jv.train(system, IMAGES, **SIZES)


@pytest.mark.parametrize("number", [0, -1, 1.5, "x", None, True, 10**12])
def test_ready_builds_refuse_numbers_that_cannot_be(number):
    for build in (
        lambda: jv.systems.vae(SPEC, latent_dim=number),
        lambda: jv.systems.vqvae(SPEC, num_codes=number),
        lambda: jv.systems.vqvae(SPEC, channels=(4, number)),
        lambda: jv.systems.autoregressive(SPEC, num_layers=number),
    ):
        with pytest.raises(jv.UserError, match="expected a whole number of at"):
            build()


GREY = jv.DataSpec((8, 8, 1), 256, 0)
CODES = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1), np.uint8)


def splits_of(x, labels=None):
    part = lambda rows: jv.Dataset(x[rows], None if labels is None else labels[rows])  # noqa: E731
    return jv.Splits(part(slice(0, 10)), part(slice(10, 15)), part(slice(15, 20)))


@pytest.mark.parametrize(
    ("spec", "images", "message"),
    [
        (SPEC, squares(20, 9), r"The images are \[9, 9, 1\] of 2 values, vae is of \[8, 8, 1\] of 2"),
        (SPEC, jv.data.load(squares(20, 9))[0], r"The training set has images of shape \[9, 9, 1\], expected \[8"),
        (SPEC, splits_of(CODES), "The training set has integers from 0 to 255, vae is of 2 values"),
        (SPEC, splits_of(CODES / np.float32(255)), "The training set is grey, vae is of binary images"),
        (GREY, splits_of(CODES % 2), "The images are binary, zeros and ones, vae is of 256 values"),
        (GREY, splits_of(CODES.astype(np.float32)), "The training set has floats from 0 to 255, expected 0 to 1"),
        (GREY, splits_of(CODES.astype(np.float32) * np.nan), "The training set has floats from nan to nan"),
        (GREY, splits_of(CODES.astype(np.int32) - 1), "The training set has integers from -1 to 25"),
        (GREY, splits_of(CODES[:12]), "The test set has no examples"),
        (GREY, "digits", "The images images are of type|images are of type"),
    ],
)  # fmt: skip
def test_images_that_are_not_those_of_the_system_are_refused(spec, images, message):
    with pytest.raises(jv.UserError, match=message):
        jv.train(BUILDS["vae"](spec), images, **SIZES)


def test_numbers_of_numpy_are_numbers():
    trained = jv.train(BUILDS["vae"](SPEC), IMAGES, steps=np.int64(2), batch_size=np.int32(8), seed=np.uint8(0))
    assert trained.config["steps"] == 2


def test_nothing_is_left_of_what_is_refused(trained, tmp_path):
    system, place = BUILDS["vae"](SPEC), tmp_path / "a"
    other = jv.systems.vae(SPEC, latent_dim=4, net="mlp")
    for refused in (
        lambda: jv.train(system, squares(20, 9), folder=place, **SIZES),
        lambda: jv.train(other, IMAGES, folder=place, init_from=trained["vae"].folder, **SIZES),
        lambda: jv.train(system, IMAGES, folder=place, resume=True, **SIZES),
        lambda: jv.train(jv.load(trained["vae"].folder).system, IMAGES, folder=place, **SIZES),
    ):
        with pytest.raises(jv.UserError):
            refused()
        assert not place.exists()


# ---------- resuming


def interrupted(monkeypatch, number, at=3):
    """Have a signal come to this process when a step is recorded."""
    call = recorder.Recorder.__call__

    def record(self, step, part, metrics):
        call(self, step, part, metrics)
        if step == at and part == "train":
            os.kill(os.getpid(), number)

    monkeypatch.setattr(recorder.Recorder, "__call__", record)


@pytest.mark.slow
def test_an_interrupt_gives_back_the_best_so_far_and_the_training_goes_on(trained, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        interrupted(patch, signal.SIGINT)
        part = jv.train(BUILDS["vae"](SPEC), IMAGES, folder=tmp_path / "a", **SIZES)
    assert "vae: interrupted after step 3: the best so far, of step 3, is returned" in capsys.readouterr().out
    assert part.training["steps"] == 3
    assert part.sample(2).shape == (2, 8, 8, 1)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(jv.UserError, match="exists already: continue it with resume=True"):
        jv.train(BUILDS["vae"](SPEC), IMAGES, folder=tmp_path / "a", **SIZES)
    resumed = jv.train(BUILDS["vae"](SPEC), IMAGES, folder=tmp_path / "a", resume=True, **SIZES)
    assert_same_parameters(resumed, trained["vae"])
    assert [r["step"] for r in read_records(tmp_path / "a") if r["part"] == "valid"] == [3, 6]


@pytest.mark.slow
def test_an_interrupt_before_the_first_evaluation_is_one(tmp_path, monkeypatch):
    interrupted(monkeypatch, signal.SIGINT, at=100)
    with pytest.raises(KeyboardInterrupt, match="after step 100, before the first evaluation, all is saved in"):
        jv.train(BUILDS["vae"](SPEC), IMAGES, folder=tmp_path / "a", **SIZES | {"steps": 200, "eval_every": 200})
    assert (tmp_path / "a" / "checkpoints" / "100").is_dir()


def test_sigterm_saves_and_ends_the_process(tmp_path, monkeypatch, capsys):
    interrupted(monkeypatch, signal.SIGTERM)
    with pytest.raises(SystemExit) as error:
        jv.train(BUILDS["vae"](SPEC), IMAGES, folder=tmp_path / "a", **SIZES)
    assert error.value.code == 143
    assert "vae: ended by SIGTERM after step 3, all is saved" in capsys.readouterr().out
    assert (tmp_path / "a" / "checkpoints" / "3").is_dir()


@pytest.mark.slow
def test_another_model_or_other_images_are_not_gone_on_with(tmp_path):
    place, resumed = tmp_path / "a", {"resume": True, **SIZES}
    jv.train(BUILDS["vae"](SPEC), IMAGES, folder=place, **SIZES)
    before = read_json(place / "config.json")
    for system, images, message in (
        (BUILDS["vae"](SPEC, latent_dim=4), IMAGES, r"another model, parts\.vae\.posterior\.latent_dim was 3 and is 4"),
        (BUILDS["vae"](SPEC, beta=2.0), IMAGES, r"another model, hparams\.beta was 1\.0 and is 2\.0"),
        (BUILDS["vae"](SPEC, net="conv"), IMAGES, r"another model, parts\.vae\.encoder\.\w+ was"),
        (BUILDS["vqvae"](SPEC), IMAGES, "the experiment vae, now it is vqvae"),
        (BUILDS["vae"](SPEC), squares(seed=1), "other images, as many of the same shape"),
        (BUILDS["vae"](SPEC), squares(50), "training images numbering 48, now it is 40"),
    ):
        with pytest.raises(jv.UserError, match=f"was started with {message}"):
            jv.train(system, images, folder=place, **resumed)
    with pytest.raises(jv.UserError, match="was started with batch_size 16, now it is 8"):
        jv.train(BUILDS["vae"](SPEC), IMAGES, folder=place, **resumed | {"batch_size": 8})
    with pytest.raises(jv.UserError, match="has done 6 steps already, asked for are 3"):
        jv.train(BUILDS["vae"](SPEC), IMAGES, folder=place, **resumed | {"steps": 3})
    assert read_json(place / "config.json") == before
    more = jv.train(
        jv.systems.vae(SPEC, latent_dim=3, net="mlp", warmup_steps=2), IMAGES, folder=place, **resumed | {"steps": 9}
    )
    assert more.training["steps"] == 9


@pytest.mark.slow
def test_a_warm_up_that_follows_the_steps_does_not_stop_a_longer_training(tmp_path):
    system = jv.systems.vae(SPEC, latent_dim=3, net="mlp")
    jv.train(system, IMAGES, folder=tmp_path / "a", **SIZES)
    assert jv.train(system, IMAGES, folder=tmp_path / "a", resume=True, **SIZES | {"steps": 12}).training["steps"] == 12


@pytest.mark.slow
def test_a_run_that_was_killed_while_it_began_is_started_or_resumed(trained, tmp_path):
    """At whatever moment: the folder is made, `config.json` is written, the folder of checkpoints is made."""
    made = tmp_path / "made"
    (made / "figures").mkdir(parents=True)
    assert_same_parameters(jv.train(BUILDS["vae"](SPEC), IMAGES, folder=made, **SIZES), trained["vae"])
    for name, inside in (("written", ()), ("begun", ("checkpoints",))):
        place = tmp_path / name
        place.mkdir()
        record = (made / "config.json").read_bytes()
        (place / "config.json").write_bytes(record)
        for folder in inside:
            (place / folder).mkdir()
        with pytest.raises(jv.UserError, match="exists already"):
            jv.train(BUILDS["vae"](SPEC), IMAGES, folder=place, **SIZES)
        resumed = jv.train(BUILDS["vae"](SPEC), IMAGES, folder=place, resume=True, **SIZES)
        assert_same_parameters(resumed, trained["vae"])


# ---------- the lock


@pytest.mark.slow
def test_a_run_that_another_process_trains_is_left_alone(tmp_path):
    place = tmp_path / "a"
    jv.train(BUILDS["vae"](SPEC), IMAGES, folder=place, **SIZES)
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom jaxvae.runs.lock import lock\n"
        "taken = lock(Path(sys.argv[1]))\nprint('taken', flush=True)\ntime.sleep(60)\n"
    )
    line = [sys.executable, "-c", script, str(place)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env=os.environ | {"JAX_PLATFORMS": "cpu"}) as other:
        assert other.stdout.readline() == "taken\n"
        written = lambda: {p: p.stat().st_mtime_ns for p in place.rglob("*") if p.is_file() and p.name != ".lock"}  # noqa: E731
        before = written()
        with pytest.raises(jv.UserError, match="is being trained by another process"):
            jv.train(BUILDS["vae"](SPEC), IMAGES, folder=place, resume=True, **SIZES | {"steps": 9})
        assert written() == before
        jv.load(place)  # to be read, it need not be free
        other.kill()  # the lock ends with the process, however that ends
    jv.train(BUILDS["vae"](SPEC), IMAGES, folder=place, resume=True, **SIZES | {"steps": 9})


def test_a_lock_is_of_one_thread_and_released_by_whoever_has_it(tmp_path):
    first, again = lock(tmp_path), lock(tmp_path)
    found = []

    def other():
        try:
            found.append(lock(tmp_path))
        except jv.UserError as error:
            found.append(str(error))

    for expected in (True, True, False):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert isinstance(found[-1], str) == expected
        (first if found[:-1] else again).release()


# ---------- schedules


def rates(system, steps):
    """The sizes of Adam's updates of a gradient that stays, at the first and the last step."""
    (player,), params, sizes = system.trainable.players, {"w": np.ones(1, np.float32)}, []
    state = player.optimizer.init(params)
    for _ in range(steps):
        updates, state = player.optimizer.update(params, state, params)
        sizes.append(float(np.abs(updates["w"][0])))
    return sizes[0], sizes[-1]


@pytest.mark.slow
@pytest.mark.parametrize("steps", [12, 30])
def test_schedules_of_ready_systems_follow_the_training(steps, tmp_path):
    system = jv.systems.vae(SPEC, latent_dim=3, net="mlp", learning_rate=1e-2)
    trained = jv.train(system, IMAGES, **SIZES | {"steps": steps})
    assert trained.system.trainable.hparams["warmup_steps"] == steps // 6
    first, last = rates(trained.system, steps)
    assert first == pytest.approx(1e-2, rel=1e-3)
    assert last < 0.05 * first
    again = jv.train(trained.system, IMAGES, **SIZES | {"steps": 2 * steps})  # it goes on following
    assert rates(again.system, steps)[1] > 0.4 * first


def test_what_is_given_by_hand_stays_and_a_warm_up_that_is_too_long_is_said(capsys):
    system = jv.systems.vae(SPEC, latent_dim=3, net="mlp", warmup_steps=100)
    (player,) = system.trainable.players
    mine = optax.sgd(1e-3)
    system = system._replace(trainable=system.trainable._replace(players=(player._replace(optimizer=mine),)))
    trained = jv.train(system, IMAGES, **SIZES)
    assert trained.system.trainable.players[0].optimizer is mine
    assert "notice: the warm-up of vae is of 100 steps, the training of 6" in capsys.readouterr().out


def test_a_ready_system_serves_without_jv_train_too():
    system = jv.systems.vae(SPEC, latent_dim=3, net="mlp")
    assert system.trainable.hparams["warmup_steps"] == 500
    splits, _ = jv.data.load(IMAGES)
    result = jv.fit(system, splits, jv.training.Settings(steps=2, batch_size=8, eval_every=2))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(result.best.params))
