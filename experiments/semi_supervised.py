"""Semi-supervised classification: pre-training, M1, M2 and M1 + M2 (Kingma et al. 2014), ladder networks.

By default a study of two methods over three draws of the labelled images; the seed is that of the draw and of the
training. `--encoder RUN` is an autoencoder or a VAE, pre-trained on all images without labels: `frozen` and `finetune`
train a linear classifier on its codes, alone or with the encoder; `m1` is an SVM on its codes, `m1_spread` the same
after label spreading to neighbouring codes; `m1m2` is M2 on its latents. `scratch` is the classifier without
pre-training; `m2` and `ladder` (Rasmus et al. 2015) need no encoder.

Model selection uses all validation labels: `scratch`, `frozen`, `finetune` and `ladder` keep the checkpoint with the
lowest validation cross-entropy. M2 keeps that with the best validation bound, which uses no labels; SVMs keep none.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from experiments import autoencoder
from jaxvae import capabilities
from jaxvae.applications.features import latents_of
from jaxvae.data.labels import class_spec, draw_labels, known_classes, known_rows, pool, training_rows
from jaxvae.likelihoods import bernoulli, gaussian_learned_scale
from jaxvae.models import ClassTerms, LadderNetwork, SemiSupervisedVAE
from jaxvae.nets import MLP, ConvEncoder, ImageDecoder, MLPEncoder
from jaxvae.posteriors import GaussianPosterior
from jaxvae.reports.semi_supervised import draw_errors, report_support_vectors
from jaxvae.runs.config import ImageConfig, at_least, require
from jaxvae.runs.fingerprint import fingerprint
from jaxvae.runs.load import load, require_codes, require_images
from jaxvae.runs.options import Options
from jaxvae.runs.records import experiment_module, header
from jaxvae.runs.train import train_sweep
from jaxvae.runs.trained import Trained
from jaxvae.studies.cli import main
from jaxvae.studies.study import row_of
from jaxvae.systems.classifier import classifier_system, known_class_scores
from jaxvae.systems.corruption import NoiseName, check_noise, make_corruption
from jaxvae.systems.first_stage import abstract_variables
from jaxvae.systems.ladder import ladder_system
from jaxvae.systems.networks import network_dtype
from jaxvae.systems.pixels import binary_pixels, unit_pixels
from jaxvae.systems.semi_supervised import m2_system
from jaxvae.training import cosine_adam
from jaxvae.types import Array, Corrupt, Dataset, DataSpec, Metrics, Splits, StepInput, System

Method = Literal["scratch", "frozen", "finetune", "m1", "m1_spread", "m2", "m1m2", "ladder"]
WITH_ENCODER = ("frozen", "finetune", "m1", "m1_spread", "m1m2")
BY_SUPPORT_VECTORS = ("m1", "m1_spread")
OF_ALL_IMAGES = ("m2", "m1m2", "ladder")  # methods that learn from images without a class
OF_CORRUPTED_IMAGES = ("scratch", "frozen", "finetune", "m2")
USED_BY = {
    "noise": OF_CORRUPTED_IMAGES,
    "shift": OF_CORRUPTED_IMAGES,
    "classifier": ("m2",),
    "classifier_weight": ("m2", "m1m2"),
    "latent_noise": ("m1m2",),
    "ladder_noise": ("ladder",),
    "ladder_costs": ("ladder",),
    "known_fraction": OF_ALL_IMAGES,
}
MIN_SIGMA = 0.2  # that M2 gives a latent, in its standard deviations; chosen with the settings of the README


@dataclass(frozen=True)
class Config(ImageConfig):
    """Configuration of a classifier with few labels."""

    method: Method = "m2"
    """method, see above"""
    labels: int = 100
    """number of labelled training images, equally many per class, drawn by the seed"""
    encoder: str | None = None
    """folder of the pre-trained encoder: a run of autoencoder, a phase of stacked_autoencoder, or a VAE"""
    unlabelled: int | None = None
    """label that marks training images without a class"""
    noise: NoiseName = "none"
    """corruption of the training images of a classifier, or of q(y | x) of m2"""
    noise_level: float = 0.25
    """standard deviation of Gaussian noise, or probability that a pixel is corrupted"""
    shift: int = 0
    """data augmentation: random shifts of these images by up to so many pixels"""
    classifier: Literal["mlp", "conv"] = "mlp"
    """architecture of q(y | x) of m2: --hidden units, or two convolutions and 256 units"""
    hidden: tuple[int, ...] = (500,)
    """hidden units of M2's networks"""
    latent_dim: int = 50
    """dimensions of M2's style variable"""
    latent_noise: float = 0.3
    """noise of M1's latents in m1m2, in standard deviations of q(z | x); 0 uses posterior means"""
    classifier_weight: float = 50.0
    """weight of the cross-entropy of labelled images in M2's loss, whose bound has weight 1"""
    ladder: tuple[int, ...] = (1000, 500, 250, 250, 250)
    """hidden units of the ladder network"""
    ladder_noise: float = 0.3
    """standard deviation of the noise at the input and at every layer of the ladder network"""
    ladder_costs: tuple[float, ...] = (1000.0, 10.0, 0.1)
    """weights of its denoising costs, from the input upwards; the last one holds for all further layers"""
    known_fraction: float = 0.2
    """fraction of labelled images in the batches of M2 and ladder networks, by oversampling"""
    steps: int = 4_000
    ema_decay: float = 0.999

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "labels", "latent_dim")
        at_least(self, 0, "classifier_weight", "ladder_noise", "latent_noise", "shift")
        check_noise(self.noise, self.noise_level)
        for field in ("hidden", "ladder"):
            widths = getattr(self, field)
            require(field, widths, min(widths, default=0) >= 1, "widths of at least 1")
        most = len(self.ladder) + 2
        sound = 1 <= len(self.ladder_costs) <= most and min(self.ladder_costs) >= 0
        require("ladder_costs", self.ladder_costs, sound, f"one to {most} numbers of at least 0")
        whole = self.precision == "float32" or self.method in ("m2", "m1m2")
        require("precision", self.precision, whole, "float32, but for m2 and m1m2")
        require("known_fraction", self.known_fraction, 0 < self.known_fraction < 1, "above 0 and below 1")
        given = bool(self.encoder) or self.method not in WITH_ENCODER
        require("encoder", self.encoder, given, f"a run, which {self.method} needs")

    def quick(self) -> "Config":
        """Return a copy for a short run, of a minute or so."""
        return replace(self, labels=100, hidden=(100,), ladder=(64, 32), latent_dim=8, steps=300, eval_every=100)


SWEEP = {"method": ("scratch", "m2"), "seed": (0, 1, 2)}


def m2_loss(terms: ClassTerms, labels: Array, inputs: StepInput, *, weight: float) -> tuple[Array, Metrics]:
    """Return the loss of M2, nats per image: bounds of images with a class y and without, and the loss of q(y | x).

      bounds[y] = E_q(z|x,y)[log p(x | y, z)] - KL(q(z | x, y) || p(z)) + log p(y)

    Departs from eq. 9 in that the weight is one of nats of an image, where the paper's alpha = 0.1 N is 0.1.
    """
    known = jnp.take_along_axis(terms.bounds, jnp.maximum(labels, 0)[:, None], axis=1)[:, 0]  # of log p(x, y), eq. 6
    unknown = jnp.sum(jnp.exp(terms.log_qy) * (terms.bounds - terms.log_qy), axis=1)  # of log p(x), eq. 7
    bound = jnp.mean(jnp.where(labels >= 0, known, unknown))
    scores = known_class_scores(terms.log_qy, labels, inputs.axis_name)  # of -log q(y | x)
    return -bound + weight * scores["cross_entropy"], {"bound": bound, **scores}  # eq. 9


def build(config: Config, spec: DataSpec, encoder: Trained | None = None) -> System:
    """Build the system of a method; the encoder is loaded where it is not given."""
    if encoder is None and config.encoder:
        encoder = load(config.encoder)
    variables = None if encoder is None else (encoder.params, encoder.model_state)
    shared: dict[str, Any] = {
        "name": "semi_supervised",
        "spec": spec,
        "optimizer": cosine_adam(config.learning_rate, config.steps),
    }
    if config.method == "ladder":
        model = LadderNetwork(spec.num_classes, config.ladder, config.ladder_noise)
        return ladder_system(**shared, model=model, costs=config.ladder_costs)
    objective = functools.partial(m2_loss, weight=config.classifier_weight)
    if config.method == "m2":
        corrupt, prepare = _corruption(config, spec), binary_pixels(spec)
        return m2_system(**shared, model=m2(config, spec), prepare=prepare, objective=objective, corrupt=corrupt)
    if config.method == "m1m2":
        assert encoder is not None
        capabilities.require(encoder.system, capabilities.Infers, f"--encoder {config.encoder}")
        first_stage: Any = encoder.system.parts
        return m2_system(
            **shared,
            model=m2(config, spec, first_stage),
            prepare=unit_pixels(spec),
            objective=objective,
            first_stage=first_stage,
            first_stage_variables=variables,
            latent_noise=config.latent_noise,
        )
    system = encoder.system if encoder else autoencoder.build(autoencoder.Config(), spec)
    capabilities.require(system, capabilities.Encodes, f"--encoder {config.encoder}")
    parts: Any = system.parts
    return classifier_system(
        **shared,
        encoder=parts,
        variables=variables if config.method != "scratch" else None,
        corrupt=_corruption(config, spec),
        frozen=config.method == "frozen",
    )


def m2(config: Config, spec: DataSpec, first_stage: Any = None) -> SemiSupervisedVAE:
    """Return the model M2 of images, or of the latents of a VAE, given its parts."""
    dtype, likelihood, shape = network_dtype(config.precision), bernoulli(), spec.shape
    net: type[MLP] | type[MLPEncoder] = MLPEncoder
    if first_stage is not None:
        x = jax.ShapeDtypeStruct((1, *spec.shape), np.float32)
        latents = jax.eval_shape(first_stage.posterior, *abstract_variables(first_stage), x).mean
        likelihood, shape, net = gaussian_learned_scale(MIN_SIGMA), latents.shape[1:], MLP
    features: list[nn.Module] = [net(config.hidden, dtype=dtype)]
    if first_stage is None and config.classifier == "conv":
        features = [ConvEncoder(dtype=dtype), MLP((256,), dtype=dtype)]
    return SemiSupervisedVAE(
        classifier=nn.Sequential([*features, nn.Dense(spec.num_classes)]),
        encoder=net(config.hidden[:-1], dtype=dtype),
        posterior=GaussianPosterior(config.latent_dim),
        decoder=ImageDecoder(MLP(config.hidden[::-1], dtype=dtype), likelihood.param_shapes(shape), dtype),
        likelihood=likelihood,
        num_classes=spec.num_classes,
        features=config.hidden[-1],
        dtype=dtype,
    )


def train_method(
    configs: Sequence[Config], folders: Sequence[Path], options: Options, splits: Splits, spec: DataSpec
) -> list[dict[str, Any]]:
    """Train one method on several draws of equally many labels, as one program, and report each."""
    first, spec = configs[0], class_spec(splits, spec, configs[0].unlabelled)
    encoder = load(first.encoder) if first.encoder else None
    stage = None if encoder is None else {**encoder.record, "fingerprint": fingerprint(encoder)}
    known, draws = known_rows(splits, first.unlabelled), [draw(config, splits) for config in configs]
    rows = [known[one] for one in draws]
    if first.method in BY_SUPPORT_VECTORS:
        assert encoder is not None
        module, spread = experiment_module(build), first.method == "m1_spread"
        records = [{**header(module, spec, config), "num_train": config.labels, "stage": stage} for config in configs]
        return report_support_vectors(encoder, splits, rows, records, folders, options, spread=spread)
    parts = splits
    if first.method in OF_ALL_IMAGES:
        if encoder is not None and first.method == "m1m2":  # encoded once, not at every visit
            latents = latents_of(encoder.system, encoder.params, encoder.model_state, splits.train)
            parts = splits._replace(train=Dataset(latents, splits.train.labels))
        images = pool(parts, first.unlabelled)
        parts = splits._replace(train=images.train)
        rows = [training_rows(images, one, first.known_fraction) for one in draws]
    if first.method == "ladder":
        configs = [replace(config, ema_decay=0.0) for config in configs]  # its statistics are not of averages
    made = functools.partial(build, encoder=encoder)
    trained = train_sweep(configs, made, parts, spec, folders, options, rows, stage=stage)
    return [row_of(one, splits) for one in trained]


def draw(config: Config, splits: Splits) -> np.ndarray:
    """Return the places of the labels that are used among all labelled training images."""
    labels = splits.train.labels[known_rows(splits, config.unlabelled)]
    return draw_labels(labels, config.labels, known_classes(splits, config.unlabelled), config.seed)


def check(configs: Sequence[Config], options: Options, splits: Splits, spec: DataSpec) -> None:
    """Raise a `UserError` for what would fail hours later, or what no method uses."""
    if not options.resume:  # which may add methods to those that the settings of the folder are for
        for field, methods in USED_BY.items():
            for value in {getattr(config, field) for config in configs} - {getattr(Config, field)}:
                used = any(config.method in methods for config in configs)
                expected = f"{getattr(Config, field)} without a method that uses it: {', '.join(methods)}"
                require(field, value, used, expected)
    encoders = {place: load(place) for place in {config.encoder for config in configs} if place}
    for config in configs:
        of_classes, encoder = class_spec(splits, spec, config.unlabelled), encoders.get(config.encoder)
        chosen = draw(config, splits)
        if encoder is not None:
            require_images(f"--encoder {config.encoder}", encoder.system, spec)
        if config.method not in BY_SUPPORT_VECTORS:
            build(config, of_classes, encoder)
            continue
        assert encoder is not None
        require_codes(f"--encoder {config.encoder}", encoder.system)
        if config.method == "m1":
            labels = splits.train.labels[known_rows(splits, config.unlabelled)][chosen]
            least = min(np.sum(labels == label) for label in known_classes(splits, config.unlabelled))
            require("labels", config.labels, least >= 2, "so many that there are two of every class, which m1 needs")


# ---------- private


def _corruption(config: Config, spec: DataSpec) -> Corrupt:
    side = min(spec.shape[:2])
    require("shift", config.shift, config.shift < side, f"less than the {side} pixels of an image")
    return make_corruption(config.noise, config.noise_level, config.shift)


if __name__ == "__main__":
    main(Config, build, __doc__, sweep=SWEEP, members=train_method, check=check, draw=draw_errors)
