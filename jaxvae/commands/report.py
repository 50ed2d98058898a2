"""Write a run or a study on one page, `report.html`, from the files of its folder."""

from dataclasses import dataclass
from pathlib import Path

from jaxvae.commands.flags import positional
from jaxvae.reports.report_page import write_report


@dataclass(frozen=True, kw_only=True)
class Flags:
    """Which run."""

    run: Path = positional("RUN")
    """folder of a finished run or study"""


def run(flags: Flags) -> None:
    """Write the page into the folder."""
    print(f"{write_report(flags.run.expanduser())}: to open in a browser.")
