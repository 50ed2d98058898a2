"""Paths as people give them."""

import os
from pathlib import Path

from jaxvae.errors import UserError

SHOWN = 200  # signs of a path in a message


def located(place: str | os.PathLike[str], kind: str) -> Path:
    """Return a path with `~` in full, whether anything is there or not.

    Args:
      place: the path.
      kind: of the source, for messages.

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
        raise UserError(f"{kind}:{shortened(text)} begins with the home of a user who is not known here.") from error
    except OSError as error:
        raise UserError(f"{kind}:{shortened(text)} cannot be opened ({error.strerror}).") from error
    except ValueError as error:  # a null byte, or signs that no file name has
        raise UserError(f"{kind}:{shortened(repr(text))} is no path ({error}).") from error
    return path


def shortened(text: str) -> str:
    """Return a text that fits into a sentence."""
    return text if len(text) <= SHOWN else f"{text[: SHOWN // 2]}...{text[-SHOWN // 2 :]}"
