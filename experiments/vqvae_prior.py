"""Image generation in two stages: a VQ-VAE, and an autoregressive prior over its codes.

The VQ-VAE is a finished run of `experiments.vqvae`, `--codec RUN`, or is trained first, in the run's folder. The prior
is a PixelCNN, PixelRNN or Transformer over the grid of codes, class-conditional if wanted; the second grid of a
VQ-VAE-2 has a prior of its own, given the first. A checkpoint of the prior includes the VQ-VAE.
"""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import flax.linen as nn
import numpy as np

from experiments import vqvae
from jaxvae import data
from jaxvae.errors import UserError
from jaxvae.likelihoods import categorical
from jaxvae.nets import AutoregressiveDecoder, GridContext
from jaxvae.reports.code_prior import report_code_prior
from jaxvae.runs.config import ImageConfig, at_least, require
from jaxvae.runs.load import load, require_images
from jaxvae.runs.options import Options, refuse
from jaxvae.runs.trained import Trained
from jaxvae.studies.cli import main, run_folder
from jaxvae.studies.stages import PriorStage, Stage, train_stages
from jaxvae.systems.code_prior import code_prior_system, grid_shapes
from jaxvae.systems.networks import AutoregressiveNetName, autoregressive_net, network_dtype
from jaxvae.systems.vqvae_parts import VQVAEParts
from jaxvae.training import cosine_adam, distributed
from jaxvae.types import DataSpec, ModelState, Params, System

OF_CODEC = ("num_codes", "levels", "likelihood")  # settings of a VQ-VAE that is trained first


@dataclass(frozen=True)
class Config(ImageConfig):
    """Configuration of a prior over the codes of a VQ-VAE."""

    codec: str | None = None
    """folder of a finished run of vqvae; by default one is trained first"""
    codec_steps: int = 1_500
    """training steps of that VQ-VAE"""
    num_codes: int | None = None
    """codebook size of that VQ-VAE, as in vqvae by default"""
    levels: Literal[1, 2] | None = None
    """grids of codes of that VQ-VAE, as in vqvae by default"""
    likelihood: Literal["bernoulli", "gaussian", "logistic_mixture"] | None = None
    """pixel distribution of that VQ-VAE, as in vqvae by default"""
    prior: AutoregressiveNetName = "pixelcnn"
    """architecture of the prior"""
    features: int = 64
    """channels of its layers"""
    num_layers: int = 6
    """layers of the prior"""
    num_heads: int = 4
    """attention heads of the transformer"""
    class_conditional: bool = False
    """condition on the class: p(codes | class)"""
    steps: int = 1_000
    eval_every: int = 250
    ema_decay: float = 0.999

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "codec_steps", "features", "num_layers", "num_heads")
        codec_config(self)  # raises for what it would not train
        divides = self.prior != "transformer" or self.features % self.num_heads == 0
        require("num_heads", self.num_heads, divides, "a divisor of --features")

    def quick(self) -> "Config":
        """Return a copy for a short run, of a minute or so."""
        return replace(self, codec_steps=300, features=24, num_layers=3, steps=400, eval_every=100)


def build(
    config: Config,
    spec: DataSpec,
    codec: VQVAEParts,
    codec_variables: tuple[Params, ModelState] | None = None,
) -> System:
    """Build the system: log p(codes) = sum_l log p(grid_l | grid_{l-1}), each grid code by code, is maximised."""
    if min(codec.num_codes) < 2:
        raise UserError("A prior is over two codes at least, the VQ-VAE has one: train it with more --num-codes.")
    if config.class_conditional and not spec.num_classes:
        raise UserError("--class-conditional needs labels, which these data do not have: choose another --data.")
    shapes, dtype = grid_shapes(codec), network_dtype(config.precision)
    decoders: list[AutoregressiveDecoder] = []
    for level, (shape, num_codes) in enumerate(zip(shapes, codec.num_codes, strict=True)):
        size = (shape[0], int(np.prod(shape[1:])))  # several codes a place stand beside each other
        context: nn.Module | None = None
        if level:
            context = GridContext(codec.num_codes[level - 1], size, config.features, dtype)
        elif config.class_conditional:
            context = nn.Embed(spec.num_classes, config.features)
        decoders.append(
            AutoregressiveDecoder(
                autoregressive_net(
                    config.prior, config.features, size, config.features, config.num_layers, config.num_heads, dtype
                ),
                categorical(num_codes).param_shapes(size),
                num_codes=num_codes,
                embed_features=config.features,
                context=context,
                latent_axes=2 if level else 0,
                dtype=dtype,
            )
        )
    return code_prior_system(
        name="vqvae_prior",
        spec=spec,
        decoders=decoders,
        shapes=shapes,
        codec=codec,
        codec_variables=codec_variables,
        optimizer=cosine_adam(config.learning_rate, config.steps),
    )


def run(config: Config, options: Options) -> Path:
    """Train or load a VQ-VAE, encode all images, train the prior, and report both."""
    refuse(options, "vqvae_prior, which is two trainings", "init_from")
    folder = run_folder("vqvae_prior", options)
    images, spec = data.load(config.data, image_size=config.image_size)
    codec = _given_codec(config, spec) if config.codec else Stage(codec_config(config), vqvae.build)
    stages = train_stages(PriorStage(config, build), codec, images, spec, folder, options)
    if distributed.is_primary():
        report_code_prior(*stages, images)
    return folder


def codec_config(config: Config) -> vqvae.Config:
    """Return the configuration of the VQ-VAE that is trained first."""
    of_both = {field.name: getattr(config, field.name) for field in fields(ImageConfig)}
    own = {"learning_rate", "ema_decay"}  # the VQ-VAE's are its own
    given = {field: getattr(config, field) for field in OF_CODEC if getattr(config, field) is not None}
    chosen: dict[str, Any] = {name: value for name, value in of_both.items() if name not in own} | given
    chosen["eval_every"] = min(config.codec_steps, config.eval_every)
    return vqvae.Config(**chosen | {"steps": config.codec_steps})


# ---------- private


def _given_codec(config: Config, spec: DataSpec) -> Trained:
    assert config.codec is not None
    for field in OF_CODEC:
        value = getattr(config, field)
        require(field, value, value is None, "none beside --codec, which has its own")
    codec, place = load(config.codec), config.codec
    if not isinstance(codec.system.parts, VQVAEParts):
        raise UserError(f"--codec {place} is a run of {codec.system.name}, expected one of vqvae.")
    require_images(f"--codec {place}", codec.system, spec, classes=True)
    return codec


if __name__ == "__main__":
    main(Config, build, __doc__, run=run)
