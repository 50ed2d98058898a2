"""Compute the numbers of a run or of a model's card again from its data, and say whether they hold."""

from jaxvae import data
from jaxvae.capabilities import find
from jaxvae.commands.compare import print_table
from jaxvae.commands.given import load_model
from jaxvae.commands.run_flags import VerifyFlags
from jaxvae.errors import UserError
from jaxvae.reports.verification import Checked, other_data, verify
from jaxvae.runs.trained import Trained
from jaxvae.systems.flow_density import FitsDensity, density_splits
from jaxvae.types import Splits


def run(flags: VerifyFlags) -> None:
    """Print a table of recorded and recomputed numbers, and end with an error where they do not hold."""
    trained = load_model(flags)
    splits, differences = _data(flags, trained)
    checked, left_out = verify(trained, splits)
    rows = [_row(one) for one in checked]
    print_table([("number", ("recorded", "recomputed", "tolerance", "")), *rows])
    if left_out:
        print(f"Not computed again, as they are of more than the model and its data: {', '.join(left_out)}.")
    failed = [one.words for one in checked if not one.holds]
    if differences:
        raise UserError(f"The data are others than those of the training: {'; '.join(differences)}.")
    if failed:
        raise UserError(f"{len(failed)} of {len(checked)} numbers of {flags.run} do not hold: {', '.join(failed)}.")
    print(f"All {len(checked)} numbers hold.")


# ---------- private


def _data(flags: VerifyFlags, trained: Trained) -> tuple[Splits, list[str]]:
    """The data, and in what they differ from those of the training, which is said before anything is computed."""
    if find(trained.system, FitsDensity) is not None:  # of a density, and of no images
        return density_splits("reverse_kl", 0, 1), []
    source = flags.data or trained.config.get("data")
    if not isinstance(source, str):
        raise UserError(f"{flags.run} does not say which data it was trained on: give --data SOURCE.")
    try:
        splits, spec = data.load(source, image_size=trained.config.get("image_size"))
    except UserError as error:
        raise error if flags.data else UserError(f"{error} Or give --data SOURCE, where the data are now.") from error
    differences = other_data(trained, splits, spec)
    said = f"others: {'; '.join(differences)}" if differences else "those of the training"
    print(f"data: {source}, {said}.")
    return splits, differences


def _row(one: Checked) -> tuple[str, tuple[str, ...]]:
    numbers = (f"{value:,}" if isinstance(value, int) else f"{value:.6g}" for value in (one.recorded, one.found))
    return one.words, (*numbers, f"{one.tolerance:.2g}", "holds" if one.holds else "DOES NOT HOLD")
