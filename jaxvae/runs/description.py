"""Describe a model as JSON by the names of its classes and functions, and rebuild it.

  {"class": "jaxvae.MLP", "hidden": [400, 400], "activation": {"function": "flax.linen.relu"}, "dtype": null}

Numbers, strings, true, false and null stand for themselves, a list for a tuple or a list, an object for a dict, but for
these objects:

  {"class": NAME, field: value, ...}          a Linen module, a dataclass or a NamedTuple
  {"call": NAME, argument: value, ...}        a likelihood or prior that a constructor makes, see `jaxvae.recipes`
  {"function": NAME}, {"type": NAME}          a function or a class itself
  {"partial": function, "arguments": [...], "keywords": {...}}
  {"ref": PATH}                               the very object at another place, "vae.encoder": modules used twice share
                                              their parameters
  {"dtype": NAME}                             a type of numbers
  {"scalar": number, "dtype": NAME}           one number of a type
  {"shape": [...], "dtype": NAME}             a `jax.ShapeDtypeStruct`
  {"float": "nan"}                            what is no number of JSON: nan, inf, -inf
  {"dict": [[key, value], ...]}               a dict that would look like one of these

Parameters are not part of it, nor are initialisers (functions in fields of Linen modules whose names end in `_init`),
which matter before training alone.
"""

import dataclasses
import functools
import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np
from flax.core import FrozenDict

from jaxvae.errors import UserError
from jaxvae.recipes import is_as_made
from jaxvae.runs.dtypes import described_array, rebuilt_array
from jaxvae.runs.names import import_listed, module_name, public_name, resolve

__all__ = ["describe", "module_name", "rebuild"]

Path = tuple[str, ...]  # of a value in the JSON: keys of objects, indices of lists
_OPEN_TAGS = ("class", "call", "partial")  # other keys stand beside them
_TAGS = ({"function"}, {"type"}, {"ref"}, {"dtype"}, {"scalar", "dtype"}, {"shape", "dtype"}, {"float"}, {"dict"})
_CURE = "define it at the top level of a module, with `functools.partial` for its arguments, or load with `system=`"


def describe(value: Any) -> Any:
    """Return the JSON description of a model or a part of it.

    Args:
      value: Linen modules, likelihoods, priors, functions and classes of the top level of a module,
        `functools.partial` of them, dataclasses, NamedTuples, types, shapes, numbers, strings, tuples, lists and dicts.

    Returns:
      A JSON value.

    Raises:
      UserError: if a part is none of these: it says which, and what to do.
    """
    return _described(value, (), {})


def rebuild(description: Any, imports: Sequence[str] = ()) -> Any:
    """Rebuild what was described: new objects, with tuples where there were lists.

    Args:
      description: what `describe` gave.
      imports: modules outside this library that the description may name, which are imported; modules of a person's own
        that are imported already need not be listed.

    Returns:
      The value.

    Raises:
      UserError: if it names what is not installed, not imported or no part of a model, or is damaged.
    """
    import_listed(imports)
    return _rebuilt(description, (), _Source(description, tuple(imports), {}))


# ---------- describing


def _described(value: Any, path: Path, seen: dict[int, Path]) -> Any:
    """The JSON of a value at a path; `seen` are the paths of the objects before it, by identity."""
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    if type(value) in (tuple, list):
        return [_described(item, (*path, str(i)), seen) for i, item in enumerate(value)]
    if isinstance(value, dict | FrozenDict):
        return _described_dict(value, path, seen)
    if isinstance(value, type):
        return {"type": _name(value, path)}
    if isinstance(value, np.dtype | jax.ShapeDtypeStruct | np.generic | np.ndarray | jax.Array):
        return _described_array(value, path, seen)
    if type(value) is functools.partial:
        rest = {key: found for key, found in (("arguments", value.args), ("keywords", value.keywords)) if found}
        return {key: _described(item, (*path, key), seen) for key, item in {"partial": value.func, **rest}.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return _described_record(value, path, seen)
    if dataclasses.is_dataclass(value):
        return _described_instance(value, path, seen)
    if callable(value):
        return {"function": _name(value, path)}
    raise _refusal(path, f"a {type(value).__name__}, expected parts, numbers, strings, tuples and dicts")


def _described_dict(value: Mapping[Any, Any], path: Path, seen: dict[int, Path]) -> Any:
    if all(type(key) is str and "." not in key for key in value) and not _is_tagged(value):
        return {key: _described(item, (*path, key), seen) for key, item in value.items()}
    return {"dict": _described(list(value.items()), (*path, "dict"), seen)}


def _described_array(value: Any, path: Path, seen: dict[int, Path]) -> dict[str, Any]:
    try:
        return {key: _described(item, (*path, key), seen) for key, item in described_array(value).items()}
    except ValueError as error:
        raise _refusal(path, str(error)) from error


def _described_record(value: Any, path: Path, seen: dict[int, Path]) -> dict[str, Any]:
    """The JSON of a NamedTuple: by its constructor where it has a recipe."""
    recipe = getattr(value, "recipe", None)
    if recipe is None:
        named = {"class": _name(type(value), path)}
        return named | {key: _described(item, (*path, key), seen) for key, item in value._asdict().items()}
    name = _name(recipe.constructor, path)
    if not is_as_made(value):
        raise _refusal(path, f"what {name} makes with other functions in it, and nothing names these; {_CURE}")
    # Defaults are written too: those of a later version may differ.
    arguments = inspect.signature(recipe.constructor).bind(**dict(recipe.arguments))
    arguments.apply_defaults()
    return {"call": name} | {key: _described(item, (*path, key), seen) for key, item in arguments.arguments.items()}


def _described_instance(value: Any, path: Path, seen: dict[int, Path]) -> dict[str, Any]:
    """The JSON of a Linen module or another dataclass, or where it is already."""
    if (first := seen.get(id(value))) is not None:
        if first == path[: len(first)]:
            raise _refusal(path, "inside of itself, expected a tree of parts")
        return {"ref": ".".join(first)}
    seen[id(value)] = path
    named = {"class": _name(type(value), path)}
    for field in dataclasses.fields(value):
        item = getattr(value, field.name)
        if field.init and not (isinstance(value, nn.Module) and _is_for_training(field, item)):
            named[field.name] = _described(item, (*path, field.name), seen)
    return named


def _is_for_training(field: dataclasses.Field, item: Any) -> bool:
    """Whether a field of a Linen module is none of its use: Linen's own ones, and initialisers that have a default."""
    has_default = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
    return field.name in ("parent", "name") or (field.name.endswith("_init") and callable(item) and has_default)


def _name(value: Any, path: Path) -> str:
    name = public_name(value)
    if name is None:
        found = getattr(value, "__qualname__", type(value).__name__)
        raise _refusal(
            path, f"{found} of {getattr(value, '__module__', None)}, which is not found there by its name; {_CURE}"
        )
    return name


def _refusal(path: Path, found: str) -> UserError:
    return UserError(f"The model cannot be described: {_place(path)} is {found}.")


def _place(path: Path) -> str:
    return ".".join(path) or "it"


def _is_tagged(node: Mapping[Any, Any]) -> bool:
    return any(key in node for key in _OPEN_TAGS) or set(node) in _TAGS


# ---------- rebuilding

_UNFINISHED = object()


class _Source(NamedTuple):
    root: Any  # the whole description
    imports: tuple[str, ...]
    built: dict[Path, Any]  # what a `ref` may be of; _UNFINISHED while its fields are built


def _rebuilt(node: Any, path: Path, source: _Source) -> Any:
    if node is None or isinstance(node, bool | int | float | str):
        return node
    if isinstance(node, list):
        return tuple(_rebuilt(item, (*path, str(i)), source) for i, item in enumerate(node))
    if not isinstance(node, dict):
        raise _damage(path, f"a {type(node).__name__}")
    if "class" in node:
        return _rebuilt_instance(node, path, source)
    if set(node) == {"ref"}:
        return _referred(node["ref"], path, source)
    items = {key: _rebuilt(item, (*path, key), source) for key, item in node.items()}
    if not _is_tagged(items):
        return items
    try:
        return _untagged(items, path, source)
    except (TypeError, ValueError, OverflowError) as error:
        raise error if isinstance(error, UserError) else _damage(path, f"{node} ({error})") from error


def _rebuilt_instance(node: dict[str, Any], path: Path, source: _Source) -> Any:
    """The object of a class; the same one whenever the path is asked for."""
    if path not in source.built:
        source.built[path] = _UNFINISHED
        cls = _resolved(node["class"], path, source)
        if not (isinstance(cls, type) and _has_fields(cls)):
            raise _damage(path, f"{node['class']}, which is no module, dataclass or NamedTuple")
        fields = {key: _rebuilt(item, (*path, key), source) for key, item in node.items() if key != "class"}
        source.built[path] = _made(cls, node["class"], fields, path)
    if source.built[path] is _UNFINISHED:
        raise _damage(path, "inside of itself")
    return source.built[path]


def _referred(ref: Any, path: Path, source: _Source) -> Any:
    """The object of a class at another place, which may come later."""
    target, steps = source.root, tuple(str(ref).split(".")) if ref else ()
    for step in steps:
        if isinstance(target, list) and step.isdecimal() and int(step) < len(target):
            target = target[int(step)]
        elif isinstance(target, dict) and step in target:
            target = target[step]
        else:
            raise _damage(path, f"the same as {ref}, which does not exist")
    if not (isinstance(target, dict) and "class" in target):
        raise _damage(path, f"the same as {ref}, which is no object of a class")
    return _rebuilt_instance(target, steps, source)


def _untagged(items: dict[str, Any], path: Path, source: _Source) -> Any:
    """What an object with a tag stands for, whose values are rebuilt already."""
    match items:
        case {"call": name, **arguments}:
            constructor = _resolved(name, path, source)
            if getattr(constructor, "is_recorded", None) is not True:
                raise _damage(path, f"a call of {name}, which is no constructor")
            return _made(constructor, name, arguments, path)
        case {"partial": function, **rest} if rest.keys() <= {"arguments", "keywords"}:
            return functools.partial(function, *rest.get("arguments", ()), **rest.get("keywords", {}))
        case {"function": name}:
            function = _resolved(name, path, source)
            if callable(function) and not isinstance(function, type):
                return function
        case {"type": name}:
            if isinstance(cls := _resolved(name, path, source), type):
                return cls
        case {"dtype": _}:
            return rebuilt_array(items)
        case {"float": "nan" | "inf" | "-inf" as number}:
            return float(number)
        case {"dict": tuple(pairs)}:
            return dict(pairs)
    raise _damage(path, f"{items}")


def _resolved(name: Any, path: Path, source: _Source) -> Any:
    if not isinstance(name, str) or "." not in name.strip("."):
        raise _damage(path, f"of the name {name!r}")
    return resolve(name, source.imports)


def _has_fields(cls: type) -> bool:
    is_record = issubclass(cls, tuple) and hasattr(cls, "_fields")
    return issubclass(cls, nn.Module) or dataclasses.is_dataclass(cls) or is_record


def _made(make: Any, name: str, arguments: dict[str, Any], path: Path) -> Any:
    try:
        return make(**arguments)
    except Exception as error:  # of whatever type a part has for arguments that it does not know
        raise UserError(
            f"The model cannot be rebuilt: {_place(path)} is {name} of {', '.join(arguments) or 'nothing'}, which it "
            f"does not take ({error}); the file is damaged or was written by another version."
        ) from error


def _damage(path: Path, found: str) -> UserError:
    return UserError(f"The model cannot be rebuilt: {_place(path)} is {found}; the file is damaged or changed by hand.")
