"""A hook of mkdocs: `::: jaxvae.flows.*` on a page stands for every module of that package."""

import re
from pathlib import Path
from typing import Any

PACKAGE = re.compile(r"^::: ([\w.]+)\.\*$", re.M)


def on_page_markdown(markdown: str, **kwargs: Any) -> str:
    """Return the text of a page with the modules of its packages."""
    return with_modules(markdown, Path(__file__).parents[1])


def with_modules(markdown: str, root: Path) -> str:
    """Return a text in which every package is a directive of mkdocstrings for each of its modules.

    Args:
      markdown: text.
      root: the folder in which the packages are.
    """

    def modules(package: re.Match[str]) -> str:
        folder = root.joinpath(*package[1].split("."))
        names = sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))
        return "\n\n".join(f"::: {package[1]}.{name}" for name in names)

    return PACKAGE.sub(modules, markdown)
