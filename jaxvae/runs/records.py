"""The contents of `config.json`: a run's configuration, its data, and the parts of its system."""

import dataclasses
import json
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jaxvae.errors import UserError
from jaxvae.runs.description import describe
from jaxvae.runs.files import FORMAT
from jaxvae.runs.names import module_name
from jaxvae.types import DataSpec, System


def run_record(
    system: System,
    config: Any,
    num_train: int,
    *,
    build: Callable[..., System] | None = None,
    init_from: str | Path | None = None,
    data: str | None = None,
    stage: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return what `config.json` says of a run: all that its result depends on, of the images a hash.

    Args:
      system: that is trained.
      config: of the run, a dataclass or a mapping.
      num_train: training images.
      build: the function of the experiment that makes the system; its module is what `--resume` runs again.
      init_from: place of the model that its parameters start from.
      data: hash of the images, see `jaxvae.data.digest`.
      stage: of a second stage, the record of the first.
    """
    module = experiment_module(build) if build else None
    record = {
        **header(module or system.name, system.spec, config),
        "num_train": num_train,
        **({"data": data} if data else {}),
        "init_from": init_from and str(init_from),
        "system": described(system),
        **({"stage": dict(stage)} if stage else {}),
    }
    return json.loads(json.dumps(record))  # tuples become lists, as they will be read


def header(module: str, spec: DataSpec, config: Any) -> dict[str, Any]:
    """Return what every `config.json` begins with."""
    fields = dict(config) if isinstance(config, Mapping) else dataclasses.asdict(config)
    return {
        "format": FORMAT,
        "jaxvae": version("jaxvae"),
        "experiment": module,
        "config": json.loads(json.dumps(fields, default=str)),
        "spec": json.loads(json.dumps(spec._asdict())),
    }


def described(system: System) -> dict[str, Any]:
    """Return the description of a system's parts, or the reason why there is none, which is a warning of the run."""
    record: dict[str, Any] = {"name": system.name, "hparams": dict(system.trainable.hparams)}
    try:
        if system.parts is None:
            raise UserError("It was composed by hand, without parts.")
        return {**record, "parts": describe(system.parts)}
    except UserError as error:
        print(f"warning: this run loads only with load(place, system=...). {error}", file=sys.stderr)
        return {**record, "reason": str(error)}


def experiment_module(build: Callable[..., System]) -> str:
    """Return the full name of the module of a function, also where it is run by `python -m`."""
    while hasattr(build, "func"):  # a functools.partial
        build = build.func
    return module_name(build.__module__)
