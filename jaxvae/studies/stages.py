"""Two-stage training in one folder: a VQ-VAE with its codes on disk, then a prior over them."""

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from jaxvae.applications.coding import read_codes, write_codes
from jaxvae.reports.report import report
from jaxvae.runs.files import read_json
from jaxvae.runs.fingerprint import fingerprint
from jaxvae.runs.folder import on_primary
from jaxvae.runs.options import Options
from jaxvae.runs.records import run_record
from jaxvae.runs.train import Build, begin, of_part, train
from jaxvae.runs.trained import Trained
from jaxvae.systems.code_prior import code_spec
from jaxvae.training import distributed
from jaxvae.types import DataSpec, Splits, System


class Stage(NamedTuple):
    """A training that is still to be done."""

    config: Any
    build: Build


class PriorStage(NamedTuple):
    """A training on the codes of a VQ-VAE."""

    config: Any
    build: Callable[..., System]  # (config, spec of the codes, codec's parts, codec_variables=None)


class Stages(NamedTuple):
    """Both models, and the data of the second."""

    prior: Trained
    codes: Splits
    codec: Trained


def train_stages(
    prior: PriorStage, codec: Stage | Trained, images: Splits, spec: DataSpec, folder: Path, options: Options
) -> Stages:
    """Train a VQ-VAE and a prior over its codes in a run's folder, or what is missing of them.

    The folder has `codec/`, a run of its own, `codes/`, the codes of all images, and what a run of the prior has.

    Args:
      prior: the second training.
      codec: the first training, or a VQ-VAE that is trained already.
      images: the data.
      spec: of the images.
      folder: of the run.
      options: how to run.

    Returns:
      What was trained.

    Raises:
      UserError: if the prior cannot be built, before anything is trained; as `train` otherwise.
    """
    system = codec.system if isinstance(codec, Trained) else codec.build(codec.config, spec)
    parts: Any = system.parts
    spec_of_codes = code_spec(parts)
    planned = prior.build(prior.config, spec_of_codes, parts)
    begin(folder, run_record(planned, prior.config, len(images.train.x), build=prior.build), options.resume)
    first = codec if isinstance(codec, Trained) else _train_codec(codec, images, spec, folder / "codec", options)
    model = first.system, first.params, first.model_state
    on_primary(lambda: write_codes(*model, images, folder / "codes", fingerprint=fingerprint(first)))
    codes = read_codes(folder / "codes")
    second = train(
        prior.config,
        functools.partial(prior.build, codec=first.system.parts, codec_variables=(first.params, first.model_state)),
        codes,
        spec_of_codes,
        folder,
        replace(options, resume=True),  # of the folder that was just begun, or long ago
        stage=dict(first.record) if first.folder is None else read_json(first.folder / "config.json"),
    )
    return Stages(second, codes, first)


# ---------- private


def _train_codec(codec: Stage, images: Splits, spec: DataSpec, folder: Path, options: Options) -> Trained:
    trained = train(codec.config, codec.build, images, spec, folder, of_part(folder, options))
    if distributed.is_primary():
        report(trained, images)
    return trained
