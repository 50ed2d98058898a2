"""Write a model to give away: config.json, model.safetensors, a card that says what it is, samples."""

from pathlib import Path

from jaxvae.capabilities import Generates, find
from jaxvae.commands.card import card
from jaxvae.commands.export_functions import require_packages, usage_of, write_functions
from jaxvae.commands.given import load_model
from jaxvae.commands.output import check_place, writing
from jaxvae.commands.pictures import columns_of
from jaxvae.commands.run_flags import ExportFlags
from jaxvae.errors import UserError
from jaxvae.exchange.functions import NAMES
from jaxvae.runs.files import FUNCTIONS
from jaxvae.runs.trained import Trained
from jaxvae.viz import save_grid

CARD, SAMPLES, NUM = "card.md", "samples.png", 64
OWN = frozenset({"config.json", "model.safetensors", CARD, SAMPLES})
OF_FUNCTIONS = frozenset({FUNCTIONS, *(f"{name}.{ending}" for name in NAMES for ending in ("stablehlo", "onnx"))})


def run(flags: ExportFlags) -> None:
    """Write the model and its card."""
    endings = (".safetensors",) if flags.format == "safetensors" else ()
    place = check_place(flags.out, overwrite=flags.overwrite, endings=endings, folder=True, own=OWN | OF_FUNCTIONS)
    if flags.half and flags.format != "safetensors":
        raise UserError(f"--half is of --format safetensors, this is --format {flags.format}: leave it out.")
    if flags.format != "safetensors":
        require_packages(flags.format)
    trained, use = load_model(flags), None
    with writing(place, mark=False) as path:
        if flags.format == "safetensors":
            trained.save(path, overwrite=True, half=flags.half)
        else:
            use = usage_of(write_functions(path, trained, flags.format))
        if path.is_dir():
            is_drawn = _draw_samples(trained, path / SAMPLES, flags.seed)
            text = card(trained, place.name, flags.licence, SAMPLES if is_drawn else None, use, half=flags.half)
            (path / CARD).write_text(text, encoding="utf-8")
    written = place if place.is_file() else f"{place}: {', '.join(sorted(one.name for one in place.iterdir()))}"
    print(f"{trained.system.name} in {written}.")


# ---------- private


def _draw_samples(trained: Trained, path: Path, seed: int) -> bool:
    """Draw samples of a model that generates images, and say whether it does."""
    if find(trained.system, Generates) is None:
        return False
    columns = columns_of(trained)
    images = trained.sample(NUM - NUM % (columns or 1), seed=seed)
    if images.ndim != 4:
        return False
    save_grid(path, images, columns)
    return True
