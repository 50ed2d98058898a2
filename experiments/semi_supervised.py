"""Classes of images of which few are known: pre-training, M1, M2 and M1 + M2 (Kingma et al. 2014), ladder networks.

Every method learns from several draws of the labelled images, as one program, and is judged by its error on the test
part. `--encoder RUN` is an autoencoder or a VAE of all images, trained before without their classes: for `frozen` and
`finetune`, a linear layer on its codes, alone or with the encoder; `m1`, support vectors on its codes, and `m1_spread`,
after the known classes were spread from code to neighbouring code; `m1m2`, M2 of its latents. `scratch` is the same net
without that training; `m2` and `ladder` (Rasmus et al. 2015) need none.

All classes of the validation part are known beside: `scratch`, `frozen`, `finetune` and `ladder` keep the step of its
least cross-entropy. M2 keeps the step of its best bound, which sees none of them; support vectors see none at all.
"""

import functools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import numpy as np

from experiments import autoencoder
from experiments.common.autoencoder import Corrupt, NoiseName, check_noise, corruption_of
from experiments.common.classification import classifier_experiment, ladder_experiment
from experiments.common.compare import half_interval
from experiments.common.folder import FREE_FIELDS, drawing, read_json, run_record
from experiments.common.inspection import features_of, latents_of
from experiments.common.labels import Pool, class_spec, draw_labels, known_classes, known_rows, pool, training_rows
from experiments.common.loading import abstract_state, fingerprint, require_codes, require_images
from experiments.common.m2 import m2_experiment
from experiments.common.report import report, with_earlier, write_summary
from experiments.common.sweep import diverged, table, totals
from experiments.common.training import begin, train_sweep
from experiments.common.vae import binary_pixels, cosine_adam, network_dtype, split_each, unit_pixels
from experiments.run import Finished, ImageConfig, Options, at_least, load, main, refuse, require, run_folder
from jaxvae import data, viz
from jaxvae.errors import UserError
from jaxvae.evaluation import neighbour_graph, spread_svm_error, svm_error
from jaxvae.likelihoods import bernoulli, gaussian_learned_scale
from jaxvae.models import LadderNetwork, SemiSupervisedVAE
from jaxvae.nets import MLP, ConvEncoder, ImageDecoder, MLPEncoder
from jaxvae.posteriors import GaussianPosterior
from jaxvae.training import distributed
from jaxvae.types import (
    Array,
    Dataset,
    DataSpec,
    Experiment,
    Likelihood,
    ModelState,
    Params,
    PRNGKey,
    Splits,
)

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
    """What shapes a run."""

    methods: tuple[Method, ...] = ("scratch", "m2")
    """what to compare"""
    labels: tuple[int, ...] = (100,)
    """numbers of training images whose class is known, as many of every class"""
    num_draws: int = 3
    """of these images, each a training, from --seed upwards"""
    encoder: str | None = None
    """folder of a finished run of autoencoder, a part of stacked_autoencoder, or a VAE"""
    unlabelled: int | None = None
    """the label of training images that have no class in the data"""
    noise: NoiseName = "none"
    """what corrupts the images that a classifier, or q(y | x) of M2 of images, is trained on"""
    noise_level: float = 0.25
    """its standard deviation, or the probability that a pixel is changed"""
    shift: int = 0
    """pixels by which these images are moved at most, before they are corrupted; what comes in is black"""
    classifier: Literal["mlp", "conv"] = "mlp"
    """q(y | x) of M2 of images: --hidden units, or two convolutions and 256 units"""
    hidden: tuple[int, ...] = (500,)
    """units of the layers of M2's networks"""
    latent_dim: int = 50
    """dimensions of the style of M2"""
    latent_noise: float = 0.3
    """of the latents that m1m2 learns from, in standard deviations of q(z | x); 0 takes their means"""
    classifier_weight: float = 50.0
    """of the cross-entropy of known classes in M2's loss, beside the bound of an image"""
    ladder: tuple[int, ...] = (1000, 500, 250, 250, 250)
    """units of the layers of the ladder network"""
    ladder_noise: float = 0.3
    """standard deviation, on the image and every layer"""
    ladder_costs: tuple[float, ...] = (1000.0, 10.0, 0.1)
    """weights of the denoising of its layers, the image first; the last one is that of all further layers"""
    known_fraction: float = 0.2
    """of the batches of M2 and of ladder networks, images whose class is known, which come as often as it takes"""
    steps: int = 4_000
    ema_decay: float = 0.999

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in ("methods", "labels"):
            values = getattr(self, field)
            require(field, values, 0 < len(values) == len(set(values)), "different ones")
        require("labels", self.labels, min(self.labels) >= 1, "numbers of at least 1")
        at_least(self, 1, "num_draws", "latent_dim")
        at_least(self, 0, "classifier_weight", "ladder_noise", "latent_noise", "shift")
        check_noise(self.noise, self.noise_level)
        for field in ("hidden", "ladder"):
            widths = getattr(self, field)
            require(field, widths, min(widths, default=0) >= 1, "widths of at least 1")
        most = len(self.ladder) + 2
        sound = 1 <= len(self.ladder_costs) <= most and min(self.ladder_costs) >= 0
        require("ladder_costs", self.ladder_costs, sound, f"one to {most} numbers of at least 0")
        whole = self.precision == "float32" or set(self.methods) <= {"m2", "m1m2"}
        require("precision", self.precision, whole, "float32, but for m2 and m1m2")
        require("known_fraction", self.known_fraction, 0 < self.known_fraction < 1, "above 0 and below 1")
        needs = [method for method in self.methods if method in WITH_ENCODER]
        require("encoder", self.encoder, bool(self.encoder) or not needs, f"a run, which {', '.join(needs)} needs")

    def quick(self) -> "Config":
        """Return a copy that ends in seconds."""
        return replace(
            self, labels=(20,), num_draws=2, hidden=(32,), ladder=(32, 16), latent_dim=4, steps=50, eval_every=25
        )


def build(
    config: Config,
    spec: DataSpec,
    encoder: Experiment | None = None,
    variables: tuple[Params, ModelState] | None = None,
) -> Experiment:
    """Put the system of one method together, the first of the list."""
    method, optimizer = config.methods[0], cosine_adam(config.learning_rate, config.steps)
    if method == "ladder":
        return ladder_experiment(
            name="semi_supervised",
            spec=spec,
            model=LadderNetwork(spec.num_classes, config.ladder, config.ladder_noise),
            optimizer=optimizer,
            costs=config.ladder_costs,
        )
    if method in OF_ALL_IMAGES:
        below = encoder if method == "m1m2" else None
        return m2_experiment(
            name="semi_supervised",
            spec=spec,
            model=m2(config, spec, below),
            prepare=binary_pixels(spec) if below is None else unit_pixels(spec),
            optimizer=optimizer,
            classifier_weight=config.classifier_weight,
            corrupt=_corruption(config, spec) if below is None else None,
            below=below,
            below_variables=variables if below is not None else None,
            latent_noise=config.latent_noise,
        )
    if encoder is None:
        encoder = autoencoder.build(autoencoder.Config(), spec)
    return classifier_experiment(
        name="semi_supervised",
        spec=spec,
        encoder=encoder,
        variables=variables if method != "scratch" else None,
        optimizer=optimizer,
        corrupt=_corruption(config, spec),
        frozen=method == "frozen",
    )


def m2(config: Config, spec: DataSpec, below: Experiment | None) -> SemiSupervisedVAE:
    """Return the model M2 of images, or of the latents of a VAE."""
    dtype = network_dtype(config.precision)
    likelihood: Likelihood = bernoulli()
    shape: tuple[int, ...] = spec.shape
    net: type[MLP] | type[MLPEncoder] = MLPEncoder
    if below is not None:
        if below.posterior is None:
            raise UserError(f"--encoder is a run of {below.name}, m1m2 needs one of a VAE with a Gaussian posterior.")
        state, x = abstract_state(below), jax.ShapeDtypeStruct((1, *spec.shape), np.float32)
        latents = jax.eval_shape(below.posterior, state.params, state.model_state, x).mean
        likelihood, shape, net = gaussian_learned_scale(MIN_SIGMA), latents.shape[1:], MLP
    features: list[nn.Module] = [net(config.hidden, dtype=dtype)]
    if below is None and config.classifier == "conv":
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


def run(config: Config, options: Options) -> Path:
    """Train every method on every number of labels, with every draw of them, and print their errors."""
    refuse(options, "a comparison of methods", "sweep", "init_from")
    if not options.resume:  # which may add methods to those that the settings of the folder are for
        _refuse_unused(config)
    splits, spec = data.load(config.data, image_size=config.image_size)
    spec = class_spec(splits, spec, config.unlabelled)
    encoder = load(config.encoder) if config.encoder else None
    if encoder is not None:
        require_images(f"--encoder {config.encoder}", encoder.experiment, spec)
    draws = {
        num: [_draw(splits, config, num, config.seed + i) for i in range(config.num_draws)] for num in config.labels
    }
    _check(config, splits, spec, encoder, draws)
    folder = run_folder("semi_supervised", options)
    record = run_record("semi_supervised", config, spec, len(splits.train.x))
    # The parts check their own settings: more methods, labels and draws may be asked for later.
    begin(folder, record | _stage(encoder), options.resume, FREE_FIELDS | {"methods", "labels", "num_draws"})
    rows: list[dict[str, Any]] = []
    finished: list[Finished] = []
    for method in config.methods:
        shared = _shared(method, config, splits, encoder)
        for num, chosen in draws.items():
            if method in BY_SUPPORT_VECTORS:
                errors, members = _support_vectors(shared, splits, config, chosen), []
            else:
                members = _train(method, num, config, shared, splits, spec, encoder, chosen, folder, options)
                errors = _errors(members, splits)
            finished += members
            if distributed.is_primary():
                row = _row(method, num, errors)
                print(table([row]))
                training = {"steps": config.steps, **totals(finished, config.batch_size)} if finished else {}
                rows = with_earlier(folder, "errors", [row], ("method", "labels"))
                write_summary(folder, "semi_supervised", training, {"methods": len(config.methods)}, errors=rows)
    if distributed.is_primary():
        print(table(rows))
        with drawing(folder):
            _draw_errors(folder / "figures", config, rows)
    return folder


# ---------- private


def _corruption(config: Config, spec: DataSpec) -> Corrupt:
    """Shifts, and then noise."""
    side = min(spec.shape[:2])
    require("shift", config.shift, config.shift < side, f"less than the {side} pixels of an image")
    corrupt = corruption_of(config.noise, config.noise_level)

    def both(keys: PRNGKey, x: Array) -> Array:
        first, second = split_each(keys)
        return corrupt(second, data.shift(first, x, config.shift) if config.shift else x)

    return both


def _refuse_unused(config: Config) -> None:
    for field, methods in USED_BY.items():
        value, default = getattr(config, field), getattr(Config, field)
        used = value == default or bool(set(methods) & set(config.methods))
        require(field, value, used, f"{default} without a method that uses it: {', '.join(methods)}")


class _Codes(NamedTuple):
    features: Splits  # of all images
    graph: Any  # of those of the training part; None where it is not needed


def _check(
    config: Config, splits: Splits, spec: DataSpec, encoder: Finished | None, draws: dict[int, list[np.ndarray]]
) -> None:
    """Raise for what would fail hours later."""
    labels = splits.train.labels[known_rows(splits, config.unlabelled)]
    classes = known_classes(splits, config.unlabelled)
    for method in config.methods:
        if method in BY_SUPPORT_VECTORS:
            assert encoder is not None
            require_codes(f"--encoder {config.encoder}", encoder.experiment)
        if method == "m1":
            for num, chosen in draws.items():
                least = min(np.sum(labels[one] == label) for one in chosen for label in classes)
                require("labels", num, least >= 2, "so many that there are two of every class, which m1 needs")
        elif method not in BY_SUPPORT_VECTORS:
            build(replace(config, methods=(method,)), spec, encoder.experiment if encoder else None)


def _stage(encoder: Finished | None) -> dict[str, Any]:
    """The part of a run's record that says on which model it is built."""
    if encoder is None:
        return {}
    return {"codec": {**read_json(encoder.folder / "config.json"), "fingerprint": fingerprint(encoder)}}


def _draw(splits: Splits, config: Config, num: int, seed: int) -> np.ndarray:
    """Places among the labelled training images."""
    labels = splits.train.labels[known_rows(splits, config.unlabelled)]
    return draw_labels(labels, num, known_classes(splits, config.unlabelled), seed)


def _shared(method: Method, config: Config, splits: Splits, encoder: Finished | None) -> Any:
    """What all trainings of a method learn from: a pool of images or latents, the codes of all, or nothing more."""
    if method in OF_ALL_IMAGES:
        if method == "m1m2":  # encoded once, not at every visit
            assert encoder is not None
            splits = splits._replace(train=Dataset(latents_of(encoder, splits.train), splits.train.labels))
        return pool(splits, config.unlabelled)
    if method in BY_SUPPORT_VECTORS and distributed.is_primary():
        assert encoder is not None
        features = features_of(encoder, splits)
        return _Codes(features, neighbour_graph(features.train.x) if method == "m1_spread" else None)
    return None


def _train(
    method: Method,
    num: int,
    config: Config,
    images: Pool | None,
    splits: Splits,
    spec: DataSpec,
    encoder: Finished | None,
    draws: list[np.ndarray],
    folder: Path,
    options: Options,
) -> list[Finished]:
    """Train one method on all draws of as many labels, as one program."""
    if images is not None:
        parts = splits._replace(train=images.train)
        rows = [training_rows(images, chosen, config.known_fraction) for chosen in draws]
    else:
        parts, known = splits, known_rows(splits, config.unlabelled)
        rows = [known[chosen] for chosen in draws]
    seeds = range(config.seed, config.seed + len(draws))
    chosen = replace(config, methods=(method,), labels=(num,), num_draws=1)
    if method == "ladder":
        chosen = replace(chosen, ema_decay=0.0)  # its statistics are those of the parameters as they are
    return train_sweep(
        [replace(chosen, seed=seed) for seed in seeds],
        functools.partial(
            build,
            encoder=None if encoder is None else encoder.experiment,
            variables=None if encoder is None else (encoder.params, encoder.model_state),
        ),
        parts,
        spec,
        [folder / f"{method}_labels={num}_seed={seed}" for seed in seeds],
        options,
        rows,
        codec=_stage(encoder).get("codec"),
    )


def _errors(members: list[Finished], splits: Splits) -> list[float]:
    """Errors on the test part, %; of a draw whose training diverged there is none."""
    if not distributed.is_primary():
        return []
    trained = [member for member in members if not diverged(member)]
    return [100 * report(member, splits)["metrics"]["error"] for member in trained]


def _support_vectors(codes: _Codes | None, splits: Splits, config: Config, draws: list[np.ndarray]) -> list[float]:
    if codes is None:
        return []
    (train, _, test), known = codes.features, known_rows(splits, config.unlabelled)
    if codes.graph is not None:
        return [100 * spread_svm_error(train, known[chosen], codes.graph, test, config.seed) for chosen in draws]
    parts = [Dataset(train.x[known[chosen]], train.labels[known[chosen]]) for chosen in draws]
    return [100 * svm_error(one, test, config.seed) for one in parts]


def _row(method: str, num: int, errors: list[float]) -> dict[str, Any]:
    row: dict[str, Any] = {"method": method, "labels": num, "draws": len(errors)}
    if errors:
        row |= {"error": round(float(np.mean(errors)), 3), "errors": [round(error, 3) for error in errors]}
    if len(errors) > 1:
        row["error_sd"] = round(float(np.std(errors, ddof=1)), 3)
        row["error_within"] = round(half_interval(np.array(errors)), 3)
    return row


def _draw_errors(folder: Path, config: Config, rows: list[dict[str, Any]]) -> None:
    folder.mkdir(exist_ok=True)
    if len(config.labels) > 1:
        sizes = sorted(config.labels)
        found = {(row["method"], row["labels"]): row for row in rows}
        curves, spreads = (
            {method: [found[method, num].get(name, np.nan) for num in sizes] for method in config.methods}
            for name in ("error", "error_sd")
        )
        viz.save_learning_curve(
            folder / "errors.png",
            sizes,
            curves,
            ylabel="error on the test part [%]",
            title="Mean and standard deviation over draws" if config.num_draws > 1 else "Errors and known classes",
            xlabel="training images of known class",
            spreads=spreads if config.num_draws > 1 else None,
        )


if __name__ == "__main__":
    main(Config, run, __doc__)
