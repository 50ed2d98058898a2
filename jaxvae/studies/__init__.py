"""Studies: many runs of an experiment in one table, and the command line of experiments."""
