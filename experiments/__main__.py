"""`python -m experiments`: list the experiments."""

import ast
from pathlib import Path

from jaxvae.exits import say

SHARED = {"__init__", "__main__"}


def experiments() -> dict[str, str]:
    """Return the name of every experiment and the first line of its docstring."""
    folder = Path(__file__).parent
    modules = sorted(path for path in folder.glob("*.py") if path.stem not in SHARED)
    return {path.stem: (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n")[0] for path in modules}


if __name__ == "__main__":
    found = experiments()
    width = max(map(len, found))
    lines = (f"  {name:<{width}} {line}" for name, line in found.items())
    say("\n".join(["python -m experiments.NAME --help shows the flags of:", *lines]))
