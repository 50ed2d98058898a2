"""`python -m benchmarks.pictures`: train short models of the embedded digits and write small pictures to docs/images/.

Each picture is a figure of a run of an experiment, which is started as a command, in minutes on a CPU. What is trained
already is not trained again.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
NAME = "pictures"  # of every run
HEIGHT, WIDTH = 420, 1_400  # pixels at most
LARGEST = 200_000  # bytes of a picture


class Picture(NamedTuple):
    """A figure of a run."""

    name: str  # of the file in docs/images/
    experiment: str
    flags: tuple[str, ...]
    figure: str  # in the run's figures/


PICTURES = (
    Picture("samples", "binary_vae", (), "samples.png"),
    Picture("interpolation", "binary_vae", (), "interpolations.png"),
    Picture(
        "flow",
        "planar_density",
        ("--sweep", "none", "--target", "narrow", "--num-flows", "15", "--max-flows", "15", "--steps", "3000"),
        "density.png",
    ),
    Picture("vq_samples", "vqvae_prior", (), "samples.png"),
    Picture("rate_distortion", "beta_vae", (), "rate_distortion.png"),
)


def command(picture: Picture) -> list[str]:
    """Return the words of the command that trains what a picture shows."""
    return ["-m", f"experiments.{picture.experiment}", *picture.flags, "--name", NAME]


def draw(picture: Picture, runs: Path, images: Path, extra: Sequence[str] = ()) -> Path:
    """Train what a picture shows, unless that is done, and write the picture.

    Args:
      picture: which.
      runs: folder of all runs.
      images: folder of the pictures.
      extra: more flags, as --quick.

    Returns:
      The file.

    Raises:
      RuntimeError: if the picture is too large for a README.
    """
    folder = runs / picture.experiment / NAME
    if not (folder / "summary.json").exists():
        resume = ["--resume"] if (folder / "config.json").exists() else []
        subprocess.run([sys.executable, *command(picture), "--out", str(runs), *extra, *resume], cwd=ROOT, check=True)
    images.mkdir(parents=True, exist_ok=True)
    place = images / f"{picture.name}.png"
    write_small(folder / "figures" / picture.figure, place)
    if place.stat().st_size > LARGEST:
        raise RuntimeError(f"{place} has {place.stat().st_size:,} bytes, expected at most {LARGEST:,}.")
    return place


def write_small(figure: Path, place: Path) -> None:
    """Write a figure without its white border, no larger than a README needs, in few colours."""
    from PIL import Image, ImageChops

    with Image.open(figure) as drawn:
        image = drawn.convert("RGB")
    border = ImageChops.difference(image, Image.new("RGB", image.size, "white")).getbbox()
    image = image.crop(border) if border else image
    image.thumbnail((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    image.quantize(64, dither=Image.Dither.NONE).save(place, optimize=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pictures", description=__doc__)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs", metavar="DIR", help="default: %(default)s")
    parser.add_argument("--images", type=Path, default=IMAGES, metavar="DIR", help="default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="runs of seconds, to see that it works")
    chosen = parser.parse_args(arguments)
    for picture in PICTURES:
        place = draw(picture, chosen.runs.resolve(), chosen.images, ["--quick"] if chosen.quick else [])
        print(f"{place} is written, {place.stat().st_size / 1000:.0f} kB.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
