"""Do VAEs blur, and PixelCNN decoders and VQ-VAEs not? Three models of equal size, and the sharpness of their images.

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

from experiments import pixel_vae, vq_prior, vq_vae
from experiments.common.code_prior import code_spec
from experiments.common.figures import draw_samples
from experiments.common.folder import FREE_FIELDS, drawing, run_record
from experiments.common.inspection import inspect
from experiments.common.judge_codec import coded
from experiments.common.judge_prior import report_prior
from experiments.common.loading import Finished, abstract_state
from experiments.common.report import report, write_summary
from experiments.common.sweep import table, totals
from experiments.common.training import begin, of_part, train
from experiments.run import ImageConfig, Options, at_least, main, refuse, run_folder
from jaxvae import data, viz
from jaxvae.errors import UserError
from jaxvae.evaluation import high_frequency_power, images, power_spectrum
from jaxvae.training import distributed
from jaxvae.types import Dataset, DataSpec, Experiment, Splits

NUM_IMAGES = 1_000  # of each kind, whose spectrum is measured
NUM_SHOWN = 16


@dataclass(frozen=True)
class Config(ImageConfig):
    """What shapes a run; steps are those of every training, and all but the codec, as in vq_vae, learn at one rate."""

    likelihood: Literal["bernoulli", "logistic_mixture"] = "logistic_mixture"
    """of binarised images, or of 8-bit ones"""
    latent_dim: int = 32
    """dimensions of the latent of the VAEs"""
    warmup_steps: int = 500
    """steps over which the weight of their KL rises from 0 to 1"""
    num_layers: int = 2
    """of the PixelCNN of the PixelVAE"""
    features: int = 16
    """channels of these"""
    num_codes: int = 512
    """of the VQ-VAE"""
    prior_layers: int = 6
    """of the PixelCNN over the codes"""
    prior_features: int = 64
    """channels of these; the dense layers of the VAEs are as large as makes all models of one size"""
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
        num_layers=(num_layers,),
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


def prior_config(config: Config) -> vq_prior.Config:
    """Return the configuration of the VQ-VAE and its prior."""
    return vq_prior.Config(
        **_shared(config),
        likelihood=config.likelihood,
        num_codes=config.num_codes,
        codec_steps=config.steps,
        features=config.prior_features,
        num_layers=config.prior_layers,
    )


def coded_systems(config: Config, spec: DataSpec) -> tuple[Experiment, Experiment]:
    """Return the VQ-VAE and its prior."""
    of_prior = prior_config(config)
    codec = vq_vae.build(vq_prior.codec_config(of_prior), spec)
    return codec, vq_prior.build(of_prior, code_spec(codec), codec)


def num_params(experiment: Experiment) -> int:
    """Return how many numbers a model learns, codebooks that follow averages among them."""
    state = abstract_state(experiment)
    codebook = state.model_state.get("codebook", {})
    embeddings = [leaf for path, leaf in jax.tree.leaves_with_path(codebook) if path[-1].key == "embeddings"]
    return sum(leaf.size for leaf in [*jax.tree.leaves(state.params), *embeddings])


def run(config: Config, options: Options) -> Path:
    """Train the three models, measure their images, print the table."""
    refuse(options, "a comparison of models", "sweep", "init_from")
    splits, spec = data.load(config.data, image_size=config.image_size)
    folder = run_folder("blur", options)
    # Codes are of one codec: neither it nor what is compared with it may be trained on.
    begin(folder, run_record("blur", config, spec, len(splits.train.x)), options.resume, FREE_FIELDS - {"steps"})
    vaes = {}
    for name, num_layers in (("VAE", 0), ("PixelVAE", config.num_layers)):
        place = folder / name.lower()
        chosen = vae_config(config, spec, num_layers)
        vaes[name] = train(chosen, pixel_vae.build, splits, spec, place, of_part(place, options))
    place = folder / "vq_vae"
    stages = vq_prior.train_stages(prior_config(config), splits, spec, place, of_part(place, options))
    if distributed.is_primary():
        _judge(config, folder, splits, vaes, *stages)
    return folder


# ---------- private


def _shared(config: Config) -> dict[str, Any]:
    """The settings that all trainings have."""
    return {field.name: getattr(config, field.name) for field in fields(ImageConfig)}


def _judge(
    config: Config,
    folder: Path,
    splits: Splits,
    vaes: dict[str, Finished],
    prior: Finished,
    codes: Splits,
    codec: Finished,
) -> None:
    chosen = np.random.default_rng(config.seed).permutation(len(splits.test.x))[:NUM_IMAGES]
    some = Dataset(splits.test.x[chosen], None)
    unit = 1.0 / (math.log(2.0) * math.prod(codec.experiment.spec.shape))
    shown: dict[str, Shown] = {}
    bits: dict[str, float] = {}
    for name, vae in vaes.items():
        metrics = report(vae, splits)["metrics"]
        drawn, inspected = draw_samples(vae, NUM_IMAGES), inspect(vae, some)
        shown[name] = Shown(inspected.reconstructions, drawn.x if drawn.mean is None else drawn.mean)
        if drawn.mean is not None:
            shown[f"{name}, pixels drawn"] = Shown(None, drawn.x)
        bits[name] = -metrics["elbo"] * unit
    bits["VQ-VAE"] = report_prior(prior, codes, codec, splits)["metrics"]["bits_per_dim"]
    x, _, reconstructions = coded(codec, some)
    shown["VQ-VAE"] = Shown(reconstructions, draw_samples(prior, NUM_IMAGES).x)

    sizes = {name: num_params(vae.experiment) for name, vae in vaes.items()}
    sizes["VQ-VAE"] = num_params(codec.experiment) + num_params(prior.experiment)
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
    write_summary(folder, "blur", training, {"images": len(x)}, models=rows)
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
    main(Config, run, __doc__)
