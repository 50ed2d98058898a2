"""Flags of the verbs: dataclasses whose docstrings are the help, and how they are parsed."""

import dataclasses
import sys
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from jaxvae.docstrings import docstrings

FIRST, LAST = ("data", "part", "resize"), ("out", "overwrite", "seed", "imports")  # others are between
NAMES = {"imports": "import"}  # of fields whose flag is no name in Python

Flags = TypeVar("Flags")


def positional(metavar: str, default: Any = dataclasses.MISSING) -> Any:
    """Return a field that is given by its place, without a flag.

    Args:
      metavar: what the help calls it.
      default: of what may be left out.
    """
    return dataclasses.field(default=default, metadata={"metavar": metavar})


@dataclass(frozen=True, kw_only=True)
class ModelFlags:
    """Which model."""

    run: Path = positional("RUN")
    """folder of a run, a model that was exported or saved, or the name of a shipped one, as digits-vae"""
    imports: tuple[str, ...] = ()
    """modules of your own that define parts of the model"""


@dataclass(frozen=True, kw_only=True)
class ImageFlags:
    """Which images."""

    data: str
    """your images: folder:DIR, npz:FILE, digits, idx:DIR, tfds:NAME, binarized_mnist:FILE, sprites or stacked:SOURCE;
    all of them, in order"""
    part: Literal["train", "valid", "test"] | None = None
    """one part alone, cut as in training"""
    resize: bool = False
    """bring images of another size to that of the model: padded to its proportions, never cut"""


@dataclass(frozen=True, kw_only=True)
class SomeImageFlags:
    """Where single images are from, which are files without `--data`."""

    data: str | None = None
    """a source of images, of which the given numbers are meant; by default the given paths of image files are read"""
    part: Literal["train", "valid", "test"] | None = None
    """one part of the data alone, cut as in training"""
    resize: bool = False
    """bring images of another size to that of the model: padded to its proportions, never cut"""


@dataclass(frozen=True, kw_only=True)
class ClassFlags:
    """Of which class, for a model that is conditional on classes."""

    label: str | None = None
    """class of all images, its name or its number, of a model that is conditional on classes; by default each its own,
    where the data have labels"""


@dataclass(frozen=True, kw_only=True)
class OutFlags:
    """Where it is written."""

    out: Path
    """where to write"""
    overwrite: bool = False
    """replace what an earlier command wrote there"""


@dataclass(frozen=True, kw_only=True)
class SeedFlags:
    """Which draws."""

    seed: int = 0
    """of all that is drawn: the same seed gives the same result"""


def called(verb: str = "") -> str:
    """Return what stands before the flags in the shell: `python -m jaxvae VERB`, or `jaxvae VERB`."""
    is_script = Path(sys.argv[0]).stem == "jaxvae"
    return " ".join(["jaxvae" if is_script else "python -m jaxvae", *([verb] if verb else [])])


def parse(cls: type[Flags], verb: str, description: str, arguments: Sequence[str]) -> Flags:
    """Parse the flags of a verb.

    Args:
      cls: a dataclass.
      verb: its name.
      description: what `--help` opens with.
      arguments: without the verb.

    Raises:
      SystemExit: with status 2 and what is wrong, or with 0 after `--help`.
    """
    import tyro

    kinds, texts = typing.get_type_hints(cls), docstrings(cls)
    fields: dict[str, dataclasses.Field[Any]] = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    places = [name for name, field in fields.items() if "metavar" in field.metadata]
    between = [name for name in fields if name not in (*places, *FIRST, *LAST)]
    order = [*places, *(name for name in FIRST if name in fields), *between, *(name for name in LAST if name in fields)]
    command = dataclasses.make_dataclass(
        verb, [(name, _argument(fields[name], kinds[name], texts[name]), _default(fields[name])) for name in order],
        kw_only=True,
    )  # fmt: skip
    found: Any = tyro.cli(
        command,
        prog=called(verb),
        description=description,
        args=list(arguments),
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff),
    )
    return cls(**{name: getattr(found, name) for name in order})


# ---------- private


def _argument(field: dataclasses.Field[Any], kind: Any, text: str) -> Any:
    import tyro

    if (metavar := field.metadata.get("metavar")) is not None:
        return Annotated[tyro.conf.Positional[kind], tyro.conf.arg(metavar=metavar, help=text)]
    return Annotated[kind, tyro.conf.arg(name=NAMES.get(field.name), help=text)]


def _default(field: dataclasses.Field[Any]) -> Any:
    return dataclasses.field(default=field.default)
