"""Command-line flags from configurations, the most used first: data and steps first, clusters last."""

import dataclasses
import typing
from collections.abc import Mapping
from typing import Annotated, Any

from jaxvae.docstrings import docstrings
from jaxvae.runs.config import ImageConfig, TrainingConfig
from jaxvae.runs.options import Options

# What people use first.
FIRST = ("data", "image_size", "steps", "seed", "name", "out", "resume", "sweep", "one_at_a_time")
SAVING = ("init_from", "imports", "keep", "save_every")
NAMES = {"imports": "import"}  # of fields whose flag is no name in Python
QUICK = "a short run, of a minute or so, to see what the experiment does"


def parse(config: Any, prog: str, description: str, *, trains: bool, sweeps: bool) -> tuple[Any, Options, bool]:
    """Parse the command line.

    Args:
      config: the default configuration, a dataclass.
      prog: the command.
      description: what `--help` opens with.
      trains: whether the experiment trains anything itself.
      sweeps: whether it can be swept.

    Returns:
      The configuration, how to run, and whether `--quick` was given.

    Raises:
      UserError: if a value is not possible.
    """
    import tyro

    defaults = {**_fields(config), **_fields(Options())}
    kinds = {**typing.get_type_hints(type(config)), **typing.get_type_hints(Options)}
    help_texts = {**docstrings(type(config)), **docstrings(Options)}
    left_out = set() if sweeps else {"sweep", "one_at_a_time"}
    if not trains:
        left_out |= {"init_from", "save_every", "keep", "layout", "devices", "shard_params"}
    groups: dict[str, dict[str, Any]] = {"first": {}, "model": {}, "training": {}, "checkpoints": {}, "devices": {}}
    for name in [*(name for name in FIRST if name in defaults), *defaults]:
        if name not in left_out and not any(name in group for group in groups.values()):
            groups[_group_of(name)][name] = defaults[name]
    groups["first"]["quick"] = False
    kinds["quick"], help_texts["quick"] = bool, QUICK
    # Settings are true or false, --flip or --no-flip, as cards write them; how to run is said or not said.
    alone: Any = tyro.conf.FlagCreatePairsOff
    kinds |= {name: alone[kinds[name]] for name in ("quick", *_fields(Options()))}
    command = dataclasses.make_dataclass(
        "Command",
        [
            (name, _dataclass(name, fields, kinds, help_texts), dataclasses.field(default=None))
            for name, fields in groups.items()
            if fields
        ],
    )
    default = command(**{f.name: f.type() for f in dataclasses.fields(command)})  # type: ignore[operator]
    markers = (tyro.conf.OmitArgPrefixes,)
    found = tyro.cli(command, prog=prog, description=description, default=default, config=markers)
    values = {k: v for group in dataclasses.fields(command) for k, v in _fields(getattr(found, group.name)).items()}
    return _made(type(config), values), _made(Options, values), values["quick"]


# ---------- private


def _group_of(name: str) -> str:
    if name in FIRST:
        return "first"
    if name in SAVING:
        return "checkpoints"
    if name in Options.__dataclass_fields__:
        return "devices"
    shared = {**TrainingConfig.__dataclass_fields__, **ImageConfig.__dataclass_fields__, "nll_samples": None}
    return "training" if name in shared else "model"


def _dataclass(name: str, fields: Mapping[str, Any], kinds: Mapping[str, Any], helps: Mapping[str, str]) -> type[Any]:
    import tyro

    return dataclasses.make_dataclass(
        name,
        [
            (
                field,
                Annotated[kinds[field], tyro.conf.arg(name=NAMES.get(field), help=helps.get(field, ""))],
                dataclasses.field(default=value),
            )
            for field, value in fields.items()
        ],
    )


def _fields(record: Any) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}


def _made(cls: type[Any], values: Mapping[str, Any]) -> Any:
    return cls(**{name: values[name] for name in cls.__dataclass_fields__ if name in values})
