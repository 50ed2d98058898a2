"""Names of a package that are imported when they are first used: `import jaxvae` loads neither JAX nor itself."""

import ast
import functools
import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def names_when_used(package: str) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package whose imports stand under `if typing.TYPE_CHECKING`, for editors.

    Args:
      package: its `__name__`.

    Returns:
      (name) -> what its `__init__.py` would import by that name, or its module of that name; it raises
      `AttributeError` of others.
    """

    @functools.cache
    def places() -> dict[str, str]:
        tree = ast.parse(Path(str(sys.modules[package].__file__)).read_text())
        return {
            alias.name: str(node.module)
            for block in tree.body
            if isinstance(block, ast.If)
            for node in block.body
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }

    def imported(name: str) -> Any:
        module = places().get(name, package)
        if module != package:
            value = getattr(importlib.import_module(module), name)
            setattr(sys.modules[package], name, value)
            return value
        if name.startswith("_") or importlib.util.find_spec(f"{package}.{name}") is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name, obj=sys.modules[package])
        return importlib.import_module(f"{package}.{name}")

    return imported
