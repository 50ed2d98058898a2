"""A lock on a run's folder while it is trained: of two processes that train the same run, one is refused.

It is the operating system's, so that it ends with the process, however that ends.
"""

from pathlib import Path

from filelock import FileLock, Timeout

from jaxvae.errors import UserError

_NAME = ".lock"


def lock(folder: Path) -> FileLock:
    """Return the lock of a run's folder, taken; who has it already, in the same thread, has it twice.

    Args:
      folder: of the run, which exists.

    Raises:
      UserError: if another process, or another thread, trains the run.
      OSError: if the folder cannot be written.
    """
    found = FileLock(folder.resolve() / _NAME, is_singleton=True)
    try:
        found.acquire(timeout=0)
    except Timeout as error:
        raise UserError(
            f"The run {folder} is being trained by another process: wait until that has ended, or choose another name."
        ) from error
    return found
