"""`jaxvae.train`: from a system and images to a trained model, with or without a folder."""

import re
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxvae.applications.given_classes import num_classes_of
from jaxvae.data.arrays import load_arrays
from jaxvae.data.batches import num_examples
from jaxvae.data.digest import splits_digest
from jaxvae.data.places import located
from jaxvae.errors import MOST, MOST_SEED, UserError, whole_number
from jaxvae.runs.config import TrainingConfig
from jaxvae.runs.data_given import check_values
from jaxvae.runs.folder import FREE_FIELDS
from jaxvae.runs.load import load_start
from jaxvae.runs.records import run_record
from jaxvae.runs.train import settings_of
from jaxvae.runs.trained import Trained
from jaxvae.runs.training import How, Run, train_runs
from jaxvae.systems.augmentation import with_default_shift
from jaxvae.systems.following import followed, with_steps
from jaxvae.training import Layout, choose_layout, distributed
from jaxvae.training.checks import check_splits
from jaxvae.types import Splits, System


def train(
    system: System,
    images: Any,
    *,
    steps: int = 3_000,
    batch_size: int = 128,
    seed: int = 0,
    eval_every: int | None = None,
    ema_decay: float = 0.0,
    patience: int = 0,
    clip_norm: float | None = None,
    folder: str | Path | None = None,
    resume: bool = False,
    init_from: str | Path | None = None,
    layout: Layout | None = None,
    progress: bool = True,
    notes: Mapping[str, Any] | None = None,
) -> Trained:
    """Train a system on images.

    An interrupt (Ctrl-C, or the stop button of a notebook) ends the training and gives back the best model so far,
    with a notice; before the first evaluation there is none, and `KeyboardInterrupt` is raised. SIGTERM ends the
    process. Where there is a folder, both save first, so that the training can be resumed.

    Args:
      system: as `jaxvae.systems.vae(spec)`, whose schedules follow the steps asked for here, or one composed by hand.
      images: `Splits`, or images [N, H, W] or [N, H, W, C], of which a tenth each becomes the validation and the test
        part by a fixed seed; see `jaxvae.data.load`.
      steps: of the training.
      batch_size: images per step.
      seed: of parameters, batches and noise.
      eval_every: steps between evaluations on the validation set, each with a checkpoint where there is a folder; by
        default a tenth of the steps.
      ema_decay: of a moving average of the parameters, which is then what is evaluated; 0 keeps none.
      patience: evaluations without improvement after which training stops; 0 never stops early.
      clip_norm: largest global norm of the gradient.
      folder: where to write `config.json`, `metrics.jsonl` and checkpoints; None writes nothing.
      resume: continue the training in that folder, with the same system, images and settings.
      init_from: place of a trained model of the same networks, whose parameters to start from; see `jaxvae.load`.
      layout: devices and how to run on them; None chooses.
      progress: whether to show a bar.
      notes: what else `config.json` says of the run, by names that no setting has: `{"data": "folder:photos"}` is where
        its images come from.

    Returns:
      The model with the best parameters on the validation set.

    Raises:
      UserError: if the images are not those that the system is of, an argument is impossible, the folder is that of
        another run or of one that another process trains, or the training diverges.
      KeyboardInterrupt: at an interrupt before the first evaluation.
      SystemExit: with status 143, at SIGTERM.
    """
    if not isinstance(system, System):
        raise UserError(f"A {type(system).__name__} is no system to train: make one, as jaxvae.systems.vae(spec) does.")
    if resume and folder is None:
        raise UserError("resume=True continues the training in a folder: name it, folder=....")
    whole = {"steps": steps, "batch_size": batch_size, "eval_every": eval_every, "seed": seed, "patience": patience}
    config = _checked(whole, ema_decay=ema_decay, clip_norm=clip_norm)
    splits = _splits_of(system, images)
    system = with_default_shift(with_steps(system, config.steps), num_examples(splits.train))
    _say_unreached(system, config.steps)
    settings = settings_of(config, splits, system.spec)
    start = None if init_from is None else load_start(init_from, system)
    record = run_record(
        system,
        {**(notes or {}), **settings._asdict(), "seed": config.seed},
        num_examples(splits.train),
        init_from=init_from,
        data=splits_digest(splits),
    )
    how = How(
        settings=settings,
        layout=layout or choose_layout(system, splits.train, config.batch_size),
        start=start,
        bar=progress,
        free=FREE_FIELDS | followed(system) | {"eval_batch_size"},
    )
    place = None if folder is None else located(folder, "folder=")
    (trained,), by = train_runs([Run(system, record, config.seed, place, resume)], splits, how)
    return trained if by is None else _ended(trained, by)


# ---------- private


def _checked(whole: dict[str, Any], **others: Any) -> TrainingConfig:
    """The settings of a training; it raises for impossible ones in the words of arguments."""
    if whole["eval_every"] is None:
        whole["eval_every"] = max(1, whole_number("steps", whole["steps"]) // 10)
    numbers = {
        name: whole_number(name, value, int(name not in ("seed", "patience")), MOST_SEED if name == "seed" else MOST)
        for name, value in whole.items()
    }
    try:
        return TrainingConfig(**numbers, log_every=min(100, numbers["eval_every"]), **others)
    except UserError as error:
        raise UserError(re.sub(r"--[\w-]+", lambda flag: flag[0][2:].replace("-", "_"), str(error))) from error
    except TypeError as error:
        raise UserError(f"One of {', '.join(others)} is no number: {error}.") from error


def _splits_of(system: System, images: Any) -> Splits:
    """The parts of a data set, checked against what the system is of."""
    spec = system.spec
    if not isinstance(images, Splits):
        splits, found = load_arrays(images)
        if (found.shape, found.num_values) != (tuple(spec.shape), spec.num_values):
            raise UserError(
                f"The images are {list(found.shape)} of {found.num_values} values, {system.name} is of "
                f"{list(spec.shape)} of {spec.num_values}: build it with the spec that jaxvae.data.load gives of them."
            )
        images = splits
    check_splits(images, spec)
    check_values(images, spec, system.name, num_classes_of(system))
    return images


def _say_unreached(system: System, steps: int) -> None:
    """Print a notice of a warm-up that ends after the training, whose objective is then never reached."""
    warmup = system.trainable.hparams.get("warmup_steps", 0)
    if warmup > steps:
        print(
            f"notice: the warm-up of {system.name} is of {warmup:g} steps, the training of {steps}: the weight of the "
            "KL does not reach its value."
        )


def _ended(trained: Trained, by: int) -> Trained:
    """What a training gives that was asked to end."""
    name, done, best = trained.system.name, trained.training["steps"], trained.training["best_step"]
    saved = f", all is saved in {trained.folder}; continue with resume=True" if trained.folder else ""
    if by == signal.SIGTERM:
        if distributed.is_primary():
            print(f"{name}: ended by SIGTERM after step {done}{saved}.")
        raise SystemExit(128 + by)
    if not best:
        raise KeyboardInterrupt(f"{name}: interrupted after step {done}, before the first evaluation{saved}.")
    if distributed.is_primary():
        print(f"{name}: interrupted after step {done}: the best so far, of step {best}, is returned{saved}.")
    return trained
