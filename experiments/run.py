"""What all experiments share: a base configuration, the command line, the run from data to figures."""

import dataclasses
import itertools
import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jax

from experiments.common.loading import Build, Finished, load
from experiments.common.training import train
from jaxvae import data
from jaxvae.data.cache import cache_folder
from jaxvae.errors import UserError
from jaxvae.training import distributed
from jaxvae.training.parallel import Kind

__all__ = [
    "Build",
    "Config",
    "Finished",
    "ImageConfig",
    "Options",
    "TrainingConfig",
    "at_least",
    "load",
    "main",
    "refuse",
    "require",
    "run_folder",
    "run_single",
    "train",
]


@dataclass(frozen=True)
class TrainingConfig:
    """What every training is configured by; the fields of a configuration are written to `config.json`."""

    seed: int = 0
    """of parameters, batches and noise"""
    steps: int = 3_000
    """training steps; a resumed run may ask for more, over which its learning rate then falls anew"""
    batch_size: int = 128
    """examples a step"""
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
    clip_norm: float | None = None
    """gradients of a larger global norm are scaled down to it"""
    skip_norm: float | None = None
    """steps whose gradient has a larger or no finite norm are skipped and counted, instead of ending the run"""

    def __post_init__(self) -> None:
        at_least(self, 1, "steps", "batch_size", "eval_every", "log_every")
        require("learning_rate", self.learning_rate, self.learning_rate > 0, "more than 0")
        require("ema_decay", self.ema_decay, 0 <= self.ema_decay < 1, "0 to below 1")
        at_least(self, 0, "patience")
        for field in ("clip_norm", "skip_norm"):
            value = getattr(self, field)
            require(field, value, value is None or value > 0, "more than 0")
        require("seed", self.seed, 0 <= self.seed < 2**32, "0 to 2^32 - 1")


@dataclass(frozen=True)
class ImageConfig(TrainingConfig):
    """What every experiment with images has beside."""

    data: str = "digits"
    """digits, idx:DIR, npz:FILE, folder:DIR, tfds:NAME or binarized_mnist:FILE"""
    image_size: int | None = None
    """resize a folder's images to this height and width"""
    precision: Literal["float32", "bf16"] = "float32"
    """of the networks' arithmetic; parameters, log-densities and sums over pixels stay float32"""

    def __post_init__(self) -> None:
        super().__post_init__()
        require("image_size", self.image_size, self.image_size is None or self.image_size >= 1, "at least 1")


@dataclass(frozen=True)
class Config(ImageConfig):
    """What every experiment with latents has beside."""

    nll_samples: int = 500
    """importance samples per test image for the NLL"""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "nll_samples")


def at_least(config: Any, least: int, *fields: str) -> None:
    """Raise a `UserError` that names the flag of the first field below a number."""
    for field in fields:
        require(field, getattr(config, field), getattr(config, field) >= least, f"at least {least}")


def refuse(options: "Options", kind: str, *fields: str) -> None:
    """Raise a `UserError` if options are given that a kind of run has no use for."""
    for field in fields:
        if getattr(options, field):
            raise UserError(f"--{field.replace('_', '-')} is not for {kind}: leave it out.")


def require(field: str, value: Any, holds: bool, expected: str) -> None:
    """Raise a `UserError` that names the flag of a field unless its value is possible."""
    if not holds:
        raise UserError(f"--{field.replace('_', '-')} is {value}, expected {expected}.")


@dataclass(frozen=True)
class Options:
    """How a run is started; nothing here shapes its result but `init_from`, and `sweep` that of its members."""

    name: str | None = None
    """the run's folder is OUT/EXPERIMENT/NAME; by default date and time"""
    out: Path = Path("runs")
    """folder of all runs"""
    resume: bool = False
    """continue the run called NAME from its latest checkpoint"""
    init_from: Path | None = None
    """folder of a finished run of the same model, whose parameters to start from"""
    sweep: tuple[str, ...] = ()
    """settings to vary, as seed=0,1,2 learning_rate=1e-3,3e-3: all combinations train as one program"""
    layout: Kind | None = None
    """how steps run on devices; by default sharded over several, scan on one"""
    devices: int | None = None
    """number of devices; by default all of a GPU or TPU machine, one of a CPU"""
    shard_params: bool = False
    """divide large parameters and the optimizer's moments among the devices"""
    keep: int = 2
    """checkpoints to keep, the latest ones"""
    save_every: int = 0
    """steps between checkpoints; 0 saves at every evaluation"""
    distributed: bool = False
    """join the other processes of the same training; a cluster that JAX knows needs none of the next three flags"""
    coordinator: str | None = None
    """HOST:PORT of process 0"""
    num_processes: int | None = None
    """processes of the training"""
    process_id: int | None = None
    """number of this process, from 0"""
    timeout: int = 300
    """seconds to wait for the other processes"""

    def __post_init__(self) -> None:
        at_least(self, 1, "keep", "timeout")
        at_least(self, 0, "save_every")
        for field in ("coordinator", "num_processes", "process_id"):
            value = getattr(self, field)
            require(field, value, value is None or self.distributed, "none without --distributed")


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
        options = arguments.options
        if options.distributed:
            distributed.initialize(options.coordinator, options.num_processes, options.process_id, options.timeout)
        run(arguments.config, options)
    except UserError as error:
        sys.exit(f"error: {error}")


def run_single(config: Any, build: Build, options: Options, experiment: str) -> Path:
    """Train one experiment on its data, evaluate it on the test part, draw its figures; return the run's folder.

    With `options.sweep` its combinations are trained together, and the best on the validation part is evaluated.
    """
    from experiments.common.report import report
    from experiments.common.sweep import run_sweep

    folder = run_folder(experiment, options)
    splits, spec = data.load(config.data, image_size=config.image_size)
    if options.sweep:
        run_sweep(config, build, splits, spec, folder, options)
    else:
        finished = train(config, build, splits, spec, folder, options)
        if distributed.is_primary():
            report(finished, splits)
    return folder


def run_folder(experiment: str, options: Options) -> Path:
    """Return OUT/EXPERIMENT/NAME, the name being date and time where none was given; the same in all processes."""
    if options.name is None and options.resume:
        raise UserError("--resume needs the --name of the run to continue.")
    if options.name:
        return options.out / experiment / options.name
    folder = options.out / experiment / time.strftime("%Y%m%d-%H%M%S")
    others = (folder.with_name(f"{folder.name}-{number}") for number in itertools.count(2))
    while folder.exists():  # started in the same second
        folder = next(others)
    return folder.with_name(distributed.text_of_primary(folder.name))


def _keep_compiled_programs() -> None:
    """Keep compiled programs on disk: the second start of an experiment skips most of its compilation."""
    jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "compiled"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
