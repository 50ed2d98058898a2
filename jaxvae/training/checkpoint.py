"""Checkpoints of a training by Orbax, each complete in itself: the state, the best parameters, what the loop knows."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import preservation_policy

from jaxvae.errors import UserError
from jaxvae.types import LoopState, ModelState, Params, TrainState


class Best(NamedTuple):
    """What a training is used for: the parameters of its best evaluation so far."""

    params: Params  # moving averages where the state keeps them
    model_state: ModelState


class Saved(NamedTuple):
    """One checkpoint."""

    state: TrainState
    best: Best
    loop: LoopState


class Checkpoints:
    """The checkpoints in one folder, the latest ones of a training.

    Saving is asynchronous and in all processes of a distributed training; a checkpoint appears under its name when it
    is whole, so whatever ends the process leaves the older ones. What an interrupted save left is removed when the
    folder is opened next. A save that failed is reported by the next call of `save`, `wait` or `close`.

    Args:
      folder: made when the first checkpoint is saved.
      keep: how many of the latest to keep.
      read_only: leave the folder as it is, with a save that another process has under way.
    """

    def __init__(self, folder: str | Path, keep: int = 2, read_only: bool = False) -> None:
        self.folder = Path(folder).absolute()
        options = ocp.CheckpointManagerOptions(
            preservation_policy=preservation_policy.LatestN(keep),
            cleanup_tmp_directories=not read_only,
            read_only=read_only,
            create=not read_only,
            save_interval_steps=0 if read_only else 1,
        )
        try:
            self._manager = ocp.CheckpointManager(self.folder, options=options)
        except OSError as error:
            raise UserError(f"{self.folder} cannot be written ({error.strerror}): choose a folder that can.") from error

    def save(self, step: int, saved: Saved) -> None:
        """Save under a step; returns before it is written.

        Args:
          step: of the loop.
          saved: copied before this returns, so that it may be donated afterwards.

        Raises:
          UserError: if this or the save before could not be written; the checkpoints before that are as they were.
        """
        self.wait()
        if step in self._manager.all_steps():
            return
        # On the CPU the saver would otherwise read the very buffers that the next step overwrites.
        state, best = jax.tree.map(lambda leaf: leaf.copy(), (saved.state, saved.best))
        arguments = ocp.args.Composite(
            state=ocp.args.StandardSave(state),
            best=ocp.args.StandardSave(best._asdict()),
            loop=ocp.args.JsonSave(saved.loop._asdict()),
        )
        self._reported(lambda: self._manager.save(step, args=arguments, force=True))

    def latest_step(self) -> int | None:
        """Return the step of the newest finished checkpoint, None where there is none."""
        return self._manager.latest_step()

    def all_steps(self) -> list[int]:
        """Return the steps of all finished checkpoints, in their order."""
        return sorted(self._manager.all_steps())

    def discard_after(self, step: int) -> None:
        """Remove the checkpoints of later steps."""
        for later in self.all_steps():
            if later > step:
                self._manager.delete(later)

    def restore(self, step: int, like: Saved) -> Saved:
        """Return what was saved at a step.

        Args:
          step: of a finished checkpoint.
          like: the same trees of arrays or `jax.ShapeDtypeStruct`s, on the devices where the result is wanted; those
            need not be the devices that saved. Its loop is not read.

        Raises:
          UserError: if the checkpoint is damaged, or that of another model.
        """
        restored = self._restored(
            step,
            state=ocp.args.StandardRestore(like.state),
            best=ocp.args.StandardRestore(like.best._asdict()),
            loop=ocp.args.JsonRestore(),
        )
        return Saved(restored["state"], Best(**restored["best"]), LoopState(**restored["loop"]))

    def restore_best(self, like: Best) -> Best:
        """Return the best parameters of the newest checkpoint, without the rest of the training.

        Raises:
          UserError: if there is no checkpoint, or none after an evaluation, or it is damaged, or that of another model.
        """
        step = self.latest_step()
        if step is None:
            raise UserError(f"{self.folder} has no finished checkpoint: train, with --resume if it was stopped.")
        best = ocp.args.StandardRestore(like._asdict())
        restored = self._restored(step, best=best, loop=ocp.args.JsonRestore())
        if not restored["loop"]["best_step"]:
            raise UserError(f"{self.folder} is of a training that was stopped before it was evaluated: --resume it.")
        return Best(**restored["best"])

    def wait(self) -> None:
        """Wait for the save under way.

        Raises:
          UserError: if it could not be written.
        """
        self._reported(self._manager.wait_until_finished)
        self._reported(self._manager.check_for_errors)

    def close(self) -> None:
        """Finish and release the folder."""
        try:
            self.wait()
        finally:
            self._manager.close()

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _restored(self, step: int, **arguments: Any) -> Any:
        try:
            return self._manager.restore(step, args=ocp.args.Composite(**arguments))
        except Exception as error:  # Orbax raises many kinds
            raise UserError(
                f"Checkpoint {step} in {self.folder} cannot be read, it is damaged or of another model "
                f"({_reason(error)}); move {self.folder / str(step)} away to continue from an older one."
            ) from error

    def _reported(self, action: Callable[[], Any]) -> None:
        try:
            action()
        except Exception as error:  # Orbax and TensorStore raise many kinds, also for a full disk
            free = shutil.disk_usage(self.folder).free // 2**20 if self.folder.exists() else 0
            kept = ", ".join(str(step) for step in self.all_steps()) or "none"
            raise UserError(
                f"A checkpoint in {self.folder} could not be saved ({_reason(error)}; {free} MiB are free there): make "
                f"room or permit writing, then continue with --resume. Finished checkpoints are untouched: {kept}."
            ) from error


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
