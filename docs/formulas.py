"""A griffe extension: equations in docstrings, which stand two spaces in, are code in the documentation."""

import re
from typing import Any

import griffe

SECTION = re.compile(r"(Args|Attributes|Returns|Yields|Raises|References|Examples?):$", re.M)


class Formulas(griffe.Extension):
    """Fences what is indented before the first section of a docstring."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Change the docstring of one object."""
        if obj.docstring:
            obj.docstring.value = fenced(obj.docstring.value)


def fenced(text: str) -> str:
    """Return a docstring with a fence around every paragraph that is indented.

    Args:
      text: without the indentation of the docstring itself.
    """
    section = SECTION.search(text)
    end = section.start() if section else len(text)
    paragraphs = text[:end].split("\n\n")
    return "\n\n".join(_as_code(paragraph) for paragraph in paragraphs) + text[end:]


def _as_code(paragraph: str) -> str:
    lines = paragraph.rstrip("\n").split("\n")
    if not all(line.startswith("  ") for line in lines):
        return paragraph
    ending = paragraph[len(paragraph.rstrip("\n")) :]
    return "\n".join(["```text", *(line[2:] for line in lines), "```"]) + ending
