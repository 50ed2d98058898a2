"""Paths as people give them."""

import os
from pathlib import Path

from jaxvae.errors import UserError, shortened


def located(place: str | os.PathLike[str], before: str = "") -> Path:
    """Return a path with `~` in full, whether anything is there or not.

    Args:
      place: the path.
      before: what stands before it where it was given, for messages: "npz:", "--out ".

    Raises:
      UserError: if no file can have such a path.
    """
    text = os.fspath(place)
    try:
        path = Path(text).expanduser()
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):  # whoever reads it says what it needs
        pass
    except RuntimeError as error:
        raise UserError(f"{before}{shortened(text)} begins with the home of a user who is not known here.") from error
    except OSError as error:
        raise UserError(f"{before}{shortened(text)} cannot be opened ({error.strerror}).") from error
    except ValueError as error:  # a null byte, or signs that no file name has
        raise UserError(f"{before}{shortened(text)} is no path ({error}).") from error
    return path
