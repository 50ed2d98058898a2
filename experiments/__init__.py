"""Front doors of the library, run from a clone: `python -m experiments.NAME`."""

import sys

from jaxvae.exits import leave_at_interrupts

if sys.argv[0] == "-m":  # this package is imported for a command: what it needs takes seconds to be imported
    leave_at_interrupts()
