"""Applications of trained systems: functions of a system's capabilities, its parameters and images."""

from jaxvae.lazy import names_when_used

__getattr__ = names_when_used(__name__)  # modules
