"""Flags of the verbs that train models, tell of them and give them away; as `verb_flags`, without JAX."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jaxvae.choices import Net, PixelLikelihood
from jaxvae.commands.flags import ModelFlags, OutFlags, SeedFlags, positional


@dataclass(frozen=True, kw_only=True)
class TrainFlags(SeedFlags):
    """What is trained."""

    data: str
    """your images: folder:DIR, npz:FILE, digits, idx:DIR, tfds:NAME, binarized_mnist:FILE, sprites or stacked:SOURCE"""
    image_size: int | None = None
    """side in pixels to resize images to; by default a folder's images larger than 64 become 28, others stay"""
    model: Literal["vae", "vqvae", "autoregressive"] = "vae"
    """vae generates and encodes as vectors; vqvae encodes as grids of codes; autoregressive generates and scores"""
    steps: int = 3_000
    """training steps"""
    batch_size: int = 128
    """images per step"""
    patience: int = 0
    """evaluations without improvement before early stopping; 0 disables it"""
    latent_dim: int | None = None
    """of a vae: numbers of a code, 16 by default"""
    net: Net | None = None
    """of a vae: architecture of encoder and decoder, conv by default"""
    beta: float | None = None
    """of a vae: weight of the KL, 1 by default"""
    num_codes: int | None = None
    """of a vqvae: codes in the codebook, 512 by default"""
    likelihood: PixelLikelihood | None = None
    """of a vae or vqvae: of pixels; by default by the kind of images"""
    learning_rate: float | None = None
    """initial learning rate of Adam; by default the model's own"""
    nll_samples: int = 500
    """importance samples per test image for the likelihood of a vae"""
    init_from: Path | None = None
    """a trained model of the same networks to start from, or the name of a shipped one"""
    resume: bool = False
    """continue the run in OUT from its latest checkpoint"""
    out: Path
    """new folder of the run"""


@dataclass(frozen=True, kw_only=True)
class ListFlags:
    """What is listed."""

    folder: Path = positional("FOLDER", Path("runs"))
    """folder of runs, looked through with all folders in it"""


@dataclass(frozen=True, kw_only=True)
class InfoFlags(ModelFlags):
    """Which model, or which file of compressed images."""

    run: Path = positional("RUN")
    """folder of a run, a model that was exported or saved, the name of a shipped one, as digits-vae; or NAME.jvz"""


@dataclass(frozen=True, kw_only=True)
class ReportFlags:
    """Which run."""

    run: Path = positional("RUN")
    """folder of a finished run or study"""


@dataclass(frozen=True, kw_only=True)
class EvaluateFlags(ModelFlags, SeedFlags):
    """What is compared with what."""

    data: str | None = None
    """real images to compare with, of which one half is compared with the other, too; by default test images of the
    training, with which training images are compared, too"""
    part: Literal["train", "valid", "test"] | None = None
    """one part of --data alone, cut as in training"""
    resize: bool = False
    """bring images of another size to that of the model: padded to its proportions, never cut"""
    num: int | None = None
    """samples; by default as many as real images. The first 10,000 are measured, of stacked images all are counted"""
    classifier: Path | None = None
    """a run of experiments.classifier on such images, in whose features they are compared; by default the shipped one
    of the same data, and where there is none principal components of pixels"""
    means: bool = False
    """the means of the pixels in place of draws, of a model that has some"""
    out: Path | None = None
    """NAME.json: the numbers"""
    overwrite: bool = False
    """replace the file that is there"""


@dataclass(frozen=True, kw_only=True)
class CompareFlags:
    """What is compared."""

    runs: tuple[Path, ...] = positional("RUN")
    """folders of runs, two or more; a study stands for all its runs"""
    out: Path | None = None
    """NAME.png: the curves over each other"""
    overwrite: bool = False
    """replace the picture that is there"""


@dataclass(frozen=True, kw_only=True)
class ExportFlags(ModelFlags, OutFlags, SeedFlags):
    """What is exported."""

    out: Path
    """a folder, which load and all verbs take in place of a run; NAME.safetensors for the model alone in one file"""
    format: Literal["safetensors", "stablehlo", "onnx"] = "safetensors"
    """safetensors for jaxvae; for programs without it, what the model can do as functions, stablehlo for JAX or onnx"""
    licence: str = "not stated"
    """of the model, as CC-BY-4.0, for the card"""
    half: bool = False
    """keep the weights as 16-bit floats, of three digits, for half the size; they load as 32-bit floats again"""


@dataclass(frozen=True, kw_only=True)
class VerifyFlags(ModelFlags):
    """Which model, and where its data are."""

    data: str | None = None
    """its data, where they are not any more what the training read: digits, folder:DIR, npz:FILE, ..."""
