"""Studies: many runs of an experiment in one table, and the command line of experiments."""

from jaxvae.lazy import names_when_used

__getattr__ = names_when_used(__name__)  # modules
