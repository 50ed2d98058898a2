"""The strings below the fields of dataclasses, which are the help of their flags."""

import ast
import dataclasses
import inspect
import textwrap
import typing
from typing import Any


def docstrings(cls: type[Any]) -> dict[str, str]:
    """Return the strings below the fields of a dataclass and of its bases: the help of their flags."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if not dataclasses.is_dataclass(base):
            continue
        (node,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        body = typing.cast(ast.ClassDef, node).body
        for field, text in zip(body, body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                # In one line, which the help breaks where its window ends, and not where the source does.
                found[typing.cast(ast.Name, field.target).id] = " ".join(str(text.value.value).split())
    return found
