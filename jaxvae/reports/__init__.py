"""Reports: a trained system on the test part, once, in numbers (`summary.json`), figures and a few lines to read."""

from jaxvae.reports.report import report

__all__ = ["report"]
