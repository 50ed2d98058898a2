"""`python -m benchmarks.pages`: write the pages of results, the README's table, and the page of shipped models."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.pages.cards import shipped_page
from benchmarks.pages.render import HEADLINES, into_readme, pages

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"


def written(root: Path = ROOT, results: Path = RESULTS) -> dict[Path, str]:
    """Return the text of every file that the command writes.

    Args:
      root: of the repository.
      results: the folder of the records.
    """
    made = pages(results)
    readme = root / "README.md"
    files = {root / "docs" / "results" / name: text for name, text in made.items() if name != HEADLINES}
    files[root / "docs" / "guides" / "shipped.md"] = shipped_page()
    return files | {readme: into_readme(readme.read_text(), made[HEADLINES])}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status: with --check 1 where a file is not what it would be."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, name the files that are out of date")
    check = parser.parse_args(arguments).check
    stale = {path: text for path, text in written().items() if not path.exists() or path.read_text() != text}
    for path, text in stale.items():
        print(f"{path.relative_to(ROOT)} {'is out of date' if check else 'is written'}.")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
