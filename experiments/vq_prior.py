"""Images by way of codes, in four stages: a codec, the codes of all images, a prior over them, new images.

The codec is a finished run of `experiments.vq_vae`, `--codec RUN`, or is trained first, in the run's folder. The prior
is a PixelCNN, PixelRNN or Transformer over the grid of codes, conditional on classes where that is wanted; of two grids
(VQ-VAE-2) the second has a prior of its own, given the first. A checkpoint of the prior has the codec in it.
"""

import functools
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import flax.linen as nn
import jax
import numpy as np

from experiments import vq_vae
from experiments.common.code_prior import code_prior_experiment, code_spec, grid_shapes
from experiments.common.folder import progress_bar, read_json, run_record
from experiments.common.image_model import NetName, autoregressive_net
from experiments.common.judge_prior import report_prior
from experiments.common.loading import fingerprint
from experiments.common.report import report
from experiments.common.training import begin, evaluation_batch, of_part, on_primary, train
from experiments.common.vae import cosine_adam, network_dtype, split_each
from experiments.run import Finished, ImageConfig, Options, at_least, load, main, refuse, require, run_folder
from jaxvae import data
from jaxvae.data.codes import CodeGrids
from jaxvae.errors import UserError
from jaxvae.likelihoods import categorical
from jaxvae.nets import AutoregressiveDecoder, GridContext
from jaxvae.training import distributed, evaluation_keys
from jaxvae.types import Array, Dataset, DataSpec, Experiment, ModelState, Params, Splits

OF_CODEC = ("num_codes", "levels", "likelihood")  # settings of a codec that is trained first


@dataclass(frozen=True)
class Config(ImageConfig):
    """What shapes a run."""

    codec: str | None = None
    """folder of a finished run of vq_vae; None trains one first"""
    codec_steps: int = 1_500
    """of that training"""
    num_codes: int | None = None
    """of that codec, as in vq_vae by default"""
    levels: Literal[1, 2] | None = None
    """grids of codes of that codec, as in vq_vae by default"""
    likelihood: Literal["bernoulli", "gaussian", "logistic_mixture"] | None = None
    """of that codec, as in vq_vae by default"""
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
        at_least(self, 1, "codec_steps", "features", "num_layers", "num_heads")
        codec_config(self)  # raises for what it would not train
        divides = self.prior != "transformer" or self.features % self.num_heads == 0
        require("num_heads", self.num_heads, divides, "a divisor of --features")

    def quick(self) -> "Config":
        """Return a copy that ends in seconds."""
        return replace(self, codec_steps=100, features=16, num_layers=2, steps=100, eval_every=50)


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
    refuse(options, "vq_prior, which is two trainings", "sweep", "init_from")
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
    codec = _given_codec(config, spec) if config.codec else None
    experiment = codec.experiment if codec else vq_vae.build(codec_config(config), spec)
    build(config, code_spec(experiment), experiment)  # what is impossible fails before the codec is trained
    begin(folder, run_record("vq_prior", config, code_spec(experiment), len(images.train.x)), options.resume)
    if codec is None:
        codec = _train_codec(config, images, spec, folder / "codec", options)
    grids = encode_splits(codec, images, folder / "codes")
    parts = Splits(*(one.dataset for one in grids))
    finished = train(
        config,
        functools.partial(build, codec=codec.experiment, codec_variables=(codec.params, codec.model_state)),
        parts,
        code_spec(codec.experiment),
        folder,
        replace(options, resume=True),  # of the folder that was just begun, or long ago
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
    of_both = {field.name: getattr(config, field.name) for field in fields(ImageConfig)}
    own = {"learning_rate", "ema_decay"}  # the codec's are its own
    given = {field: getattr(config, field) for field in OF_CODEC if getattr(config, field) is not None}
    chosen: dict[str, Any] = {name: value for name, value in of_both.items() if name not in own} | given
    chosen["eval_every"] = min(config.codec_steps, config.eval_every)
    return vq_vae.Config(**chosen | {"steps": config.codec_steps})


# ---------- private


def _given_codec(config: Config, spec: DataSpec) -> Finished:
    assert config.codec is not None
    for field in OF_CODEC:
        value = getattr(config, field)
        require(field, value, value is None, "none beside --codec, which has its own")
    codec, place = load(config.codec), config.codec
    if codec.experiment.codec is None:
        raise UserError(f"--codec {place} is a run of {codec.experiment.name}, expected one of vq_vae.")
    if codec.experiment.spec != spec:
        raise UserError(
            f"--codec {place} is of images {codec.experiment.spec}, the data are {spec}: choose its --data."
        )
    return codec


def _train_codec(config: Config, images: Splits, spec: DataSpec, folder: Path, options: Options) -> Finished:
    finished = train(codec_config(config), vq_vae.build, images, spec, folder, of_part(folder, options))
    if distributed.is_primary():
        report(finished, images)
    return finished


if __name__ == "__main__":
    main(Config, run, __doc__)
