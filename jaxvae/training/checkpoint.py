"""Checkpoints of a training: the whole `TrainState` and `LoopState`, by Orbax."""

from pathlib import Path
from types import TracebackType

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import preservation_policy

from jaxvae.errors import UserError
from jaxvae.types import LoopState, TrainState


class Checkpoints:
    """The checkpoints in one folder: the latest ones, and always the best one.

    Saving is asynchronous; a save that failed is reported by the next call of `save` or by `close`.

    Args:
      folder: made when the first checkpoint is saved.
      keep: how many of the latest to keep, beside the best.
      read_only: leave the folder as it is, with a save that another process has under way.
    """

    def __init__(self, folder: str | Path, keep: int = 2, read_only: bool = False) -> None:
        policies = [
            preservation_policy.LatestN(keep),
            preservation_policy.BestN(get_metric_fn=_rank, reverse=True, n=1),
        ]
        options = ocp.CheckpointManagerOptions(
            preservation_policy=preservation_policy.AnyPreservationPolicy(policies),
            cleanup_tmp_directories=not read_only,
            read_only=read_only,
            create=not read_only,
            save_interval_steps=0 if read_only else 1,
        )
        self.folder = Path(folder).absolute()
        self._manager = ocp.CheckpointManager(self.folder, options=options)

    def save(self, state: TrainState, loop: LoopState, loss: float) -> None:
        """Save under the state's step.

        Args:
          state: copied before this returns, so that it may be donated afterwards.
          loop: what early stopping remembers.
          loss: validation value by which the best checkpoint is chosen, smaller is better.
        """
        self.wait()
        step = int(state.step)
        # On the CPU the saver would otherwise read the very buffers that the next step overwrites.
        arguments = ocp.args.Composite(
            state=ocp.args.StandardSave(jax.tree.map(lambda leaf: leaf.copy(), state)),
            loop=ocp.args.JsonSave(loop._asdict()),
        )
        self._manager.save(step, args=arguments, metrics={"loss": loss, "step": step}, force=True)

    def latest_step(self) -> int | None:
        """Return the step of the newest finished checkpoint, None where there is none."""
        return self._manager.latest_step()

    def restore(self, step: int, like: TrainState) -> tuple[TrainState, LoopState]:
        """Return the state saved at a step.

        Args:
          step: of a finished checkpoint.
          like: the same tree of arrays or `jax.ShapeDtypeStruct`s, on the devices where the result is wanted.

        Raises:
          UserError: if the checkpoint is damaged, or that of another model.
        """
        arguments = ocp.args.Composite(state=ocp.args.StandardRestore(like), loop=ocp.args.JsonRestore())
        try:
            restored = self._manager.restore(step, args=arguments)
        except Exception as error:  # Orbax raises many kinds
            reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
            raise UserError(
                f"Checkpoint {step} in {self.folder} cannot be read, it is damaged or of another model ({reason}); "
                f"move {self.folder / str(step)} away to continue from an older one."
            ) from error
        return restored["state"], LoopState(**restored["loop"])

    def wait(self) -> None:
        """Wait for the save under way and raise what made it fail."""
        self._manager.wait_until_finished()
        self._manager.check_for_errors()

    def close(self) -> None:
        """Finish and release the folder."""
        self.wait()
        self._manager.close()

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _rank(metrics: dict[str, float]) -> tuple[float, float]:
    """Smaller is better, and of equals the earlier one: that is the one early stopping remembers."""
    return metrics["loss"], metrics["step"]
