"""How much a suite measures."""

from typing import NamedTuple

from jaxvae.errors import UserError
from jaxvae.training.parallel import Kind


class Options(NamedTuple):
    """Sizes of all suites; the defaults are those of what is reported."""

    quick: bool = False
    models: tuple[str, ...] = ()  # of a suite's models; empty takes all
    peer: str | None = None  # "torch" to time PyTorch beside
    repetitions: int = 11  # turns of a comparison
    seconds: float = 120.0  # after which a comparison begins no further turn
    num_images: int = 10_000  # of the training set
    batch_size: int = 128
    num_steps: int = 78  # in one program: an epoch of 10,000 images
    layouts: tuple[Kind, ...] = ("step", "scan", "pmap", "sharded")
    checkpoints: int = 12  # of a `fit` whose overhead is measured, if there is one after every program
    num_betas: int = 8  # of a sweep,
    num_seeds: int = 2  # each
    sweep_epochs: int = 5  # of the sweep that is measured from the start to the end
    num_draws: int = 10  # of known classes,
    draw_steps: int = 500  # for each of which a classifier is trained
    num_samples: int = 1_000  # images drawn at a time
    num_grids: int = 64  # pixel by pixel
    num_vectors: int = 100_000  # whose nearest codes are looked up,
    num_codes: int = 8_192  # of so many
    nll_images: int = 10_000  # of the test set
    nll_samples: int = 1_000  # k
    fit_steps: int = 10_000  # of Burda's model on a GPU
    minutes: float = 6.0  # after which the suite `gpu` begins nothing new

    def chosen(self, models: tuple[str, ...]) -> list[str]:
        """Return those of a suite's models that are asked for."""
        chosen = [name for name in models if not self.models or name in self.models]
        if not chosen:
            raise UserError(f"The suite has the models {', '.join(models)}, asked for is {', '.join(self.models)}.")
        return chosen


QUICK = Options(
    quick=True,
    repetitions=1,
    num_images=64,
    batch_size=16,
    num_steps=2,
    layouts=("scan", "sharded"),
    checkpoints=1,
    num_betas=2,
    num_seeds=1,
    sweep_epochs=1,
    num_draws=2,
    draw_steps=2,
    num_samples=8,
    num_grids=2,
    num_vectors=50,
    num_codes=20,
    nll_images=40,
    nll_samples=7,
    fit_steps=8,
)
