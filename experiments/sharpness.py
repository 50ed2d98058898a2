"""Sample sharpness: do VAEs blur, and PixelCNN decoders and VQ-VAEs not? Three models of equal size, compared.

Blur is power that is missing at high spatial frequencies (`jaxvae.evaluation.high_frequency_power`): divided by that of
the test images it is 1 where images are as sharp as these, less where they are blurred, more where there is noise that
they have not. The images are what each model shows: the pixels' means of the VAE and of the VQ-VAE, the drawn ones of
the PixelVAE, which has no means; the drawn pixels of the VAE are a line of their own.
"""

import math
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import numpy as np

from experiments import pixel_vae, vqvae, vqvae_prior
from jaxvae import data, viz
from jaxvae.applications.coding import encode_as_codes
from jaxvae.applications.reconstruction import reconstruct
from jaxvae.errors import UserError
from jaxvae.evaluation import high_frequency_power, images, power_spectrum
from jaxvae.reports import report
from jaxvae.reports.code_prior import report_code_prior
from jaxvae.reports.figures import draw_samples
from jaxvae.reports.summary import write_summary
from jaxvae.runs.config import ImageConfig, at_least
from jaxvae.runs.folder import FREE_FIELDS, drawing
from jaxvae.runs.options import Options, refuse
from jaxvae.runs.records import experiment_module, header
from jaxvae.runs.train import begin, of_part, train
from jaxvae.runs.trained import Trained
from jaxvae.studies.cli import main, run_folder
from jaxvae.studies.table import table, totals
from jaxvae.systems.below import abstract_variables
from jaxvae.systems.code_prior import code_spec
from jaxvae.training import distributed
from jaxvae.types import Dataset, DataSpec, Splits, System

NUM_IMAGES = 1_000  # of each kind, whose spectrum is measured
NUM_SHOWN = 16


@dataclass(frozen=True)
class Config(ImageConfig):
    """Configuration of the comparison; steps are those of every training, all but the VQ-VAE have the learning rate."""

    likelihood: Literal["bernoulli", "logistic_mixture"] = "logistic_mixture"
    """likelihood of binarised images, or of 8-bit ones"""
    latent_dim: int = 32
    """dimensions of the latent of the VAEs"""
    warmup_steps: int = 500
    """steps over which the weight of their KL rises from 0 to 1"""
    num_layers: int = 2
    """layers of the PixelCNN of the PixelVAE"""
    features: int = 16
    """channels of these layers"""
    num_codes: int = 512
    """codes in the codebook of the VQ-VAE"""
    prior_layers: int = 6
    """layers of the PixelCNN over the codes"""
    prior_features: int = 64
    """channels of these layers; the dense layers of the VAEs are as large as makes all models of one size"""
    nll_samples: int = 50
    """importance samples per test image for the NLL of the VAEs"""
    ema_decay: float = 0.999

    def __post_init__(self) -> None:
        super().__post_init__()
        counts = ("latent_dim", "num_layers", "features", "num_codes", "prior_layers", "prior_features", "nll_samples")
        at_least(self, 1, *counts)
        at_least(self, 0, "warmup_steps")

    def quick(self) -> "Config":
        """Return a copy that ends in seconds."""
        small = {"features": 4, "num_layers": 1, "num_codes": 32, "prior_layers": 2, "prior_features": 16}
        return replace(self, **small, steps=40, eval_every=20, nll_samples=5)


class Shown(NamedTuple):
    """Images of one model, [N, H, W, C] in [0, 1]."""

    reconstructions: np.ndarray | None  # of test images
    samples: np.ndarray


def vae_config(config: Config, spec: DataSpec, num_layers: int) -> pixel_vae.Config:
    """Return the configuration of the VAE, or of a PixelVAE, that has as many parameters as the VQ-VAE with its prior.

    Args:
      config: of the comparison.
      spec: of the data.
      num_layers: of a PixelCNN in the decoder, 0 for a VAE.

    Raises:
      UserError: if its other layers leave nothing for those that make it as large.
    """
    chosen = pixel_vae.Config(
        **_shared(config),
        likelihood=config.likelihood,
        latent_dim=config.latent_dim,
        warmup_steps=config.warmup_steps,
        nll_samples=config.nll_samples,
        num_layers=num_layers,
        features=config.features,
    )
    one, two = (num_params(pixel_vae.build(replace(chosen, hidden=hidden), spec)) for hidden in (1, 2))
    wanted = sum(map(num_params, coded_systems(config, spec)))
    hidden = round(1 + (wanted - one) / (two - one))  # parameters are linear in it
    if hidden < config.latent_dim:
        raise UserError(
            f"A model of {wanted} parameters has dense layers of {hidden} units, fewer than the {config.latent_dim} of "
            "its latent: take more --prior-features or --prior-layers, or fewer --features or --num-layers."
        )
    return replace(chosen, hidden=hidden)


def prior_config(config: Config) -> vqvae_prior.Config:
    """Return the configuration of the VQ-VAE and its prior."""
    return vqvae_prior.Config(
        **_shared(config),
        likelihood=config.likelihood,
        num_codes=config.num_codes,
        codec_steps=config.steps,
        features=config.prior_features,
        num_layers=config.prior_layers,
    )


def coded_systems(config: Config, spec: DataSpec) -> tuple[System, System]:
    """Return the VQ-VAE and its prior."""
    of_prior = prior_config(config)
    codec: Any = vqvae.build(vqvae_prior.codec_config(of_prior), spec)
    return codec, vqvae_prior.build(of_prior, code_spec(codec.parts), codec.parts)


def num_params(system: System) -> int:
    """Return how many numbers a model learns, codebooks that follow averages among them."""
    params, state = abstract_variables(system.parts)
    codebook = state.get("codebook", {})
    embeddings = [leaf for path, leaf in jax.tree.leaves_with_path(codebook) if path[-1].key == "embeddings"]
    return sum(leaf.size for leaf in [*jax.tree.leaves(params), *embeddings])


def run(config: Config, options: Options) -> Path:
    """Train the three models, measure their images, print the table."""
    refuse(options, "a comparison of models", "sweep", "init_from")
    splits, spec = data.load(config.data, image_size=config.image_size)
    folder = run_folder("sharpness", options)
    # Codes are of one codec: neither it nor what is compared with it may be trained on.
    record = {**header(experiment_module(run), spec, config), "num_train": len(splits.train.x)}
    begin(folder, record, options.resume, FREE_FIELDS - {"steps"})
    vaes = {}
    for name, num_layers in (("VAE", 0), ("PixelVAE", config.num_layers)):
        place = folder / name.lower()
        chosen = vae_config(config, spec, num_layers)
        vaes[name] = train(chosen, pixel_vae.build, splits, spec, place, of_part(place, options))
    place = folder / "vqvae"
    stages = vqvae_prior.train_stages(prior_config(config), splits, spec, place, of_part(place, options))
    if distributed.is_primary():
        _compare(config, folder, splits, vaes, *stages)
    return folder


# ---------- private


def _shared(config: Config) -> dict[str, Any]:
    """The settings that all trainings have."""
    return {field.name: getattr(config, field.name) for field in fields(ImageConfig)}


def _compare(
    config: Config,
    folder: Path,
    splits: Splits,
    vaes: dict[str, Trained],
    prior: Trained,
    codes: Splits,
    codec: Trained,
) -> None:
    chosen = np.random.default_rng(config.seed).permutation(len(splits.test.x))[:NUM_IMAGES]
    some = Dataset(splits.test.x[chosen], None)
    unit = 1.0 / (math.log(2.0) * math.prod(codec.spec.shape))
    shown: dict[str, Shown] = {}
    bits: dict[str, float] = {}
    for name, vae in vaes.items():
        metrics = report(vae, splits, brief=True)["metrics"]
        drawn = jax.tree.map(np.asarray, draw_samples(vae, NUM_IMAGES))
        found = reconstruct(vae.system, vae.params, vae.model_state, some)
        shown[name] = Shown(found.reconstructions, drawn.x if drawn.mean is None else drawn.mean)
        if drawn.mean is not None:
            shown[f"{name}, pixels drawn"] = Shown(None, drawn.x)
        bits[name] = -metrics["elbo"] * unit
    bits["VQ-VAE"] = report_code_prior(prior, codes, codec, splits)["metrics"]["bits_per_dim"]
    x, _, reconstructions = encode_as_codes(codec.system, codec.params, codec.model_state, some)
    shown["VQ-VAE"] = Shown(reconstructions, np.asarray(draw_samples(prior, NUM_IMAGES).x))

    sizes = {name: num_params(vae.system) for name, vae in vaes.items()}
    sizes["VQ-VAE"] = num_params(codec.system) + num_params(prior.system)
    rows = []
    for name, of_model in shown.items():
        row: dict[str, Any] = {"model": name}
        if of_model.reconstructions is not None:
            row |= {"parameters": sizes[name], "bits_per_dim": round(bits[name], 4)}
            row["psnr"] = round(float(np.mean(images.psnr(x, of_model.reconstructions))), 2)
            row["reconstructions"] = _sharpness(of_model.reconstructions, x)
        rows.append({**row, "samples": _sharpness(of_model.samples, x)})
    print(table(rows))
    training = {"steps": config.steps, **totals([*vaes.values(), codec, prior], config.batch_size)}
    write_summary(folder, training, {"images": len(x)}, models=rows)
    with drawing(folder):
        _draw_figures(folder / "figures", x, shown)


def _sharpness(x: np.ndarray, of: np.ndarray) -> float:
    return round(high_frequency_power(x) / high_frequency_power(of), 3)


def _draw_figures(folder: Path, x: np.ndarray, shown: dict[str, Shown]) -> None:
    folder.mkdir(exist_ok=True)
    whole = {name: one for name, one in shown.items() if one.reconstructions is not None}
    spectra = {
        "Reconstructions": {name: power_spectrum(one.reconstructions) for name, one in whole.items()},
        "Samples": {name: power_spectrum(one.samples) for name, one in shown.items()},
    }
    viz.save_spectra(folder / "spectra.png", power_spectrum(x), spectra)
    num = min(NUM_SHOWN, len(x))
    rows = {"test images": x[:num]} | {name: one.reconstructions[:num] for name, one in whole.items()}
    viz.save_rows(folder / "reconstructions.png", rows, "Test images and how they come back")
    rows = {"test images": x[:num]} | {name: one.samples[:num] for name, one in shown.items()}
    viz.save_rows(folder / "samples.png", rows, "Test images and samples")


if __name__ == "__main__":
    main(Config, None, __doc__, run=run)
