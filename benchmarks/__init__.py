"""Speed, measured: `python -m benchmarks NAME...`, see `python -m benchmarks --help`."""
