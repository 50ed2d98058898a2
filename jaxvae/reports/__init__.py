"""Reports: metrics of a trained system on the test set (`summary.json`), figures, and a printed summary."""

from jaxvae.reports.report import report

__all__ = ["report"]
