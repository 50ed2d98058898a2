"""`jaxvae.train`: from a system and images to a trained model, with or without a folder."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxvae.data.arrays import load_arrays
from jaxvae.errors import UserError
from jaxvae.progress import progress_bar
from jaxvae.runs.folder import open_folder, write_json
from jaxvae.runs.load import load_start
from jaxvae.runs.recorder import Recorder, shown_metrics
from jaxvae.runs.records import run_record
from jaxvae.runs.signals import told_to_end
from jaxvae.runs.train import training_record
from jaxvae.runs.trained import Trained
from jaxvae.training import Checkpoints, Layout, Settings, choose_layout, evaluation_batch_size, fit
from jaxvae.types import Splits, System

Report = Callable[[int, str, dict[str, float]], None]


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
) -> Trained:
    """Train a system on images.

    Args:
      system: as `jaxvae.systems.vae(spec)`, or one composed by hand.
      images: `Splits`, or images [N, H, W] or [N, H, W, C], of which a tenth each becomes the validation and the test
        part by a fixed seed; see `jaxvae.data.load`.
      steps: of the training; the learning rate falls over those that the system was built for.
      batch_size: images per step.
      seed: of parameters, batches and noise.
      eval_every: steps between evaluations on the validation part, each with a checkpoint where there is a folder; by
        default a tenth of the steps.
      ema_decay: of a moving average of the parameters, which is then what is evaluated; 0 keeps none.
      patience: evaluations without improvement after which training stops; 0 never stops early.
      clip_norm: largest global norm of the gradient.
      folder: where to write `config.json`, `metrics.jsonl` and checkpoints; None writes nothing.
      resume: continue the training in that folder.
      init_from: place of a trained model of the same networks, whose parameters to start from.
      layout: devices and how to run on them; None chooses.
      progress: whether to show a bar.

    Returns:
      The model with the best parameters on the validation part.

    Raises:
      UserError: if the images are not those that the system is of, the folder is that of another run, or the training
        diverges.
    """
    splits = _splits_of(system, images)
    eval_every = eval_every or max(1, steps // 10)
    settings = Settings(
        steps=steps,
        batch_size=batch_size,
        eval_every=eval_every,
        log_every=min(100, eval_every),
        eval_batch_size=min(evaluation_batch_size(system.spec), _num(splits.valid.x)),
        ema_decay=ema_decay,
        clip_norm=clip_norm,
        patience=patience,
    )
    config = {**settings._asdict(), "seed": seed}
    record = run_record(system, config, _num(splits.train.x), init_from=None if init_from is None else Path(init_from))
    start = None if init_from is None else load_start(Path(init_from), system)
    layout = layout or choose_layout(system, splits.train, batch_size)
    with contextlib.ExitStack() as stack:
        checkpoints, report = None, stack.enter_context(_bar(steps, system.name, progress))
        if folder is not None:
            folder = Path(folder).expanduser()
            open_folder(folder, record, resume)
            write_json(folder / "config.json", record)
            checkpoints = stack.enter_context(Checkpoints(folder / "checkpoints"))
            done = (checkpoints.latest_step() or 0) if resume else 0
            recorder = stack.enter_context(Recorder(folder, done, steps, bar=False))
            report = _both(report, recorder)
        result = fit(
            system,
            splits,
            settings,
            seed=seed,
            checkpoints=checkpoints,
            report=report,
            layout=layout,
            resume=resume,
            start=start,
            stop=stack.enter_context(told_to_end()),
        )
    best = result.best
    return Trained(system, best.params, best.model_state, record, folder, training_record(result, layout.kind))


# ---------- private


def _splits_of(system: System, images: Any) -> Splits:
    """The parts of a data set, checked against what the system is of."""
    if isinstance(images, Splits):
        found = tuple(np.shape(jax.tree.leaves(images.train.x)[0])[1:])
        if found != tuple(system.spec.shape):
            raise UserError(
                f"The examples are of shape {list(found)}, {system.name} is of {list(system.spec.shape)}: build it "
                "with the spec that jaxvae.data.load gives of them."
            )
        return images
    splits, spec = load_arrays(images)
    if (spec.shape, spec.num_values) != (tuple(system.spec.shape), system.spec.num_values):
        raise UserError(
            f"The images are {list(spec.shape)} of {spec.num_values} values, {system.name} is of "
            f"{list(system.spec.shape)} of {system.spec.num_values}: build it with the spec that jaxvae.data.load "
            "gives of them."
        )
    return splits


def _num(x: Any) -> int:
    return len(jax.tree.leaves(x)[0])


@contextlib.contextmanager
def _bar(steps: int, name: str, progress: bool) -> Iterator[Report]:
    valid: dict[str, float] = {}
    with progress_bar(total=steps, unit="step", desc=name, show=progress) as bar:

        def report(step: int, part: str, metrics: dict[str, float]) -> None:
            if part == "valid":
                valid.update({"valid_loss": round(metrics["loss"], 2)})
                return
            bar.update(step - bar.n)
            bar.set_postfix(shown_metrics(metrics, valid))

        yield report


def _both(first: Report, second: Report) -> Report:
    def report(step: int, part: str, metrics: dict[str, float]) -> None:
        first(step, part, metrics)
        second(step, part, metrics)

    return report
