"""Runs: systems with configuration, checkpoints and folder; `load` restores them."""
