"""Images by way of codes, in four stages: a codec, the codes of all images, a prior over them, new images.

The codec is a finished run of `experiments.vq_vae`, `--codec RUN`, or is trained first, in the run's folder. The prior
is a PixelCNN, PixelRNN or Transformer over the grid of codes, conditional on classes where that is wanted; of two grids
(VQ-VAE-2) the second has a prior of its own, given the first. A checkpoint of the prior has the codec in it.
"""

import functools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import flax.linen as nn
import jax
import numpy as np

from experiments import vq_vae
from experiments.common.code_prior import code_prior_experiment, code_spec, grid_shapes
from experiments.common.folder import progress_bar, read_json
from experiments.common.image_model import NetName, autoregressive_net
from experiments.common.judge_prior import report_prior
from experiments.common.loading import fingerprint
from experiments.common.report import report
from experiments.common.training import evaluation_batch, of_part, on_primary, train
from experiments.common.vae import cosine_adam, network_dtype, split_each
from experiments.run import Finished, ImageConfig, Options, at_least, load, main, require, run_folder
from jaxvae import data
from jaxvae.data.codes import CodeGrids
from jaxvae.errors import UserError
from jaxvae.likelihoods import categorical
from jaxvae.nets import AutoregressiveDecoder, GridContext
from jaxvae.training import distributed, evaluation_keys
from jaxvae.types import Array, Dataset, DataSpec, Experiment, ModelState, Params, Splits


@dataclass(frozen=True)
class Config(ImageConfig):
    """What shapes a run."""

    codec: str | None = None
    """folder of a finished run of vq_vae; None trains one first"""
    codec_steps: int = 1_500
    """of that training"""
    num_codes: int = 512
    """of that codec"""
    levels: Literal[1, 2] = 1
    """grids of codes of that codec"""
    likelihood: Literal["bernoulli", "gaussian", "logistic_mixture"] = "logistic_mixture"
    """of that codec: of binarised images, of any (a density), or of 8-bit ones"""
    prior: NetName = "pixelcnn"
    """network over the codes"""
    features: int = 64
    """channels of its layers"""
    num_layers: int = 6
    """layers"""
    num_heads: int = 4
    """of the transformer's attention"""
    class_conditional: bool = False
    """model p(codes | class)"""
    steps: int = 1_000
    eval_every: int = 250
    ema_decay: float = 0.999

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "codec_steps", "num_codes", "features", "num_layers", "num_heads")
        require("num_heads", self.num_heads, self.features % self.num_heads == 0, "a divisor of --features")

    def quick(self) -> "Config":
        """Return a copy that ends in seconds."""
        return replace(self, codec_steps=100, num_codes=32, features=16, num_layers=2, steps=100, eval_every=50)


def build(
    config: Config,
    spec: DataSpec,
    codec: Experiment,
    codec_variables: tuple[Params, ModelState] | None = None,
) -> Experiment:
    """Put the prior over a codec's grids together."""
    if config.class_conditional and not spec.num_classes:
        raise UserError("--class-conditional needs labels, which these data do not have: choose another --data.")
    assert codec.codec is not None
    shapes, dtype = grid_shapes(codec), network_dtype(config.precision)
    decoders: list[AutoregressiveDecoder] = []
    for level, (shape, num_codes) in enumerate(zip(shapes, codec.codec.num_codes, strict=True)):
        size = (shape[0], int(np.prod(shape[1:])))  # several codes a place stand beside each other
        context: nn.Module | None = None
        if level:
            context = GridContext(codec.codec.num_codes[level - 1], size, config.features, dtype)
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
    return code_prior_experiment(
        name="vq_prior",
        spec=spec,
        decoders=decoders,
        shapes=shapes,
        codec=codec,
        codec_variables=codec_variables,
        optimizer=cosine_adam(config.learning_rate, config.steps),
    )


def run(config: Config, options: Options) -> Path:
    """Train or load a codec, encode all images, train the prior, draw."""
    if options.sweep:
        raise UserError("--sweep is not for vq_prior, which is two trainings: leave it out.")
    folder = run_folder("vq_prior", options)
    images, spec = data.load(config.data, image_size=config.image_size)
    finished, codes, codec = train_stages(config, images, spec, folder, options)
    if distributed.is_primary():
        report_prior(finished, codes, codec, images)
    return folder


def train_stages(
    config: Config, images: Splits, spec: DataSpec, folder: Path, options: Options
) -> tuple[Finished, Splits, Finished]:
    """Train both stages in a run's folder, or what is missing of them; return the prior, its data and the codec."""
    if config.codec:
        codec = load(config.codec)
        if codec.experiment.codec is None:
            raise UserError(f"--codec {config.codec} is a run of {codec.experiment.name}, expected one of vq_vae.")
        if codec.experiment.spec != spec:
            raise UserError(
                f"--codec {config.codec} is of images {codec.experiment.spec}, the data are {spec}: choose its --data."
            )
    else:
        codec = _train_codec(config, images, spec, folder / "codec", options)
    grids = encode_splits(codec, images, folder / "codes")
    parts = Splits(*(one.dataset for one in grids))
    finished = train(
        config,
        functools.partial(build, codec=codec.experiment, codec_variables=(codec.params, codec.model_state)),
        parts,
        code_spec(codec.experiment),
        folder,
        of_part(folder, options),
        codec=read_json(codec.folder / "config.json"),
    )
    return finished, parts, codec


def encode_splits(codec: Finished, images: Splits, folder: Path) -> tuple[CodeGrids, CodeGrids, CodeGrids]:
    """Write the codes of all parts of a data set, or what is missing of them, and return them: train, valid, test."""
    experiment, mark = codec.experiment, fingerprint(codec)
    assert experiment.codec is not None
    encode = experiment.codec.encode
    shapes, num_codes = grid_shapes(experiment), experiment.codec.num_codes

    @jax.jit
    def grids_of(start: Array, x: Array) -> tuple[Array, ...]:
        noise, _ = split_each(evaluation_keys(start, x.shape[0]))  # as in the codec's own evaluation
        return encode(codec.params, codec.model_state, experiment.prepare(noise, x))

    def write(name: str, dataset: Dataset) -> CodeGrids:
        bar = progress_bar(total=len(dataset.x), unit="image", desc=f"codes of {name}")
        written = data.encode_dataset(
            folder / name,
            dataset,
            lambda start, batch: grids_of(np.int32(start), batch.x),
            shapes=shapes,
            num_codes=num_codes,
            codec=mark,
            batch_size=min(evaluation_batch(experiment.spec), len(dataset.x)),
            progress=None if bar is None else bar.update,
        )
        if bar is not None:
            bar.close()
        return written

    def write_all() -> None:
        for name, dataset in images._asdict().items():
            write(name, dataset)

    on_primary(write_all)
    train_part, valid, test = (data.load_codes(folder / name) for name in Splits._fields)
    return train_part, valid, test


def codec_config(config: Config) -> vq_vae.Config:
    """Return the configuration of the codec that is trained first."""
    return vq_vae.Config(
        seed=config.seed,
        steps=config.codec_steps,
        batch_size=config.batch_size,
        eval_every=min(config.codec_steps, config.eval_every),
        data=config.data,
        image_size=config.image_size,
        precision=config.precision,
        num_codes=config.num_codes,
        levels=config.levels,
        likelihood=config.likelihood,
    )


# ---------- private


def _train_codec(config: Config, images: Splits, spec: DataSpec, folder: Path, options: Options) -> Finished:
    finished = train(codec_config(config), vq_vae.build, images, spec, folder, of_part(folder, options))
    if distributed.is_primary():
        report(finished, images)
    return finished


if __name__ == "__main__":
    main(Config, run, __doc__)
