"""Templates of Markdown with a placeholder for every number, filled in from the records.

A placeholder is `{RECORD.FIELD.FIELD:FORM}`: the name of a file in `benchmarks/results/`, the way to a number in it and
how it is written, as for `format`, or `time`. `{tables.NAME}` and `{speed.NAME}` are tables, `{published.NAME.FIELD}`
and `{aims.NAME}` are numbers of `quoted.json`, which no record of ours has, `{timings[SUITE: CASE].FIELD}` is a timing.
"""

import json
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.pages.fields import Fields
from benchmarks.pages.records import load_records, load_timings
from benchmarks.pages.speed import SPEED_TABLES
from benchmarks.pages.tables import TABLES

TEMPLATES = Path(__file__).parent / "templates"
HEADLINES = "headlines.md"  # the template of what stands in the README too
START = "<!-- results: written by `python -m benchmarks.pages` -->"
END = "<!-- end of results -->"
WARNING = "<!-- Written by `python -m benchmarks.pages` from benchmarks/pages/templates/{name}: edit that file. -->\n\n"


def pages(results: Path) -> dict[str, str]:
    """Return the text of every page by its name.

    Args:
      results: the folder of the records.

    Returns:
      Markdown by file name, `headlines.md` among them.

    Raises:
      KeyError: if a template names what no record has.
    """
    names = namespace(results)
    headlines = render((TEMPLATES / HEADLINES).read_text(), names)
    names["headlines"] = headlines.strip()
    others = [path for path in sorted(TEMPLATES.glob("*.md")) if path.name != HEADLINES]
    return {HEADLINES: headlines} | {
        path.name: WARNING.format(name=path.name) + render(path.read_text(), names) for path in others
    }


def namespace(results: Path) -> dict[str, Any]:
    """Return all that placeholders can name."""
    records, timings = load_records(results), load_timings(results)
    quoted = json.loads((Path(__file__).parent / "quoted.json").read_text())
    return {
        **{name: Fields(record, name) for name, record in records.items()},
        "published": Fields(quoted["published"], "published"),
        "aims": Fields(quoted["aims"], "aims"),
        "timings": Fields(timings, "timings"),
        "tables": _Tables({name: make(records, quoted) for name, make in TABLES.items()}),
        "speed": _Tables({name: make(timings) for name, make in SPEED_TABLES.items()}),
    }


def render(template: str, names: Mapping[str, Any]) -> str:
    """Fill in the placeholders of a template."""
    return string.Formatter().vformat(template, (), names)


def into_readme(readme: str, headlines: str) -> str:
    """Return the README with the headlines between its two markers.

    Args:
      readme: its text.
      headlines: the text of the page `headlines.md`.

    Raises:
      ValueError: if the markers are missing.
    """
    if readme.count(START) != 1 or readme.count(END) != 1:
        raise ValueError(f"The README needs one line '{START}' and one line '{END}', for the results to stand between.")
    before, after = readme.split(START)[0], readme.split(END)[1]
    return f"{before}{START}\n{headlines.strip()}\n{END}{after}"


class _Tables:
    """Tables by name, as attributes."""

    def __init__(self, tables: Mapping[str, str]):
        self.__dict__.update(tables)
