"""`report.html`: a run or a study on one page that opens offline, made from the files of its folder."""

import base64
import html
import json
import shlex
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from jaxvae.reports.page_curves import curves_of
from jaxvae.reports.page_words import FIGURES, NUMBERS
from jaxvae.runs.files import read_json, write_text
from jaxvae.runs.measures import MAIN, main_numbers, written

NAME = "report.html"
FIRST = ("study.png", "samples.png", "sample_means.png", "reconstructions.png")  # of the figures
INTERACTIVE = "curves.png"  # which the page draws itself


def write_report(folder: Path) -> Path:
    """Write `report.html` of a run or a study in its folder.

    Args:
      folder: with `config.json` and `summary.json`; metrics and figures as far as they are there.

    Returns:
      The path of the page.

    Raises:
      UserError: if the folder is no finished run, or cannot be written.
    """
    record, summary = read_json(folder / "config.json"), read_json(folder / "summary.json")
    place = folder / NAME
    write_text(place, page(folder, record, summary))
    return place


def page(folder: Path, record: Mapping[str, Any], summary: Mapping[str, Any]) -> str:
    """Return the page.

    Args:
      folder: of the run.
      record: its `config.json`.
      summary: its `summary.json`.
    """
    name = str(record.get("experiment", "")).rpartition(".")[2]
    sections = {
        "Warnings": _warnings(summary),
        "Numbers": _numbers(summary.get("metrics", {})),
        "Runs": _runs(folder, summary.get("runs", [])),
        "Training curves": _curves(folder),
        "Figures": _figures(folder),
        "Go on": _commands(folder, record),
        "Settings": _settings(record),
        "Environment": _environment(record, summary),
    }
    filled = {title: text for title, text in sections.items() if text}
    links = "".join(f'<a href="#{_anchor(title)}">{title}</a>' for title in filled if title != "Warnings")
    body = "".join(
        text if title == "Warnings" else f'<section id="{_anchor(title)}"><h2>{title}</h2>{text}</section>'
        for title, text in filled.items()
    )
    title = f"{name}: {folder.resolve().name}"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_escaped(title)}</title><style>{_asset('report.css')}</style></head><body>"
        f'<header><h1>{_escaped(title)}</h1><p class="lead">{_escaped(introduction(record, summary))}</p>'
        f"<nav>{links}</nav></header>{body}<script>{_asset('report.js')}</script></body></html>\n"
    )


def introduction(record: Mapping[str, Any], summary: Mapping[str, Any]) -> str:
    """Return what was trained, on what, for how long, in a line."""
    config, shape = record.get("config", {}), record.get("spec", {}).get("shape", [])
    parts = []
    if record.get("num_train"):
        examples = f"images of {'x'.join(map(str, shape))}" if len(shape) == 3 else "examples"
        source = f" from {config['data']}" if config.get("data") else ""
        parts.append(f"{record['num_train']:,} training {examples}{source}")
    if summary.get("steps"):
        best = f", best at {summary['best_step']:,}" if summary.get("best_step") else ""
        parts.append(f"{summary['steps']:,} steps{best}")
    if summary.get("seconds"):
        parts.append(f"{summary['seconds']:,.0f} s on {summary.get('device', 'unknown')}")
    return " · ".join([*parts, *([summary["date"]] if summary.get("date") else [])])


# ---------- private


def _warnings(summary: Mapping[str, Any]) -> str:
    said = [summary.get("metrics", {}).get("warning"), summary.get("overfitting"), summary.get("failure")]
    return "".join(f'<div class="warning" role="note">{_escaped(text)}</div>' for text in said if text)


def _numbers(metrics: Mapping[str, Any]) -> str:
    rows = []
    for name in main_numbers(metrics):
        meaning = MAIN[name]
        better = f" {meaning.better.capitalize()} is better." if meaning.better else ""
        words = f"{NUMBERS.get(name, '')}{better}"
        rows.append(
            (meaning.name, ("number", written(metrics, name).replace("+-", "±")), meaning.unit, ("meaning", words))
        )
    return f'<div class="numbers">{_table(("of the test images", "", "unit", "meaning"), rows)}</div>' if rows else ""


def _runs(folder: Path, runs: Sequence[Mapping[str, Any]]) -> str:
    if not runs or not all(isinstance(run, Mapping) for run in runs):
        return ""
    measured = [name for name in MAIN if any(name in run.get("metrics", {}) for run in runs)][:5]
    rows = []
    for run in runs:
        name, metrics = str(run.get("run", "")), run.get("metrics", {})
        there = (folder / name / NAME).exists()
        link = f'<a href="{_escaped(name)}/{NAME}">{_escaped(name)}</a>' if there else _escaped(name)
        numbers = [f"{metrics[one]:.4g}" if isinstance(metrics.get(one), int | float) else "" for one in measured]
        rows.append(f"<tr><td>{link}</td>" + "".join(f'<td class="number">{n}</td>' for n in numbers) + "</tr>")
    head = "".join(f"<th>{_escaped(text)}</th>" for text in ("run", *(MAIN[name].name for name in measured)))
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _curves(folder: Path) -> str:
    series = curves_of(folder)
    if not series:
        return ""
    options = "".join(f"<option>{_escaped(name)}</option>" for name in series)
    data = json.dumps(series, allow_nan=False).replace("<", "\\u003c")
    return (
        f'<div id="curves"><label>Metric <select>{options}</select></label>'
        '<span class="key train">— training</span><span class="key valid">— validation</span>'
        '<svg viewBox="0 0 900 340" role="img" tabindex="0" aria-label="Training curves"></svg><output></output></div>'
        f'<script type="application/json" id="curves-data">{data}</script>'
    )


def _figures(folder: Path) -> str:
    found = {path.name: path for path in sorted((folder / "figures").glob("*.png")) if path.name != INTERACTIVE}
    names = [*(name for name in FIRST if name in found), *(name for name in found if name not in FIRST)]
    shown = []
    for i, name in enumerate(names):
        data = base64.b64encode(found[name].read_bytes()).decode()
        words = _escaped(FIGURES.get(found[name].stem, found[name].stem.replace("_", " ")))
        shown.append(
            f'<figure{" class=first" if i == 0 else ""}><img alt="{words}" src="data:image/png;base64,{data}">'
            f"<figcaption>{words}</figcaption></figure>"
        )
    return f'<div class="figures">{"".join(shown)}</div>' if shown else ""


def _commands(folder: Path, record: Mapping[str, Any]) -> str:
    place = shlex.quote(str(folder))
    lines = [f"python -m jaxvae info {place}", f"python -m jaxvae export {place} --out model"]
    python = f"import jaxvae as jv\n\nmodel = jv.load({json.dumps(str(folder))})"
    config = record.get("config", {})
    if "sweep" not in record and str(record.get("experiment", "")).startswith("experiments.") and "steps" in config:
        again = (
            f"python -m {record['experiment']} --resume --name {shlex.quote(folder.name)} --steps {2 * config['steps']}"
        )
        lines.append(f"{again}  # with the other flags that it was started with")
    return f"<pre>{_escaped(chr(10).join(lines))}</pre><pre>{_escaped(python)}</pre>"


def _settings(record: Mapping[str, Any]) -> str:
    config = record.get("config", {})
    rows = [(f"--{name.replace('_', '-')}", ("number", json.dumps(value))) for name, value in config.items()]
    swept = [(f"swept: {name}", ("number", ", ".join(map(str, v)))) for name, v in record.get("sweep", {}).items()]
    parts = json.dumps(record.get("system", {}), indent=1)
    model = f"<details><summary>The model, part by part</summary><pre>{_escaped(parts)}</pre></details>"
    return _table(("setting", "value"), [*swept, *rows]) + (model if record.get("system") else "")


def _environment(record: Mapping[str, Any], summary: Mapping[str, Any]) -> str:
    rows = [(name, ("number", str(value))) for name, value in summary.get("versions", {}).items()]
    for name, words in (("device", "device"), ("layout", "layout of the steps")):
        if summary.get(name):
            rows.append((words, ("number", str(summary[name]))))
    if record.get("data"):
        rows.append(("hash of the images", ("number", str(record["data"]))))
    return _table(("", ""), rows) if rows else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table of texts; (class, text) has the class of its cell."""

    def cell(entry: Any) -> str:
        kind, text = entry if isinstance(entry, tuple) else ("", entry)
        return f"<td{f' class={kind}' if kind else ''}>{_escaped(text)}</td>"

    titles = "".join(f"<th>{_escaped(text)}</th>" for text in head)
    body = "".join(f"<tr>{''.join(map(cell, row))}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>'


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath("page", name).read_text(encoding="utf-8")


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


def _escaped(text: Any) -> str:
    return html.escape(str(text))
