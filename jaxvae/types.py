"""The types that pass between the parts.

Data flow: `Splits` of `Dataset` -> `Batch` -> `StepInput` -> `LossFn` -> `TrainState`.
Model flow: a `Posterior` and a decoder give latents and parameters, a `Likelihood` and a `Prior` score them, the
result is `ELBOTerms`, and an objective of `jaxvae.objectives` makes it one number per example.

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


class Dataset(NamedTuple):
    """Examples in host memory: `x[i]` belongs to `labels[i]`."""

    x: Any  # uint8 or float32 images [N, H, W, C], codes [N, h, w] int32, or any pytree of such
    labels: Any  # [N] int32, or None


class Splits(NamedTuple):
    """The fixed parts of a data set. Choices use `valid`; `test` is looked at once, at the end."""

    train: Dataset
    valid: Dataset
    test: Dataset


class DataSpec(NamedTuple):
    """All that `build(config, spec)` needs to know of the data."""

    shape: tuple[int, ...]  # of one example, (H, W, C)
    num_values: int  # values that a pixel takes: 2 binary, 256 for 8 bits
    num_classes: int  # 0 without labels


class Batch(NamedTuple):
    """Examples that enter one step, B of them."""

    x: Any  # [B, ...] as in Dataset
    labels: Any  # [B] or None
    mask: Array  # [B] float32, 0 for padding


# ---------- steps


class StepKeys(NamedTuple):
    """The randomness of one step."""

    examples: PRNGKey  # [B], fold_in(fold_in(key, step), index of the example in the global batch)
    shared: PRNGKey  # [], the same on all replicas: draws that are not of an example


class StepInput(NamedTuple):
    """Everything that enters a loss beside the model."""

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


class TrainState(NamedTuple):
    """All that changes from step to step, and the key, which never does."""

    step: Array  # [] int32, steps done
    params: Params
    opt_state: optax.OptState
    model_state: ModelState
    ema_params: Params  # None where no average is kept
    hparams: Mapping[str, Array]
    key: PRNGKey  # [], folded with the step, never consumed


class LoopState(NamedTuple):
    """What the loop remembers beside the state; it is in every checkpoint."""

    best: float  # best validation value so far, smaller is better
    best_step: int
    patience: int  # evaluations since the best one
    seconds: float  # of training, those before a resumption included
    skipped: int  # steps that were skipped for their gradients
    skipped_in_row: int = 0  # of these, the last ones, without any other between
    failure: str | None = None  # what made the training diverge; None of a sound one


# ---------- models


class ELBOTerms(NamedTuple):
    """The three log-densities of a variational bound, in nats."""

    log_px: Array  # [S, B]     log p(x | z)
    log_pz: Array  # [S, B, L]  log p(z), a column a group of latents
    log_qz: Array  # [S, B, L]  log q(z | x), flow corrections included


class Likelihood(NamedTuple):
    """p(x | parameters) of one image: closures without learned parameters."""

    param_shapes: Callable[[tuple[int, ...]], Any]  # event shape -> pytree of ShapeDtypeStruct for one image
    log_prob: Callable[[Any, Array], Array]  # (params, x) -> [], nats
    sample: Callable[[PRNGKey, Any], Array]  # (key, params) -> x
    mean: Callable[[Any], Array]  # (params) -> E[x]
    log_pmf: Callable[[Any], Array] | None  # (params) -> [..., V], where pixels are discrete and independent
    init_bias: Callable[[Array], Any] | None  # (mean image) -> parameters whose mean is that image


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
        ...

    def inverse(self, y: Array, context: Array | None = None) -> tuple[Array, Array]:
        """Undo the map: y [S, B, D] -> z [S, B, D], log|det dy/dz| [S, B] there."""
        ...


class AutoregressiveNet(Protocol):
    """Features of pixels from the pixels before them in raster order, as a Linen module: all at once, or one by one.

    One by one, a cache is made by `start`, and then, row by row, `start_row` is called, and `read` and `write` of each
    pixel in turn: what is read are the features that `__call__` gives for the inputs written.
    """

    def __call__(self, h: Array, context: Array | None = None) -> Array:
        """Map inputs h [B, H, W, E] and a context [B, F], [B, H, W, F] or None -> features [B, H, W, p]."""
        ...

    def start(self, num: int, size: tuple[int, int], context: Array | None = None) -> Any:
        """Return the cache of `num` images of a size (H, W) before their first pixels."""
        ...

    def start_row(self, cache: Any, i: Array) -> Any:
        """Return the cache at the beginning of row i."""
        ...

    def read(self, cache: Any, i: Array, j: Array) -> tuple[Array, Any]:
        """Return the features [B, p] of pixel (i, j), and the cache."""
        ...

    def write(self, cache: Any, h: Array, i: Array, j: Array) -> Any:
        """Return the cache with the input h [B, E] of pixel (i, j)."""
        ...


class GaussianParams(NamedTuple):
    """A diagonal Gaussian."""

    mean: Array  # [..., D]
    log_var: Array  # [..., D]


class Posterior(Protocol):
    """q(z | x) as a Linen module: one key an example, S samples each."""

    def __call__(self, keys: PRNGKey, features: Array, num_samples: int) -> tuple[Array, Array, Any]:
        """Keys [B], features [B, F] -> z [S, B, D], log q(z | x) [S, B], statistics of q."""
        ...


# ---------- experiments


class Samples(NamedTuple):
    """Generated images."""

    x: Array  # [N, H, W, C], drawn from p(x | z)
    mean: Array | None  # [N, H, W, C], E[x | z] of the same z, where the decoder has one


class Experiment(NamedTuple):
    """One system, ready to be trained: what `build(config, spec)` returns.

    The functions from `sample` on are what a trained model is used for; None where a system has no such thing.
    """

    name: str
    spec: DataSpec
    optimizer: optax.GradientTransformation
    hparams: Mapping[str, float]  # the starting values of StepInput.hparams
    init: Callable[[PRNGKey, Batch], tuple[Params, ModelState]]  # a real batch, for biases that follow the data
    loss: LossFn
    # (params, model_state, keys [B], batch, hparams) -> {"loss" and others: [B]}
    evaluate: Callable[[Params, ModelState, PRNGKey, Batch, Mapping[str, Array]], Metrics]
    prepare: Callable[[PRNGKey, Array], Array]  # (keys [B], x of a Batch) -> the x that is modelled: binarised, scaled
    sample: Callable[[PRNGKey, Params, ModelState, int], Samples] | None = None  # (key, params, model_state, num)
    # (params, model_state, keys [B], prepared x) -> E_q[z], [B, D_l]
    encode: Callable[[Params, ModelState, PRNGKey, Array], tuple[Array, ...]] | None = None
    # (params, model_state, keys [N], z [N, D]) -> E[x | z], or one draw: images
    decode: Callable[[Params, ModelState, PRNGKey, Array], Array] | None = None
    # (params, model_state, keys [B], prepared x) -> one sample each
    terms: Callable[[Params, ModelState, PRNGKey, Array], ELBOTerms] | None = None
    posterior: Callable[[Params, ModelState, Array], GaussianParams] | None = None  # prepared x -> q(z | x), [B, D]
    # (params, model_state, keys [B], prepared x, labels [B] or None, known [H, W]) -> images with other unknown pixels;
    # of pixels that are drawn in blocks, a block with an unknown one is drawn as a whole
    complete: Callable[[Params, ModelState, PRNGKey, Array, Array | None, Array], Array] | None = None
    codec: "Codec | None" = None
    # (params, model_state, keys [B], prepared x) -> log q(class | x), [B, K]
    classify: Callable[[Params, ModelState, PRNGKey, Array], Array] | None = None
    # (params, model_state, keys [B], prepared x, classes [B]) -> the same styles in every class, [B, K, H, W, C]
    analogies: Callable[[Params, ModelState, PRNGKey, Array, Array], Array] | None = None


class Codec(NamedTuple):
    """What a model of images through grids of codes is used for: see `jaxvae.models.VQVAE`."""

    num_codes: tuple[int, ...]  # K of every grid, the coarsest first
    encode: Callable[[Params, ModelState, Array], tuple[Array, ...]]  # prepared x -> grids [B, h, w] or [B, h, w, G]
    decode: Callable[[Params, ModelState, tuple[Array, ...]], Array]  # grids -> E[x | codes], images
    vectors: Callable[[Params, ModelState, tuple[Array, ...]], tuple[Array, ...]]  # grids -> vectors [B, h, w, D]
