"""What all figures share: matplotlib's canvas, colours, the style of axes.

Nothing touches matplotlib's global state, and matplotlib itself is imported by the first figure.
"""

from pathlib import Path
from typing import Any, Literal

from jaxvae.errors import UserError

DPI = 128  # a power of two: sizes in inches are then exact, and no pixel is lost to rounding
INK, FAINT, MUTED, BLUE, ORANGE = "#222222", "#e4e4e4", "#b4b4b4", "#1f77b4", "#e1701a"


def figure_of(width: float, height: float, layout: Literal["constrained"] | None = "constrained") -> Any:
    """Return an empty figure, inches, that no window and no global state knows of."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UserError(
            'Figures need matplotlib, which is not installed; pip install "jaxvae[experiments]".'
        ) from error
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white", layout=layout)
    if layout:
        engine: Any = figure.get_layout_engine()
        engine.set(w_pad=0.14, h_pad=0.14)  # inches
    return figure


def plot(title: str, xlabel: str, ylabel: str, width: float, height: float) -> tuple[Any, Any]:
    """Return a figure, inches, with one pair of axes."""
    figure = figure_of(width, height)
    return figure, styled(figure.add_subplot(), title, xlabel, ylabel)


def styled(axes: Any, title: str, xlabel: str, ylabel: str) -> Any:
    """Return the axes with title, labels and a faint grid."""
    axes.set_title(title, loc="left", fontsize=11, color=INK, pad=10)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    return axes


def write(figure: Any, path: str | Path) -> None:
    """Write the figure as PNG, every pixel where it was placed."""
    figure.savefig(path, format="png", dpi=DPI, facecolor="white")
