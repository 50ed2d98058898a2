"""`python docs/notebooks.py`: write every tutorial as a Jupyter notebook beside its page, from the same text."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TUTORIALS = Path(__file__).parent / "tutorials"
BLOCK = re.compile(r"^```python\n(.*?)^```\n?", re.MULTILINE | re.DOTALL)


def notebook(page: str) -> dict[str, Any]:
    """Return the notebook of a page: its Python blocks are cells of code, all else is text.

    Args:
      page: in Markdown.
    """
    return {
        "cells": list(_cells(page)),
        "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def written(page: str) -> str:
    """Return the text of a notebook's file."""
    return json.dumps(notebook(page), indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the notebooks."""
    for path in sorted(TUTORIALS.glob("*.md")):
        path.with_suffix(".ipynb").write_text(written(path.read_text(encoding="utf-8")), encoding="utf-8")
        print(f"{path.with_suffix('.ipynb').name} is written.")


def _cells(page: str) -> Iterator[dict[str, Any]]:
    for i, text in enumerate(BLOCK.split(page)):
        if text.strip():
            lines = text.strip("\n").splitlines(keepends=True)
            cell: dict[str, Any] = {"cell_type": "code" if i % 2 else "markdown", "id": f"cell-{i}", "metadata": {}}
            more = {"execution_count": None, "outputs": []} if i % 2 else {}
            yield {**cell, **more, "source": lines}


if __name__ == "__main__":
    sys.exit(main())
