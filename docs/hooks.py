"""Hooks of mkdocs: `::: jaxvae.flows.*` stands for every module of a package; pictures of shipped models are there."""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PACKAGE = re.compile(r"^::: ([\w.]+)\.\*$", re.M)
SAMPLES = re.compile(r"\(\.\./\.\./jaxvae/pretrained/([\w-]+)/samples\.png\)")


def on_files(files: Files, config: Any) -> Files:
    """Return the files of the site with the samples of shipped models, which are not below `docs`."""
    for path in sorted((ROOT / "jaxvae" / "pretrained").glob("*/samples.png")):
        files.append(File.generated(config, f"guides/{path.parent.name}.png", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, **kwargs: Any) -> str:
    """Return the text of a page with the modules of its packages, and samples of shipped models where they are."""
    return SAMPLES.sub(r"(\1.png)", with_modules(markdown, ROOT))


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
