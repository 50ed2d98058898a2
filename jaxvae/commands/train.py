"""Train a ready model on your images: a VAE, a VQ-VAE or an autoregressive model."""

import inspect
from dataclasses import asdict
from typing import Any

from jaxvae import data
from jaxvae.commands.flags import called
from jaxvae.commands.run_flags import TrainFlags
from jaxvae.errors import UserError
from jaxvae.reports.report import report
from jaxvae.runs.compiled import keep_compiled_programs
from jaxvae.runs.state import state_of
from jaxvae.runs.train_system import train
from jaxvae.systems import autoregressive, vae, vqvae
from jaxvae.systems.pixels import say_binarised

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


def run(flags: TrainFlags) -> None:
    """Train a model, evaluate it on the test part and draw figures."""
    keep_compiled_programs()
    chosen = of_model(flags)
    splits, spec = data.load(flags.data, image_size=flags.image_size)
    system = BUILDS[flags.model](spec, **chosen)
    say_binarised(system, "--model vqvae" if flags.model == "autoregressive" else "--likelihood logistic_mixture")
    notes = {**chosen, **{name: getattr(flags, name) for name in ("model", "data", "image_size", "nll_samples")}}
    trained = train(
        system,
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


def of_model(flags: TrainFlags) -> dict[str, Any]:
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
