"""What all experiments share: a base configuration, the command line, training into a folder, loading it again."""

import dataclasses
import importlib
import itertools
import logging
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax

from experiments.common.folder import Recorder, open_folder, read_json, run_record, write_json
from jaxvae import data
from jaxvae.data.cache import cache_folder
from jaxvae.errors import UserError
from jaxvae.training import Checkpoints, create_train_state, evaluated_params, fit
from jaxvae.types import Batch, DataSpec, Experiment, ModelState, Params, Splits


@dataclass(frozen=True)
class Config:
    """What every experiment's configuration has; its fields are written to `config.json` and read by `load`."""

    data: str = "digits"
    """digits, idx:DIR, npz:FILE, folder:DIR, tfds:NAME or binarized_mnist:FILE"""
    image_size: int | None = None
    """resize a folder's images to this height and width"""
    seed: int = 0
    """of parameters, batches and noise"""
    steps: int = 3_000
    """training steps; a resumed run may ask for more, over which its learning rate then falls anew"""
    batch_size: int = 128
    """images a step"""
    learning_rate: float = 1e-3
    """the highest of the schedule"""
    ema_decay: float = 0.0
    """of a moving average of the parameters, which is then what is evaluated; 0 keeps none"""
    eval_every: int = 500
    """steps between evaluations on the validation part, each with a checkpoint"""
    log_every: int = 100
    """steps between lines in metrics.jsonl"""
    patience: int = 0
    """evaluations without improvement after which training stops; 0 never stops early"""
    nll_samples: int = 500
    """importance samples per test image for the NLL"""

    def __post_init__(self) -> None:
        require("steps", self.steps, self.steps >= 1, "at least 1")
        require("batch_size", self.batch_size, self.batch_size >= 1, "at least 1")
        require("learning_rate", self.learning_rate, self.learning_rate > 0, "more than 0")
        require("ema_decay", self.ema_decay, 0 <= self.ema_decay < 1, "0 to below 1")
        require("eval_every", self.eval_every, self.eval_every >= 1, "at least 1")
        require("log_every", self.log_every, self.log_every >= 1, "at least 1")
        require("patience", self.patience, self.patience >= 0, "at least 0")
        require("nll_samples", self.nll_samples, self.nll_samples >= 1, "at least 1")
        require("seed", self.seed, 0 <= self.seed < 2**32, "0 to 2^32 - 1")
        require("image_size", self.image_size, self.image_size is None or self.image_size >= 1, "at least 1")


def require(field: str, value: Any, holds: bool, expected: str) -> None:
    """Raise a `UserError` that names the flag of a field unless its value is possible."""
    if not holds:
        raise UserError(f"--{field.replace('_', '-')} is {value}, expected {expected}.")


@dataclass(frozen=True)
class Options:
    """How a run is started; nothing here shapes its result but `init_from`."""

    name: str | None = None
    """the run's folder is OUT/EXPERIMENT/NAME; by default date and time"""
    out: Path = Path("runs")
    """folder of all runs"""
    resume: bool = False
    """continue the run called NAME from its latest checkpoint"""
    init_from: Path | None = None
    """folder of a finished run of the same model, whose parameters to start from"""


Build = Callable[[Any, DataSpec], Experiment]


class Finished(NamedTuple):
    """A trained experiment, as `train` and `load` return it."""

    experiment: Experiment
    config: Any
    params: Params  # the best on the validation part
    model_state: ModelState
    folder: Path
    training: dict[str, Any]  # steps, seconds, compile_seconds, images_per_second; {} after `load`


def train(config: Any, build: Build, splits: Splits, spec: DataSpec, folder: Path, options: Options) -> Finished:
    """Train one experiment in its folder.

    Args:
      config: of the experiment; written to the folder.
      build: (config, spec) -> Experiment.
      splits: the data.
      spec: of the data.
      folder: made here.
      options: `resume` and `init_from` are read.

    Returns:
      The best state on the validation part.

    Raises:
      UserError: for an existing folder, a configuration that does not fit it, or a training that diverged.
    """
    experiment = build(config, spec)
    init_params = load_params(options.init_from, experiment, spec) if options.init_from else None
    _abstract_state(experiment, keep_ema=False)  # a model that does not fit the images fails before a folder is made
    record = run_record(experiment.name, config, spec, len(splits.train.x), options.init_from)
    open_folder(folder, record, options.resume)
    with Checkpoints(folder / "checkpoints") as checkpoints:
        done = checkpoints.latest_step() or 0
        if done > config.steps:
            raise UserError(f"The run {folder} has done {done} steps already: resume it with --steps {done} or more.")
        write_json(folder / "config.json", record)
        with Recorder(folder, done, config.steps) as recorder:
            result = fit(
                experiment,
                splits,
                seed=config.seed,
                steps=config.steps,
                batch_size=config.batch_size,
                eval_every=config.eval_every,
                log_every=config.log_every,
                eval_batch_size=evaluation_batch(spec),
                ema_decay=config.ema_decay,
                patience=config.patience,
                checkpoints=checkpoints,
                resume=options.resume,
                init_params=init_params,
                report=recorder,
            )
    if int(result.state.step) < config.steps:
        print(f"Stopped early after {int(result.state.step)} steps: the best was {result.loop.best_step}.")
    training = {
        "steps": int(result.state.step),
        "best_step": result.loop.best_step,
        "seconds": round(result.loop.seconds, 2),
        "compile_seconds": round(result.compile_seconds, 2),
        "images_per_second": round(result.images_per_second, 1),
    }
    return Finished(experiment, config, result.params, result.model_state, folder, training)


def evaluation_batch(spec: DataSpec) -> int:
    """Return how many images to evaluate at a time, 500 of MNIST's size: results do not depend on it, memory does."""
    return max(1, 392_000 // math.prod(spec.shape))


def load(folder: str | Path) -> Finished:
    """Rebuild a finished run from its folder alone, without its data, ready to encode, decode and sample.

    Args:
      folder: of the run, with `config.json` and `checkpoints/`.

    Returns:
      The experiment with the best parameters on the validation part.

    Raises:
      UserError: if the folder is not that of a run, or has no checkpoint.
    """
    folder = Path(folder)
    record = read_json(folder / "config.json")
    try:
        module = importlib.import_module(f"experiments.{record['experiment']}")
        config = module.Config(**{k: tuple(v) if isinstance(v, list) else v for k, v in record["config"].items()})
        spec = DataSpec(**{**record["spec"], "shape": tuple(record["spec"]["shape"])})
    except (KeyError, TypeError, ModuleNotFoundError) as error:
        raise UserError(
            f"{folder / 'config.json'} is not of this version of jaxvae ({error}): train it anew."
        ) from error
    experiment = module.build(config, spec)
    if not (folder / "checkpoints").is_dir():
        parts = ", ".join(sorted(part.parent.name for part in folder.glob("*/checkpoints")))
        raise UserError(
            f"{folder} has no checkpoints, " + (f"its parts have: {parts}." if parts else "train it first.")
        )
    with Checkpoints(folder / "checkpoints", read_only=True) as checkpoints:
        latest = checkpoints.latest_step()
        if latest is None:
            raise UserError(f"{folder} has no finished checkpoint: train it first, with --resume if it was stopped.")
        like = _abstract_state(experiment, keep_ema=config.ema_decay > 0)
        state, loop = checkpoints.restore(latest, like)
        if loop.best_step != latest:
            state, _ = checkpoints.restore(loop.best_step, like)
    params, model_state = evaluated_params(state)
    return Finished(experiment, config, params, model_state, folder, {})


def load_params(folder: Path, experiment: Experiment, spec: DataSpec) -> Params:
    """Return another run's best parameters, to start from.

    Raises:
      UserError: if they do not fit the experiment's model.
    """
    params = load(folder).params
    expected = _abstract_state(experiment, keep_ema=False).params
    found_shapes, shapes = (_shapes(tree) for tree in (params, expected))
    for path in sorted({*found_shapes, *shapes}):
        if found_shapes.get(path) != shapes.get(path):
            raise UserError(
                f"--init-from {folder} does not fit this model: {path} is {found_shapes.get(path, 'missing')} there, "
                f"{shapes.get(path, 'missing')} here; expected a run of the same nets on images of {list(spec.shape)}."
            )
    return params


def _shapes(tree: Params) -> dict[str, list[int]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="."): list(leaf.shape) for path, leaf in leaves}


def _abstract_state(experiment: Experiment, *, keep_ema: bool) -> Any:
    """The shapes of a training's state: what Orbax needs to restore it, without data."""
    x = jax.ShapeDtypeStruct((1, *experiment.spec.shape), "uint8")
    batch = Batch(x, None, jax.ShapeDtypeStruct((1,), "float32"))
    create = lambda key, batch: create_train_state(experiment, key, batch, keep_ema=keep_ema)  # noqa: E731
    state = jax.eval_shape(create, jax.random.key(0), batch)
    sharding = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), state)


def main(config_class: type[Any], run: Callable[[Any, Options], Path], description: str) -> None:
    """Run an experiment from the command line.

    Flags are made from `config_class` and `Options`. A `UserError` ends with one sentence and status 1, a wrong flag or
    type with status 2.

    Args:
      config_class: a `Config` with a method `quick`.
      run: (config, options) -> the run's folder.
      description: the module's docstring.
    """
    try:
        import tyro
    except ImportError:
        sys.exit('The command line needs tyro: pip install "jaxvae[experiments]".')
    _keep_compiled_programs()
    logging.getLogger("absl").setLevel(logging.ERROR)  # Orbax warns of what is meant
    try:
        default = config_class()
        if "--quick" in sys.argv:
            default = default.quick()
        command = dataclasses.make_dataclass(
            "Command",
            [
                ("config", config_class, dataclasses.field(default=default)),
                ("options", Options, dataclasses.field(default=Options())),
                ("quick", bool, dataclasses.field(default=False, metadata={"help": "a run of seconds"})),
            ],
            frozen=True,
        )
        arguments = tyro.cli(command, description=description, config=(tyro.conf.OmitArgPrefixes,))
        run(arguments.config, arguments.options)
    except UserError as error:
        sys.exit(f"error: {error}")


def run_single(config: Any, build: Build, options: Options, experiment: str) -> Path:
    """Train one experiment on its data, evaluate it on the test part, draw its figures; return the run's folder."""
    from experiments.common.report import report

    folder = run_folder(experiment, options)
    splits, spec = data.load(config.data, image_size=config.image_size)
    report(train(config, build, splits, spec, folder, options), splits)
    return folder


def run_folder(experiment: str, options: Options) -> Path:
    """Return OUT/EXPERIMENT/NAME, the name being date and time where none was given."""
    if options.name is None and options.resume:
        raise UserError("--resume needs the --name of the run to continue.")
    if options.name:
        return options.out / experiment / options.name
    folder = options.out / experiment / time.strftime("%Y%m%d-%H%M%S")
    others = (folder.with_name(f"{folder.name}-{number}") for number in itertools.count(2))
    while folder.exists():  # started in the same second
        folder = next(others)
    return folder


def _keep_compiled_programs() -> None:
    """Keep compiled programs on disk: the second start of an experiment skips most of its compilation."""
    jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "compiled"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
