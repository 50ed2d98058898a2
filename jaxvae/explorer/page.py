"""The page: one HTML file with everything in it."""

import html
import json
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from jaxvae.errors import UserError
from jaxvae.explorer.contents import contents
from jaxvae.runs.trained import Trained
from jaxvae.types import Dataset

# In the order in which they are put into the page: one program, each file uses what the ones before it define.
SCRIPTS = ("elementwise", "kernels", "products", "program")
STYLES = ("explorer",)
