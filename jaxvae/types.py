"""Types of data, training steps, models and systems.

Data flow: `Splits` of `Dataset` -> `Batch` -> `StepInput` -> the `LossFn` of each `Player` -> `TrainState`.
Model flow: a `Posterior`, a decoder, a `Likelihood` and a `Prior` give `ELBOTerms`, an objective a number per example.

Letters in the shapes: S samples of the latent, B examples, L groups of latents, D latent dimensions, V pixel values.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import jax
import optax

Array = jax.Array
PRNGKey = jax.Array  # a typed key, `jax.random.key(seed)`
Params = Any  # a pytree of arrays, the "params" collection of a Linen module
ModelState = Any  # the other Linen collections (`batch_stats`, `codebook`, ...), {} where there are none
Metrics = dict[str, Array]


# ---------- data


class _Examples(NamedTuple):
    x: Any  # uint8 or float32 images [N, H, W, C], codes [N, h, w] int32, or any pytree of such
    labels: Any  # [N] int32, or None


class Dataset(_Examples):
    """Examples in host memory: `x[i]` belongs to `labels[i]`, and comes from the file `names[i]` where there are files.

    Names are no part of the pytree: no string enters a compiled function, and what maps over a data set drops them.
    """

    names: Any = None  # [N] strings, or None

    def __new__(cls, x: Any, labels: Any, names: Any = None) -> "Dataset":
        self = super().__new__(cls, x, labels)
        self.names = names
        return self


class Splits(NamedTuple):
    """Training, validation and test set. Model selection uses `valid`; `test` is used once, at the end."""

    train: Dataset
    valid: Dataset
    test: Dataset


class DataSpec(NamedTuple):
    """What `build(config, spec)` needs to know about the data."""

    shape: tuple[int, ...]  # of one example, (H, W, C)
    num_values: int  # values that a pixel takes: 2 binary, 256 for 8 bits
    num_classes: int  # 0 without labels, or where some images have none
    classes: tuple[str, ...] = ()  # names of the classes, where the data have them


class Batch(NamedTuple):
    """A batch of B examples."""

    x: Any  # [B, ...] as in Dataset
    labels: Any  # [B] or None
    mask: Array  # [B] float32, 0 for padding


# ---------- steps


class StepKeys(NamedTuple):
    """The random keys of one training step."""

    examples: PRNGKey  # [B], fold_in(fold_in(key, step), index of the example in the global batch)
    shared: PRNGKey  # [], the same on all replicas: draws that are not of an example


class StepInput(NamedTuple):
    """The inputs of a loss beside parameters and model state."""

    batch: Batch
    keys: StepKeys
    step: Array  # [] int32
    hparams: Mapping[str, Array]  # what a sweep varies (beta, ...): arrays, never closed over
    axis_name: str | None = None  # mapped axis of replicas that share the batch: for sums over all of it


class LossFn(Protocol):
    """(params, model_state, inputs) -> loss [], (new model_state, metrics)."""

    def __call__(
        self, params: Params, model_state: ModelState, inputs: StepInput
    ) -> tuple[Array, tuple[ModelState, Metrics]]: ...


def owns_all(name: str) -> bool:
    """Own every entry of the parameters: the default, of a system with one player."""
    return True


class Player(NamedTuple):
    """A loss, its optimizer and the parameters that these update. Nearly every system has one player.

    Two are an adversarial system's, or two gradients of one bound. In a step all get the same keys.
    """

    name: str  # each its own
    loss: LossFn  # of all parameters; its gradient is taken with respect to those that the player owns
    optimizer: optax.GradientTransformation
    owns: Callable[[str], bool] = owns_all  # of the names at the top level of the parameters: each has one owner


class Trainable(NamedTuple):
    """All that `fit` needs of a system."""

    init: Callable[[PRNGKey, Batch], tuple[Params, ModelState]]  # a real batch, for biases that follow the data
    players: tuple[Player, ...]  # in the order of their turns; () of a system that was loaded for use alone
    # (params, model_state, keys [B], batch, hparams) -> {"loss" and others: [B]}, smaller losses are better
    evaluate: Callable[[Params, ModelState, PRNGKey, Batch, Mapping[str, Array]], Metrics]
    hparams: Mapping[str, float]  # the starting values of StepInput.hparams
    alternating: bool = False  # whether a player sees the others' parameters as this step has already left them
    finish: Any = None  # (best params, model_state, splits) -> (parts, params) for use after the training, or None


class TrainState(NamedTuple):
    """The state of a training step: all that changes from step to step, and the key, which never does."""

    step: Array  # [] int32, steps done
    params: Params
    opt_state: optax.OptState
    model_state: ModelState
    ema_params: Params  # None where no average is kept
    hparams: Mapping[str, Array]
    key: PRNGKey  # [], folded with the step, never consumed


class LoopState(NamedTuple):
    """The state of the training loop beside `TrainState`; it is in every checkpoint."""

    best: float  # best validation value so far, smaller is better
    best_step: int
    patience: int  # evaluations since the best one
    seconds: float  # of training, those before a resumption included
    skipped: int  # steps that were skipped for their gradients
    skipped_in_row: int = 0  # of these, the last ones, without any other between
    cpu_seconds: float = 0.0  # of this process on all its cores, compilation included
    failure: str | None = None  # what made the training diverge; None of a sound one


# ---------- models


class ELBOTerms(NamedTuple):
    """The three log-densities of a variational bound, in nats."""

    log_px: Array  # [S, B]     log p(x | z)
    log_pz: Array  # [S, B, L]  log p(z), a column a group of latents
    log_qz: Array  # [S, B, L]  log q(z | x), flow corrections included


class Recipe(NamedTuple):
    """The constructor call behind a record of functions, by which `config.json` describes it."""

    constructor: Callable[..., Any]  # a public function of a module
    arguments: tuple[tuple[str, Any], ...]  # hashable, as modules hold it


class Likelihood(NamedTuple):
    """p(x | parameters) of one image: closures without learned parameters."""

    param_shapes: Callable[[tuple[int, ...]], Any]  # event shape -> pytree of ShapeDtypeStruct for one image
    log_prob: Callable[[Any, Array], Array]  # (params, x) -> [], nats
    sample: Callable[[PRNGKey, Any], Array]  # (key, params) -> x
    mean: Callable[[Any], Array]  # (params) -> E[x]
    log_pmf: Callable[[Any], Array] | None  # (params) -> [..., V], where pixels are discrete and independent
    init_bias: Callable[[Array], Any] | None  # (mean image) -> parameters whose mean is that image
    discrete: bool = False  # whether log_prob is of a probability mass, whose nats are bits; that of a density is not
    tempered: Callable[[Any, Any], Any] | None = None  # (params, T) -> those of p^(1/T), of pixels that have a log_pmf
    perfect: Callable[[Array], Array] | None = None  # (x) -> [], the most that log_prob is; None: the same for every x
    # (params, integer values [..., C], c) -> log p(value of channel c | those before it), [..., V], of discrete pixels
    channel_log_pmf: Callable[[Any, Array, int], Array] | None = None
    # (params, integer values, c, low, high [...]) -> log p(low <= value of channel c <= high | those before it), [...]
    channel_log_mass: Callable[[Any, Array, int, Array, Array], Array] | None = None
    recipe: Recipe | None = None  # the constructor and its arguments, for `config.json`


class Prior(Protocol):
    """p(z): a NamedTuple of functions, or a Linen module where it has learned parameters."""

    @property
    def log_prob(self) -> Callable[[Array], Array]: ...  # z [..., D] -> [...], nats

    @property
    def sample(self) -> Callable[[PRNGKey, tuple[int, ...]], Array]: ...  # (key, shape [..., D]) -> z


class Flow(Protocol):
    """An invertible map of latents as a Linen module. Both ways `log_det` is that of the forward map at z."""

    def __call__(self, z: Array, context: Array | None = None) -> tuple[Array, Array]:
        """Map z [S, B, D], with a context [B, F] where the flow has one -> y [S, B, D], log|det dy/dz| [S, B]."""

    def inverse(self, y: Array, context: Array | None = None) -> tuple[Array, Array]:
        """Invert the map: y [S, B, D] -> z [S, B, D], log|det dy/dz| [S, B] there."""


class AutoregressiveNet(Protocol):
    """Features of pixels from the pixels before them in raster order, as a Linen module: all at once, or one by one.

    One by one, a cache is made by `start`, and then, row by row, `start_row` is called, and `read` and `write` of each
    pixel in turn: what is read are the features that `__call__` gives for the inputs written.
    """

    def __call__(self, h: Array, context: Array | None = None) -> Array:
        """Map inputs h [B, H, W, E] and a context [B, F], [B, H, W, F] or None -> features [B, H, W, p]."""

    def start(self, num: int, size: tuple[int, int], context: Array | None = None) -> Any:
        """Return the cache of `num` images of a size (H, W) before their first pixels."""

    def start_row(self, cache: Any, i: Array) -> Any:
        """Return the cache at the beginning of row i."""

    def read(self, cache: Any, i: Array, j: Array) -> tuple[Array, Any]:
        """Return the features [B, p] of pixel (i, j), and the cache."""

    def write(self, cache: Any, h: Array, i: Array, j: Array) -> Any:
        """Return the cache with the input h [B, E] of pixel (i, j)."""


class GaussianParams(NamedTuple):
    """A diagonal Gaussian."""

    mean: Array  # [..., D]
    log_var: Array  # [..., D]


class Posterior(Protocol):
    """q(z | x) as a Linen module: one key an example, S samples each."""

    def __call__(self, keys: PRNGKey, features: Array, num_samples: int) -> tuple[Array, Array, Any]:
        """Keys [B], features [B, F] -> z [S, B, D], log q(z | x) [S, B], statistics of q."""


# ---------- systems


class Samples(NamedTuple):
    """Generated images."""

    x: Any  # [N, H, W, C], drawn from p(x | z), or the means where a system gives these alone; None if not wanted
    mean: Any  # [N, H, W, C], E[x | z] of the same z, where the decoder has one; None elsewhere


Prepare = Callable[[PRNGKey, Array], Array]  # (keys [B], x of a Batch) -> the x that is modelled: binarised, scaled
Corrupt = Callable[[PRNGKey, Array], Array]  # (keys [B], images or codes [B, ...]) -> what an encoder sees of them


class Parts(Protocol):
    """What a system is rebuilt from: `config.json` describes its class and its fields, recursively."""

    @property
    def spec(self) -> DataSpec:
        """Shape and values of its examples."""

    @property
    def prepare(self) -> Prepare:
        """The preprocessing of examples: binarises, scales or leaves them."""

    def init(self, key: PRNGKey, batch: Batch) -> tuple[Params, ModelState]:
        """Return parameters and state of the shapes that a checkpoint of the system has."""

    def evaluate(
        self, params: Params, model_state: ModelState, keys: PRNGKey, batch: Batch, hparams: Mapping[str, Array]
    ) -> Metrics:
        """Return values of every example [B], `loss` among them."""

    @property
    def use(self) -> tuple[Any, ...]:
        """The capabilities: records of `jaxvae.capabilities`."""


class System(NamedTuple):
    """A model family ready to be trained and used: pure functions, no files, no flags."""

    name: str
    spec: DataSpec
    prepare: Prepare
    trainable: Trainable
    use: tuple[Any, ...]  # what it can do: records of `jaxvae.capabilities`
    parts: Parts | None = None  # what it is rebuilt from; None of one composed by hand, which `load` has to be given
