"""Write a model to give away: config.json, model.safetensors, a card that says what it is, samples."""

from dataclasses import dataclass
from pathlib import Path

from jaxvae.capabilities import Generates, find
from jaxvae.commands.card import card
from jaxvae.commands.flags import ModelFlags, OutFlags, SeedFlags
from jaxvae.commands.given import load_model
from jaxvae.commands.output import check_place, writing
from jaxvae.commands.pictures import columns_of
from jaxvae.runs.trained import Trained
from jaxvae.viz import save_grid

CARD, SAMPLES, NUM = "card.md", "samples.png", 64
OWN = frozenset({"config.json", "model.safetensors", CARD, SAMPLES})


@dataclass(frozen=True, kw_only=True)
class Flags(ModelFlags, OutFlags, SeedFlags):
    """What is exported."""

    out: Path
    """a folder, which load and all verbs take in place of a run; NAME.safetensors for the model alone in one file"""
    licence: str = "not stated"
    """of the model, as CC-BY-4.0, for the card"""
    half: bool = False
    """keep the weights as 16-bit floats, of three digits, for half the size; they load as 32-bit floats again"""


def run(flags: Flags) -> None:
    """Write the model and its card."""
    place = check_place(flags.out, overwrite=flags.overwrite, endings=(".safetensors",), folder=True, own=OWN)
    trained = load_model(flags)
    with writing(place, mark=False) as path:
        trained.save(path, overwrite=True, half=flags.half)
        if path.is_dir():
            is_drawn = _draw_samples(trained, path / SAMPLES, flags.seed)
            text = card(trained, place.name, flags.licence, SAMPLES if is_drawn else None, half=flags.half)
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
