"""Pages of results: Markdown templates whose numbers come from the records in `benchmarks/results/`."""
