"""`python -m experiments`: list the experiments."""

import ast
from pathlib import Path

SHARED = {"__init__", "__main__"}


def experiments() -> dict[str, str]:
    """Return the name of every experiment and the first line of its docstring."""
    folder = Path(__file__).parent
    modules = sorted(path for path in folder.glob("*.py") if path.stem not in SHARED)
    return {path.stem: (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n")[0] for path in modules}


if __name__ == "__main__":
    print("python -m experiments.NAME --help shows the flags of:")
    lines = experiments()
    width = max(map(len, lines))
    for name, line in lines.items():
        print(f"  {name:<{width}} {line}")
