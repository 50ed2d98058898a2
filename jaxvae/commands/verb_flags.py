"""Flags of every verb; nothing here needs JAX, so that help and what is wrong with flags do not wait for it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from jaxvae.choices import DENOISING_SAMPLES, Method, Noise
from jaxvae.commands.flags import ClassFlags, ImageFlags, ModelFlags, OutFlags, SeedFlags, SomeImageFlags, positional
from jaxvae.commands.run_flags import (
    CompareFlags,
    EvaluateFlags,
    ExportFlags,
    InfoFlags,
    ListFlags,
    ReportFlags,
    TrainFlags,
    VerifyFlags,
)


@dataclass(frozen=True, kw_only=True)
class ExploreFlags(ModelFlags, OutFlags):
    """Which images are on the map of the page."""

    data: str | None = None
    """images for the map, 500 at most: folder:DIR, npz:FILE, digits, ...; by default those of the training"""
    part: Literal["train", "valid", "test"] | None = None
    """one part of the data alone, cut as in training; by default the test part of the images of the training"""
    resize: bool = False
    """bring images of another size to that of the model: padded to its proportions, never cut"""
    out: Path
    """NAME.html"""


@dataclass(frozen=True, kw_only=True)
class SampleFlags(ModelFlags, OutFlags, SeedFlags):
    """What is drawn."""

    out: Path
    """a folder for a PNG file each; NAME.png for one picture of all; NAME.npz for arrays"""
    num: int = 64
    """how many"""
    label: str | None = None
    """class of all of them, its name or its number, of a model that knows classes; by default all in turn"""
    temperature: tuple[float, ...] = (1.0,)
    """below 1 images are more likely and less various, above 1 the other way round; one number, or one for every group
    of latents"""
    means: bool = False
    """the means of the pixels in place of draws, of a model that has some: smoother, without noise"""


@dataclass(frozen=True, kw_only=True)
class ReconstructFlags(ModelFlags, ImageFlags, ClassFlags, OutFlags, SeedFlags):
    """What is reconstructed."""

    out: Path
    """a folder for a PNG file of every image; NAME.png for one picture of pairs; NAME.npz for arrays"""


@dataclass(frozen=True, kw_only=True)
class InterpolateFlags(ModelFlags, SomeImageFlags, ClassFlags, OutFlags, SeedFlags):
    """Between which images."""

    first: str = positional("A")
    """an image file, or with --data the number of an image of it, from 0"""
    last: str = positional("B")
    """the same"""
    out: Path
    """a folder for a PNG file each; NAME.png for one picture of all; NAME.npz for arrays"""
    num: int = 9
    """images, the reconstructions of both included"""
    path: Literal["slerp", "linear", "norm", "geodesic"] = "slerp"
    """slerp is an arc, linear the straight line, norm its directions with lengths between those of the ends, geodesic
    the path along which the images change least"""


@dataclass(frozen=True, kw_only=True)
class TraverseFlags(ModelFlags, SomeImageFlags, ClassFlags, OutFlags, SeedFlags):
    """Which latents, at which code."""

    image: str | None = None
    """an image file, or with --data the number of an image of it: the others are held at its code, not at the mean"""
    dims: tuple[int, ...] = ()
    """numbers of the latents, from 0; by default those that vary most over the training images, 16 at most"""
    num: int = 9
    """images in a row, from the 5 % to the 95 % quantile of the prior"""
    out: Path
    """a folder for a PNG file each; NAME.png for one picture of all; NAME.npz for arrays"""


@dataclass(frozen=True, kw_only=True)
class AttributeFlags(ModelFlags, ImageFlags, ClassFlags, OutFlags, SeedFlags):
    """Which attribute, and how far."""

    name: str
    """the attribute: a column of --attributes, or a class of the images, its name or its number"""
    attributes: Path | None = None
    """CSV of attributes: path, smiling, ... with 1 or 0, or 1 or -1; by default the classes of the images"""
    method: Literal["means", "classifier"] = "means"
    """means goes from the mean code without to that with it, classifier along the normal of a linear classifier"""
    strengths: tuple[float, ...] = (-2.0, -1.0, 0.0, 1.0, 2.0)
    """how far images are moved; 0 is the reconstruction, 1 as far as the means of both kinds are apart"""
    num: int = 8
    """images that are moved, spread evenly over all"""
    out: Path
    """a folder for a PNG file each; NAME.png for one picture of all; NAME.npz for arrays"""


@dataclass(frozen=True, kw_only=True)
class CompleteFlags(ModelFlags, ImageFlags, ClassFlags, OutFlags, SeedFlags):
    """What is filled in."""

    out: Path
    """a folder with one of PNG files for every image; NAME.png for a picture of some; NAME.npz for arrays"""
    mask: str
    """what is filled in: left-half, right-half, top-half, bottom-half, a quadrant as top-left, all-but- and one of
    these, or a box LEFT,TOP,RIGHT,BOTTOM in pixels; or a black and white image, of which white is, or a folder of these
    with the names of the images"""
    num: int = 4
    """completions of every image"""
    means: bool = False
    """the means of the pixels in place of draws, of a model that has some"""
    scores: Path | None = None
    """NAME.csv, of images that are whole: log p(what is filled in | the rest) of their own pixels there, nats"""
    num_samples: int = 1_000
    """importance samples of --scores for every image, where it is not exact"""


@dataclass(frozen=True, kw_only=True)
class DenoiseFlags(ModelFlags, ImageFlags, ClassFlags, OutFlags, SeedFlags):
    """What is denoised."""

    out: Path
    """a folder for a PNG file of every image; NAME.png for a picture of some; NAME.npz for arrays"""
    noise: Noise | None = None
    """kind of noise that is added first, to see what becomes of it; by default the images are noisy as they are"""
    level: float | None = None
    """of the noise that is added: its standard deviation, or the probability that a pixel is changed"""
    num_samples: int = DENOISING_SAMPLES
    """latents for every image, of a VAE, whose decoded images are averaged"""


@dataclass(frozen=True, kw_only=True)
class EncodeFlags(ModelFlags, ImageFlags, ClassFlags, OutFlags, SeedFlags):
    """What is encoded."""

    out: Path
    """NAME.csv, a line an image; NAME.npz, arrays with the paths; NAME.npy, the codes alone"""


@dataclass(frozen=True, kw_only=True)
class DecodeFlags(ModelFlags, ClassFlags, OutFlags, SeedFlags):
    """What is decoded."""

    codes: Path = positional("CODES")
    """NAME.csv, NAME.npz or NAME.npy, as encode writes them"""
    out: Path
    """a folder for a PNG file of every code; NAME.png for one picture of all; NAME.npz for arrays"""


@dataclass(frozen=True, kw_only=True)
class CompressFlags(ModelFlags, ImageFlags, OutFlags, SeedFlags):
    """What is compressed."""

    binarize: Literal["sample", "threshold"] | None = None
    """code grey images as black and white ones, of a model of these: every pixel drawn by its grey, or white above one
    half; it is these that come back"""
    lossless: bool = False
    """of a VQ-VAE with a prior over its codes: also what the codes leave open, so that the images come back"""
    rate: float | None = None
    """of a lossy VAE: bits per pixel value that are aimed at; by default those of its training"""
    verify: bool = False
    """decode the file and compare, before it is written"""
    out: Path
    """NAME.jvz"""


@dataclass(frozen=True, kw_only=True)
class DecompressFlags(ModelFlags, OutFlags):
    """What is decompressed."""

    file: Path = positional("FILE")
    """NAME.jvz, as compress writes it"""
    out: Path
    """a folder for a PNG file of every image; NAME.png for one picture of all; NAME.npz for arrays"""


@dataclass(frozen=True, kw_only=True)
class ScoreFlags(ModelFlags, ImageFlags, ClassFlags, OutFlags, SeedFlags):
    """What is scored."""

    out: Path
    """NAME.csv: a line an image, in nats but for bits_per_dim"""
    num_samples: int = 500
    """importance samples for every image, of a model without an exact likelihood"""
    refit: bool = False
    """whether q(z | x) is also fitted to every image, for the amortisation gap: what the encoder loses of the ELBO"""


@dataclass(frozen=True, kw_only=True)
class ClassifyFlags(ModelFlags, ImageFlags, OutFlags, SeedFlags):
    """What is classified."""

    out: Path
    """NAME.csv: a line an image"""


@dataclass(frozen=True, kw_only=True)
class AugmentFlags(ModelFlags, ImageFlags, OutFlags, SeedFlags):
    """What new images are made of, and how many."""

    method: Method | None = None
    """variants of single images, interpolation between two images of a class, or samples of a model that is conditional
    on classes; by default the first of these that the model has"""
    num: int | None = None
    """new images of every class; by default as many as it has"""
    balance: bool = False
    """make those that a class lacks to the largest one"""
    out: Path
    """a folder: one of PNG files for every class, labels.csv with what each is made of, sheet.png with some"""


@dataclass(frozen=True, kw_only=True)
class AnomalyFlags(ModelFlags, ImageFlags, OutFlags, SeedFlags):
    """What is normal, and what is looked through."""

    normal: str | None = None
    """normal images, as folder:DIR: one half is fitted to, the other calibrates; of the run's own data, those that it
    was not trained on calibrate"""
    alpha: float | None = None
    """the largest share of false alarms among normal images, 0.05 by default"""
    score: str | None = None
    """how strange an image is: corrected, likelihood, neighbours, ..., several with + between; by default that of the
    kind of the model"""
    background: Path | None = None
    """another model of the same images, for the score ratio"""
    num_samples: int | None = None
    """importance samples of scores by log p(x), of a model without an exact one, 100 by default"""
    save: Path | None = None
    """NAME.npz: keep the detector with its threshold"""
    detector: Path | None = None
    """a detector that --save kept, in place of --normal"""
    fail_on_anomaly: bool = False
    """end with status 3 if there is an anomaly"""
    out: Path
    """a folder: scores.csv, sheet.png with the strangest first, histogram.png, summary.json"""


FLAGS: dict[str, type[Any]] = {
    "train": TrainFlags,
    "list": ListFlags,
    "info": InfoFlags,
    "report": ReportFlags,
    "compare": CompareFlags,
    "evaluate": EvaluateFlags,
    "export": ExportFlags,
    "explore": ExploreFlags,
    "verify": VerifyFlags,
    "sample": SampleFlags,
    "reconstruct": ReconstructFlags,
    "interpolate": InterpolateFlags,
    "traverse": TraverseFlags,
    "attribute": AttributeFlags,
    "complete": CompleteFlags,
    "denoise": DenoiseFlags,
    "encode": EncodeFlags,
    "decode": DecodeFlags,
    "compress": CompressFlags,
    "decompress": DecompressFlags,
    "score": ScoreFlags,
    "classify": ClassifyFlags,
    "augment": AugmentFlags,
    "anomaly": AnomalyFlags,
}
