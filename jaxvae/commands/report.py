"""Write a run or a study on one page, `report.html`, from the files of its folder."""

from jaxvae.commands.run_flags import ReportFlags
from jaxvae.reports.report_page import write_report


def run(flags: ReportFlags) -> None:
    """Write the page into the folder."""
    print(f"{write_report(flags.run.expanduser())}: to open in a browser.")
