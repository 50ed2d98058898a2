"""Checkpoints of a training by Orbax, each complete in itself: the state, the best parameters, what the loop knows."""

import errno
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import jax

from jaxvae.errors import UserError
from jaxvae.training.checksums import changed_arrays, digests, loop_digest, other_arrays
from jaxvae.training.quiet import silence_orbax
from jaxvae.types import LoopState, ModelState, Params, TrainState

SMALL = 2**20  # bytes of free space that are none


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
    folder is opened next. A save that failed is reported by the next call of `save`, `wait` or `close`. A hash of every
    array is saved with them, which what is restored is compared with.

    Args:
      folder: made when the first checkpoint is saved.
      keep: how many of the latest to keep.
      read_only: leave the folder as it is, with a save that another process has under way.
    """

    def __init__(self, folder: str | Path, keep: int = 2, read_only: bool = False) -> None:
        # Slow to import, and of no use to whoever loads a model that was exported.
        import orbax.checkpoint as ocp
        from orbax.checkpoint.checkpoint_managers import preservation_policy

        self.folder, self._args = Path(folder).absolute(), ocp.args
        options = ocp.CheckpointManagerOptions(
            preservation_policy=preservation_policy.LatestN(keep),
            cleanup_tmp_directories=not read_only,
            read_only=read_only,
            create=not read_only,
            save_interval_steps=0 if read_only else 1,
        )
        silence_orbax()
        try:
            self._manager = ocp.CheckpointManager(self.folder, options=options)
        except OSError as error:
            raise UserError(
                f"{self.folder} cannot be written ({error.strerror or error}): choose a folder that can."
            ) from error

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
        loop, trees = saved.loop._asdict(), {"state": state, "best": best._asdict()}
        sums = {name: digests(tree) for name, tree in trees.items()}
        hashes = {"loop": loop_digest({"sums": sums, **loop}), **sums}
        arguments = self._args.Composite(
            **{name: self._args.StandardSave(tree) for name, tree in trees.items()},
            loop=self._args.JsonSave({**loop, "sha256": hashes}),
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
        trees = {"state": like.state, "best": like.best._asdict()}
        loop, restored = self._restored(step, trees)
        return Saved(restored["state"], Best(**restored["best"]), loop)

    def best_step(self) -> int | None:
        """Return the step of the best parameters in the newest checkpoint, None where there are none.

        Raises:
          UserError: if it is damaged.
        """
        step = self.latest_step()
        return None if step is None else self._loop(step)[0].best_step or None

    def best_arrays(self) -> dict[str, str] | None:
        """Return types and shapes, with a hash, of the best parameters and their state in the newest checkpoint.

        Returns:
          By path, as `jaxvae.training.checksums.digests` gives them; None where there is no checkpoint.
        """
        step = self.latest_step()
        return None if step is None else self._loop(step)[1].get("best")

    def restore_best(self, like: Best) -> Best:
        """Return the best parameters of the newest checkpoint, without the rest of the training.

        Raises:
          UserError: if there is no checkpoint, or none after an evaluation, or it is damaged, or that of another model.
        """
        step = self.latest_step()
        if step is None:
            raise UserError(f"{self.folder} has no finished checkpoint: train, or resume what was stopped.")
        if not self._loop(step)[0].best_step:
            raise UserError(f"{self.folder} is of a training that was stopped before it was evaluated: resume it.")
        return Best(**self._restored(step, {"best": like._asdict()})[1]["best"])

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

    def _restored(self, step: int, likes: Mapping[str, Any]) -> tuple[LoopState, dict[str, Any]]:
        """The loop and some trees of a checkpoint, which are what was saved."""
        loop, sums = self._loop(step)
        for name, like in likes.items():
            if name in sums and (other := other_arrays(like, sums[name])):
                raise UserError(f"Checkpoint {step} in {self.folder} is of another model: {name}.{other}.")
        restored = self._read(step, {name: self._args.StandardRestore(like) for name, like in likes.items()})
        for name, tree in restored.items():
            if name in sums and (changed := changed_arrays(tree, sums[name])):
                raise self._damage(step, f"is damaged, {name}.{changed[0]} is not what was saved")
        return loop, restored

    def _loop(self, step: int) -> tuple[LoopState, dict[str, dict[str, str]]]:
        """What the loop remembers, and the hashes of the trees; version 0.1 saved none."""
        try:
            record = dict(self._read(step, {"loop": self._args.JsonRestore()})["loop"])
            sums = dict(record.pop("sha256", {"loop": loop_digest({"sums": {}, **record})}))
            whole, loop = sums.pop("loop") == loop_digest({"sums": sums, **record}), LoopState(**record)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise (
                error if isinstance(error, UserError) else self._damage(step, f"is damaged ({_reason(error)})")
            ) from error
        if not whole:
            raise self._damage(step, "is damaged, its loop is not what was saved")
        return loop, sums

    def _read(self, step: int, arguments: Mapping[str, Any]) -> dict[str, Any]:
        try:
            found = self._manager.restore(step, args=self._args.Composite(**arguments))
            return {name: found[name] for name in arguments}
        except Exception as error:  # Orbax raises many kinds
            raise self._damage(step, f"cannot be read, it is damaged or of another model ({_reason(error)})") from error

    def _damage(self, step: int, found: str) -> UserError:
        return UserError(
            f"Checkpoint {step} in {self.folder} {found}: move {self.folder / str(step)} away to continue from an "
            "older one."
        )

    def _reported(self, action: Callable[[], Any]) -> None:
        try:
            action()
        except Exception as error:  # Orbax and TensorStore raise many kinds, also for a full disk
            kept = ", ".join(str(step) for step in self.all_steps()) or "none"
            raise UserError(
                f"A checkpoint in {self.folder} could not be saved ({self._cause(error)}): make room or permit "
                f"writing, then continue with resume=True or --resume. Finished checkpoints are untouched: {kept}."
            ) from error

    def _cause(self, error: Exception) -> str:
        free = shutil.disk_usage(self.folder).free if self.folder.exists() else 0
        if _is_full(error) or free < SMALL:
            return f"no space left on the disk, {free // 2**20} MiB are free"
        return f"{_reason(error)}; {free // 2**20} MiB are free there"


def _is_full(error: BaseException | None) -> bool:
    """Whether an error, or what it was raised from, is that of a full disk."""
    while error is not None:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
