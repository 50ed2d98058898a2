"""Write the codes of images: means and standard deviations of latents, or grids of discrete codes."""

from jaxvae.capabilities import Codes, DrawsPosterior, Encodes, Infers, find, require_any
from jaxvae.commands.codes_file import ENDINGS, Table, write_codes
from jaxvae.commands.given import labels_given, load_images, load_model
from jaxvae.commands.output import check_place, writing
from jaxvae.commands.verb_flags import EncodeFlags
from jaxvae.runs.trained import Trained


def needed(trained: Trained) -> Codes | Encodes:
    """Return what of a model this verb uses; a `UserError` if it has none."""
    return require_any(trained.system, (Codes, Encodes), "codes of images")


def run(flags: EncodeFlags) -> None:
    """Encode images and write their codes."""
    place = check_place(flags.out, overwrite=flags.overwrite, endings=ENDINGS, folder=False)
    trained = load_model(flags)
    discrete = isinstance(needed(trained), Codes)
    dataset = load_images(flags, trained)
    labels = labels_given(trained, dataset.labels, flags.label, len(dataset.x))
    codes, stds = trained.encode(dataset.x, labels=labels, seed=flags.seed), ()
    if find(trained.system, Infers) is not None or find(trained.system, DrawsPosterior) is not None:
        _, stds = trained.posterior(dataset.x, labels=labels, seed=flags.seed)
    parts, deviations = (one if isinstance(one, tuple) else (one,) for one in (codes, stds))
    with writing(place) as path:
        left_out = write_codes(path, Table(dataset.names, parts, deviations, discrete, labels))
    shapes = " and ".join("x".join(map(str, part.shape[1:])) for part in parts)
    what = "codes" if discrete else "numbers with their standard deviations" if deviations else "numbers"
    print(f"{shapes} {what} for each of {len(dataset.x):,} images in {place}{left_out}.")
