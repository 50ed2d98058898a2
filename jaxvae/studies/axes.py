"""The axes of a study: `--sweep FIELD=VALUE,VALUE,...`, fields of a configuration, all combined or one at a time."""

import itertools
import math
import re
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from jaxvae.errors import UserError, shortened

Axes = Mapping[str, tuple[Any, ...]]  # field -> its values
WORDS = {type(None): "none", int: "a whole number", float: "a number", bool: "true or false", str: "a word"}
UNFIT = r"[^\w.+-]"  # signs that the name of a folder is better without
MOST_RUNS = 1_000  # each of which has a folder
NONE = "none"  # the word for no study


def parse_axes(texts: Sequence[str], config: Any) -> dict[str, tuple[Any, ...]]:
    """Read FIELD=VALUE,VALUE,... for each field; a tuple is written 128x128.

    Args:
      texts: of the flag `--sweep`.
      config: whose fields they are.

    Returns:
      Field -> values, in the order given.

    Raises:
      UserError: if there is no such field, a value is not of its type, or one is given twice.
    """
    kinds = typing.get_type_hints(type(config))
    axes: dict[str, tuple[Any, ...]] = {}
    for text in texts:
        name, equals, listed = text.partition("=")
        name = name.replace("-", "_")
        if not equals or name not in kinds:
            fields = ", ".join(sorted(kinds))
            raise UserError(
                f"--sweep {shortened(text)} is not possible: expected FIELD=VALUE,VALUE,... with one of {fields}, or "
                f"{NONE} alone."
            )
        if name in axes:
            raise UserError(f"--sweep has {name} twice: give all of its values at once.")
        values = tuple(parse_value(kinds[name], value.strip(), name) for value in listed.split(","))
        if len(set(values)) < len(values):
            raise UserError(f"--sweep {shortened(text)} has a value twice: each is one training.")
        axes[name] = values
    return axes


def parse_value(kind: Any, text: str, name: str) -> Any:
    """Return the value of a type that a text stands for.

    Raises:
      UserError: if it stands for none; the message names the field.
    """
    for option in _options_of(kind):
        try:
            return _read(option, text)
        except ValueError:
            continue
    raise UserError(
        f"--sweep {name}={shortened(text)} is no value of --{name.replace('_', '-')}: expected {_said(kind)}."
    )


def combinations(axes: Axes, units: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Return combinations of values; [{}] without any.

    Args:
      axes: the fields with their values.
      units: None for all combinations. Else those in which no more than one field has another than its first value, as
        in an ablation, each with all values of these fields, such as seeds.

    Raises:
      UserError: if there are more than anybody would train.
    """
    changes: list[dict[str, Any]] = [{}]
    repeated = dict(axes)
    if units is not None:
        repeated = {name: values for name, values in axes.items() if name in units}
        others = {name: values for name, values in axes.items() if name not in units}
        changes += [{name: value} for name, values in others.items() for value in values[1:]]
    if (num := len(changes) * math.prod(map(len, repeated.values()))) > MOST_RUNS:
        raise UserError(f"--sweep asks for {num:,} trainings, expected at most {MOST_RUNS:,}: name fewer values.")
    first = {name: values[0] for name, values in axes.items()}
    repeats = [dict(zip(repeated, chosen, strict=True)) for chosen in itertools.product(*repeated.values())]
    return [{**first, **change, **repeat} for change in changes for repeat in repeats]


def changed(values: Mapping[str, Any], axes: Axes, fields: Sequence[str]) -> dict[str, Any]:
    """Return those of some fields that have another than their first value."""
    return {name: values[name] for name in fields if values[name] != axes[name][0]}


def name_of(values: Mapping[str, Any]) -> str:
    """Return the name of a member's folder; whatever cannot be in one, as a path's slashes, becomes a dash."""
    return "_".join(f"{name}={re.sub(UNFIT, '-', written(value))}" for name, value in values.items())


def union(stored: Axes, given: Axes) -> dict[str, tuple[Any, ...]]:
    """Return the axes of a resumed study: those it was started with, and the values that are new.

    Args:
      stored: of the study's folder.
      given: now; {} takes those stored.

    Raises:
      UserError: if the fields are not the same.
    """
    if given and set(given) != set(stored):
        was, now = ", ".join(stored) or "none", ", ".join(given)
        raise UserError(f"The study was started with a sweep of {was}, now it is of {now}: sweep the same fields.")
    return {name: (*values, *(v for v in given.get(name, ()) if v not in values)) for name, values in stored.items()}


def written(value: Any) -> str:
    """Return a value as `--sweep` takes it."""
    if isinstance(value, tuple | list):  # a list as JSON has it
        return "x".join(map(written, value))
    # Digits that tell all values apart.
    return f"{value:.15g}" if isinstance(value, float) else str(value)


# ---------- private


def _options_of(kind: Any) -> tuple[Any, ...]:
    """The types that a union may have, None first: it is a word that other types might take."""
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return tuple(sorted(typing.get_args(kind), key=lambda one: one is not type(None)))
    return (kind,)


def _read(kind: Any, text: str) -> Any:
    if kind is type(None):
        if text.lower() != "none":
            raise ValueError
        return None
    if kind is bool:
        return {"true": True, "false": False}[text.lower()] if text.lower() in ("true", "false") else _fail()
    if typing.get_origin(kind) is Literal:
        found = [value for value in typing.get_args(kind) if str(value) == text]
        return found[0] if found else _fail()
    if typing.get_origin(kind) is tuple:
        inner = typing.get_args(kind)[0]
        return tuple(_read(inner, part) for part in text.split("x")) if text else ()
    value = kind(text)
    return value if not isinstance(value, float) or math.isfinite(value) else _fail()


def _fail() -> Any:
    raise ValueError


def _said(kind: Any) -> str:
    if typing.get_origin(kind) is Literal:
        return "one of " + ", ".join(map(str, typing.get_args(kind)))
    if typing.get_origin(kind) is tuple:
        return "numbers as 128x128"
    return " or ".join(WORDS.get(one, str(one)) for one in _options_of(kind))
