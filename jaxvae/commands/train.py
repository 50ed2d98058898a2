"""Train a ready model on your images: a VAE, a VQ-VAE or an autoregressive model."""

import inspect
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from jaxvae import data
from jaxvae.commands.flags import SeedFlags, called
from jaxvae.errors import UserError
from jaxvae.reports.report import report
from jaxvae.runs.compiled import keep_compiled_programs
from jaxvae.runs.state import state_of
from jaxvae.runs.train_system import train
from jaxvae.systems import autoregressive, vae, vqvae
from jaxvae.systems.networks import Net
from jaxvae.systems.pixels import PixelLikelihood

BUILDS: dict[str, Any] = {"vae": vae, "vqvae": vqvae, "autoregressive": autoregressive}
# Which flags are of which models: each of them is an argument of the build.
OF_MODELS = {
    "latent_dim": ("vae",),
    "net": ("vae",),
    "beta": ("vae",),
    "likelihood": ("vae", "vqvae"),
    "num_codes": ("vqvae",),
    "learning_rate": ("vae", "vqvae", "autoregressive"),
}


@dataclass(frozen=True, kw_only=True)
class Flags(SeedFlags):
    """What is trained."""

    data: str
    """your images: folder:DIR, npz:FILE, digits, idx:DIR, tfds:NAME or binarized_mnist:FILE"""
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


def run(flags: Flags) -> None:
    """Train a model, evaluate it on the test part and draw figures."""
    keep_compiled_programs()
    chosen = of_model(flags)
    splits, spec = data.load(flags.data, image_size=flags.image_size)
    notes = {**chosen, **{name: getattr(flags, name) for name in ("model", "data", "image_size", "nll_samples")}}
    trained = train(
        BUILDS[flags.model](spec, **chosen),
        splits,
        steps=flags.steps,
        batch_size=flags.batch_size,
        seed=flags.seed,
        patience=flags.patience,
        folder=flags.out,
        resume=flags.resume,
        init_from=flags.init_from,
        notes=notes,
    )
    if trained.folder is not None and state_of(trained.folder).kind != "finished":
        print(f"Continue: {called('train')} --resume, with the same flags.")
        return
    report(trained, splits)


def of_model(flags: Flags) -> dict[str, Any]:
    """Return the arguments of the model's build.

    Raises:
      UserError: if one is of another model, or impossible.
    """
    given = {name: value for name, value in asdict(flags).items() if name in OF_MODELS and value is not None}
    for name, value in given.items():
        flag, models = f"--{name.replace('_', '-')}", OF_MODELS[name]
        if flags.model not in models:
            raise UserError(f"{flag} is of --model {' or '.join(models)}, this is --model {flags.model}: leave it out.")
        if isinstance(value, int | float) and not (value > 0 or (name == "beta" and value == 0)):
            raise UserError(f"{flag} is {value}, expected more than 0.")
    arguments = inspect.signature(BUILDS[flags.model]).parameters
    return {name: given.get(name, arguments[name].default) for name in OF_MODELS if name in arguments}
