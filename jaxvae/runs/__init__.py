"""Runs: a system with its configuration, its checkpoints and its folder, and `load`, which gives it back to be used."""
