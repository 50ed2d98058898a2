"""The summary that a run prints at its end: training, main metrics, figures, and the next command."""

from collections.abc import Mapping
from typing import Any

from jaxvae.reports.introduction import Introduction
from jaxvae.reports.next_command import next_command, shows_means
from jaxvae.reports.report_page import NAME as REPORT
from jaxvae.runs.measures import MAIN, main_numbers, written
from jaxvae.runs.trained import Trained

SHOWN = 7


def print_summary(trained: Trained, summary: Mapping[str, Any], introduction: Introduction) -> None:
    """Print the summary of a finished run.

    Args:
      trained: the run.
      summary: its `summary.json`.
      introduction: what stands before the numbers.
    """
    folder, metrics = trained.folder, summary["metrics"]
    steps = f"{summary.get('steps', 0):,} steps" + (f", best at {best:,}" if (best := summary.get("best_step")) else "")
    print(f"\n{trained.system.name}: {introduction.trained}, {steps}, {summary.get('seconds', 0):.0f} s.")
    print(f"{introduction.evaluated}:")
    print("\n".join(lines(metrics)))
    for text in (metrics.get("warning"), summary.get("overfitting")):
        if text:
            print(f"warning: {text}")
    figures = sorted(path.name for path in (folder / "figures").glob("*.png")) if folder else []
    if figures:
        wanted = ["sample_means.png"] if shows_means(trained) else ["samples.png"]
        first = next((name for name in wanted if name in figures), figures[0])
        print(f"Figures:  {folder}/figures/ ({len(figures)} files; begin with {first})")
    print(f"Numbers:  {folder}/summary.json")
    if folder and (folder / REPORT).exists():
        print(f"Report:   {folder / REPORT} (all of it on one page, to open in a browser)")
    if (command := next_command(trained)) is not None:
        print(f"Use it:   {command}")


def print_line(trained: Trained, summary: Mapping[str, Any]) -> None:
    """Print the main metrics of one run of several in a line."""
    metrics = summary["metrics"]
    shown = list(main_numbers(metrics))[:SHOWN]
    print(f"{trained.folder}: " + ", ".join(f"{name} {metrics[name]:.4g}" for name in shown))
    for text in (metrics.get("warning"), summary.get("overfitting")):
        if text:
            print(f"warning: {text}")


def lines(metrics: Mapping[str, Any]) -> list[str]:
    """Return the main metrics, a line each, with units and whether lower or higher is better."""
    shown = list(main_numbers(metrics))[:SHOWN]
    width = max((len(MAIN[name].name) for name in shown), default=0)
    found = []
    for name in shown:
        meaning = MAIN[name]
        better = f"({meaning.better} is better)" if meaning.better else ""
        found.append(
            "  ".join(
                part for part in (f"  {meaning.name:<{width}}", written(metrics, name), meaning.unit, better) if part
            )
        )
    return found
