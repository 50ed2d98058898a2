"""Look up classes and functions by their names in `config.json`, and check which of them a file may use.

A file comes from anywhere, and what it names is called: its names reach the parts of models in this library, functions
of arrays, and the modules of a person's own that are imported or listed, nothing else.
"""

import importlib
import inspect
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from jaxvae.errors import UserError, shortened

# Of this library, what a model is made of: no data sources, no training, nothing that reads or writes files.
_PARTS = (
    "jaxvae.data.corruptions",
    "jaxvae.data.transforms",
    "jaxvae.distributions",
    "jaxvae.flows",
    "jaxvae.likelihoods",
    "jaxvae.models",
    "jaxvae.nets",
    "jaxvae.numerics",
    "jaxvae.objectives",
    "jaxvae.penalties",
    "jaxvae.posteriors",
    "jaxvae.priors",
    "jaxvae.quantizers",
    "jaxvae.sampling",
    "jaxvae.schedules",
    "jaxvae.systems",
    "jaxvae.targets",
    "jaxvae.types",
)
# Where functions of arrays are public; their own modules are private ones. The first that has a function names it.
_PUBLIC = ("flax.linen", "jax.nn", "jax.numpy", "jax.lax", "jax.random", "jax.scipy.special", "numpy", "optax")
_NUMERIC = frozenset({"jax", "jaxlib", "flax", "numpy", "optax", "ml_dtypes"})
# Whose functions are of arrays: not those that trace, map, print or loop, and not those that read or write files.
_OF_ARRAYS = ("jax", "optax", "flax.linen.attention", "flax.linen.dtypes", "flax.linen.pooling")
_LOOPS = ("jax._src.lax.control_flow",)
_NOT_OF_ARRAYS = re.compile(
    "apply_along_axis|apply_over_axes|array_(repr|str)|array2string|from(_dlpack|file|function|iter|pyfunc|string)|"
    "frompyfunc|(get_|set_)?printoptions|load|piecewise|savez?|vectorize"
)
_TYPES = (bool, int, float, complex, str)  # the builtins that a file may name
_LISTED: set[str] = set()  # modules that a person has listed in this process, for this load or an earlier one


def module_name(name: str) -> str:
    """Return the real name of a module: `__main__` is mymodule in `python -m mymodule` and `python mymodule.py`.

    Args:
      name: the `__module__` of a class or function.

    Returns:
      The name that imports it; `__main__` itself in a notebook.
    """
    if name != "__main__":
        return name
    main = sys.modules["__main__"]
    if getattr(main, "__spec__", None) is not None:
        return main.__spec__.name  # type: ignore[union-attr]
    file = getattr(main, "__file__", None)
    return Path(file).stem if file else name


def public_name(value: Any) -> str | None:
    """Return the shortest name under which a class or function of the top level of a module is found again.

    Args:
      value: as `jax.nn.relu`, which is `flax.linen.relu` too.

    Returns:
      Its full name; None of a lambda, a function in a function, or what its module has under that name no more.
    """
    own, qualname = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if own is None or _top(own) in _NUMERIC:
        for module in map(importlib.import_module, _PUBLIC):
            for name, found in vars(module).items():
                if found is value and not name.startswith("_"):
                    return f"{module.__name__}.{name}"
    if own is None or qualname is None:
        return None
    parts = module_name(own).split(".")
    for end in range(1, len(parts) + 1):
        place = ".".join(parts[:end])
        if _attribute(_loaded(place), qualname.split(".")) is value:
            return f"{place}.{qualname}"
    return None


def resolve(name: str, imports: Sequence[str] = ()) -> Any:
    """Return the class or function of a name in a file.

    Args:
      name: as `public_name` gives it.
      imports: modules that the file may name and have imported, with what is under them, beside those that were listed
        before.

    Returns:
      The class or function.

    Raises:
      UserError: if it does not exist, or a file may not name it.
    """
    imports = (*imports, *_LISTED)
    for module, names in _modules(name, imports):
        value = _attribute(module, names)
        if value is None or inspect.ismodule(value):
            break
        if not _allowed(value, module, imports):
            raise UserError(
                f"The model has a part {name}, which a file alone may not use: if you trust it, name its module, "
                f"jv.load(place, imports=[{module.__name__!r}]) or --import {module.__name__}."
            )
        return value
    else:
        place = name.rpartition(".")[0] or name
        if _top(name) not in {"jaxvae", *_NUMERIC}:
            raise UserError(
                f"The model has a part {name}, and a file alone does not have {place} imported: import it first or "
                f"name it, jv.load(place, imports=[{place!r}]) or --import {place}."
            )
    if _top(name) == "__main__":
        raise UserError(f"The model has a part {name}, which a notebook defined: define it in this session too.")
    raise UserError(
        f"The model has a part {name}, which {_top(name)} does not have as it is installed here: expected the version "
        f"that the file was written with, or the file is damaged."
    )


def import_listed(imports: Sequence[str]) -> None:
    """Import modules that a person names; files that are loaded later in the same process may name them too.

    Args:
      imports: their full names.

    Raises:
      UserError: if one cannot be imported.
    """
    for name in imports:
        if not all(part.isidentifier() for part in name.split(".")):
            raise UserError(f"The module {shortened(name)} of `imports` is no name of one: expected it as my.module.")
        try:
            if _loaded(name) is None:
                importlib.import_module(name)
        except Exception as error:  # of whatever type the module raises
            reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'without a reason'}"
            raise UserError(
                f"The module {shortened(name)} of `imports` cannot be imported ({shortened(reason)}): expected a "
                "module on the path."
            ) from error
        _LISTED.add(name)


# ---------- private


def _top(name: str) -> str:
    return name.partition(".")[0]


def _within(name: str, packages: Sequence[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def _loaded(name: str) -> ModuleType | None:
    """A module that is imported; the one that runs has two names."""
    return sys.modules["__main__"] if name == module_name("__main__") else sys.modules.get(name)


def _modules(name: str, imports: Sequence[str]) -> Iterator[tuple[ModuleType, list[str]]]:
    """Every module that a name may be of, the longest first, and what is left of the name: `a.b`, C of a.b.C."""
    parts = name.split(".")
    for end in range(len(parts) - 1, 0, -1):
        place = ".".join(parts[:end])
        module = _loaded(place)
        if module is None and _within(place, (*_PARTS, *_PUBLIC, *imports)):
            try:
                module = importlib.import_module(place)
            except ImportError:
                continue
        if module is not None:
            yield module, parts[end:]


def _attribute(module: ModuleType | None, names: Sequence[str]) -> Any:
    """What a module has under a name, through classes alone: not through the modules that it has imported itself."""
    value: Any = module
    for name in names:
        if not (value is module or isinstance(value, type)):
            return None
        value = getattr(value, name, None)
    return value


def _allowed(value: Any, module: ModuleType, imports: Sequence[str]) -> bool:
    own, place = getattr(value, "__module__", None), module_name(module.__name__)
    if not isinstance(own, str):
        return False
    own = module_name(own)
    if _within(place, imports):
        return _top(own) == _top(place)
    match _top(place):
        case "jaxvae":
            return _within(own, _PARTS)
        case "builtins":
            return value in _TYPES
        case "numpy" | "ml_dtypes":
            return isinstance(value, np.ufunc) or (isinstance(value, type) and issubclass(value, np.generic))
        case top if top in _NUMERIC:
            return place in (*_PUBLIC, "flax.linen.dtypes") and _is_numeric(value, own)
        case top:
            return _top(own) == top and _is_own_code(module) and _is_part(value)


def _is_numeric(value: Any, own: str) -> bool:
    """Whether what a numeric library has is a module of layers, a type of numbers, or a function of arrays."""
    if isinstance(value, type):
        return issubclass(value, nn.Module | np.generic) or isinstance(value, type(jnp.float32))
    named = getattr(value, "__name__", "")
    return _within(own, _OF_ARRAYS) and not _within(own, _LOOPS) and _NOT_OF_ARRAYS.fullmatch(named) is None


def _is_part(value: Any) -> bool:
    """Whether what a person's own module has is made to be a part of a model, or is a plain function."""
    if isinstance(value, type):
        return issubclass(value, nn.Module) or all(hasattr(value, name) for name in ("init", "evaluate", "use"))
    return inspect.isfunction(value) or getattr(value, "is_recorded", None) is True


def _is_own_code(module: ModuleType) -> bool:
    """Whether a person wrote a module, rather than installed it."""
    if module is sys.modules["__main__"]:
        return True
    file = getattr(module, "__file__", None)
    if file is None or _top(module.__name__) in sys.stdlib_module_names:
        return False
    return not {"site-packages", "dist-packages"} & set(Path(file).parts)
