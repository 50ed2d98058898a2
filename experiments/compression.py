"""Trained models as compressors of the test images, beside PNG, WebP, JPEG XL and lzma.

Takes finished runs of VAEs, autoregressive models, priors over codes and lossy VAEs. Every file is written, decoded and
compared; one table has bytes, bits/dim, how much that is above the model's bound, and images a second both ways.
Figures show the bits of each image against its bound, and the quality at a size of what comes back with loss.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from jaxvae.applications.compression.coder import ImageCoder
from jaxvae.applications.compression.entropy import check_constriction
from jaxvae.capabilities import find
from jaxvae.codable import HasRoundedLatents, HasTokens
from jaxvae.data import load_for
from jaxvae.data.notices import counted
from jaxvae.errors import UserError
from jaxvae.reports.compression import compression_row, file_row, format_rows, quality_curves
from jaxvae.reports.summary import with_earlier, write_summary
from jaxvae.runs.compressor import Binarize, binarized, coded_spec, coder_of, values_of
from jaxvae.runs.config import at_least
from jaxvae.runs.load import load
from jaxvae.runs.options import Options, refuse
from jaxvae.runs.records import experiment_module, header
from jaxvae.runs.train import begin
from jaxvae.runs.trained import Trained
from jaxvae.studies.cli import main, run_folder
from jaxvae.studies.table import table
from jaxvae.training import distributed
from jaxvae.viz import save_quality, save_rates


@dataclass(frozen=True)
class Config:
    """Configuration of the comparison."""

    runs: tuple[str, ...] = ()
    """folders of finished runs, of images of one size and kind"""
    data: str = "digits"
    """data source whose test images are compressed"""
    binarize: Binarize | None = None
    """how grey images become black and white ones, for models of these: drawn by their grey, or white above one half"""
    num_images: int | None = None
    """test images, the first ones; all by default"""
    lossless: bool = False
    """whether priors over codes code what the codes leave open too"""
    num_files: int = 200
    """images that are also written to a file each, and that the figure of each image shows"""
    seed: int = 0
    """random seed of binarisation by draws"""

    def __post_init__(self) -> None:
        at_least(self, 1, "num_files")
        if self.num_images is not None:
            at_least(self, 1, "num_images")

    def quick(self) -> "Config":
        """Return a copy for a short run, of a minute or so."""
        return replace(self, num_images=100, num_files=20)


def run(config: Config, options: Options) -> Path:
    """Compress the test images with every run, and draw the figures."""
    refuse(options, "a comparison of finished runs", "init_from")
    check_constriction()
    if not config.runs:
        raise UserError("There is nothing to compare: pass --runs RUN ..., folders of finished runs.")
    models = _loaded(config.runs)
    coders = {name: _coder(config, one) for name, one in models.items()}
    kinds = {(one.spec.shape, coders[name].num_values) for name, one in models.items()}
    if len(kinds) > 1:
        said = " and ".join(f"{list(shape)} of {num_values} values" for shape, num_values in sorted(kinds))
        raise UserError(f"--runs are of images {said}: expected one size and kind, compare the others by themselves.")
    images = {name: _values(config, models[name], coder) for name, coder in coders.items()}
    folder = run_folder("compression", options)
    spec = coded_spec(next(iter(models.values())), next(iter(coders.values())))
    begin(folder, header(experiment_module(run), spec, config), options.resume, frozenset({"runs", "num_files"}))
    if distributed.is_primary():
        _compress(config, folder, models, images)
    return folder


# ---------- private


def _loaded(places: Sequence[str]) -> dict[str, Trained]:
    """The models by experiment and name."""
    found: dict[str, Trained] = {}
    for place in map(Path, places):
        name = f"{place.resolve().parent.name}_{place.resolve().name}"
        if name in found:
            raise UserError(f"--runs has two of the name {name}: expected different ones.")
        found[name] = load(place)
    return found


def _coder(config: Config, trained: Trained) -> ImageCoder:
    tokens = find(trained.system, HasTokens)
    return coder_of(trained, lossless=config.lossless and tokens is not None and not tokens.lossless)


def _values(config: Config, trained: Trained, coder: ImageCoder) -> np.ndarray:
    """The test images as a model codes them, [N, H, W, C] uint8."""
    spec = coded_spec(trained, coder)
    x = load_for(spec, config.data, part="test", resize=True, noisy=spec.num_values == 2).x[: config.num_images]
    if spec.num_values == 2 and x.dtype == np.float32:
        if config.binarize is None:
            raise UserError(
                f"{config.data} has grey images, {trained.system.name} codes black and white ones: pass --binarize."
            )
        x = binarized(x, config.binarize, config.seed)
    return values_of(x, spec)


def _compress(config: Config, folder: Path, models: Mapping[str, Trained], images: Mapping[str, np.ndarray]) -> None:
    rows: list[dict[str, Any]] = []
    points: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    lossy: dict[str, Trained] = {}
    for name, trained in models.items():
        coder = _coder(config, trained)
        lossless = {"lossless": True} if coder.name == "codes" and coder.lossless else {}
        rows.append(
            compression_row(name, trained, images[name], lossless)
            | file_row(name, trained, images[name], lossless, config.num_files)
        )
        some = images[name][: config.num_files]
        if find(trained.system, HasRoundedLatents) is None:  # whose bits are its bound
            points[name] = coder.bound(some) / math.log(2.0), coder.bits_of_each(some)
        if not coder.lossless:
            lossy[name] = trained
        rows = with_earlier(folder, "models", rows, ("model",))
        write_summary(folder, {}, {"models": len(rows)}, models=rows)
        print(f"{name}: {rows[-1]['bytes']:,} bytes of {counted(len(images[name]), 'test image')}.")
    if points:
        save_rates(folder / "figures" / "rates.png", points)
    values, coder = next(iter(images.values())), _coder(config, next(iter(models.values())))
    formats = format_rows(values, coder.num_values)
    if lossy:
        curves = quality_curves(lossy, values[: config.num_files])
        save_quality(folder / "figures" / "quality.png", curves)
    write_summary(folder, {}, {"models": len(rows)}, models=rows, formats=formats)
    print(f"\n{table([*rows, *formats])}\n")
    print(
        "  bits_per_dim: bits per pixel value of the whole file; bound_bits_per_dim: what the model promises on average"
    )
    print("  initial_bits: of the file, those that hold no image, which many images share; bytes_of_one: a file each")
    print(f"Figures:  {folder}/figures/")
    print(f"Numbers:  {folder}/summary.json")


if __name__ == "__main__":
    main(Config, None, __doc__, run=run)
