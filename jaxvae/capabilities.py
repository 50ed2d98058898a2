"""Capabilities of a trained system as records of pure functions, which reports and applications ask for.

Letters in the shapes: B images, N latents or draws, D latent dimensions, K classes.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from jaxvae.errors import UserError
from jaxvae.types import Array, ELBOTerms, GaussianParams, ModelState, Params, PRNGKey, Samples, System


class Generates(NamedTuple):
    """Samples new images."""

    sample: Callable[[PRNGKey, Params, ModelState, int], Samples]  # (key, params, model_state, num)

    verb = "draw new images"
    kinds = "VAEs, GANs, autoregressive models and priors over codes"


class GeneratesClasses(NamedTuple):
    """Samples new images of given classes."""

    num_classes: int  # K
    sample: Callable[[PRNGKey, Params, ModelState, Array], Samples]  # (key, params, model_state, classes [N])

    verb = "draw images of a class"
    kinds = "VAEs, autoregressive models and priors over codes that are conditional on classes, and M2"


class GivenClasses(NamedTuple):
    """Is conditional on the classes of images, which all its functions of images or latents are told.

    These, written x and z below, are a `Labelled` there: images or latents with their classes. Functions that have an
    argument for labels take them by that.
    """

    num_classes: int  # K

    verb = "take the classes of images"
    kinds = "VAEs that are conditional on classes"


class GeneratesTempered(NamedTuple):
    """Samples new images nearer to what is most likely, or farther from it."""

    # (key, params, model_state, classes [N], which say nothing to a model that knows none, temperature [] > 0, or one
    # for each of several groups of latents, [L])
    sample: Callable[[PRNGKey, Params, ModelState, Array, Array], Samples]
    num_groups: int = 1  # L

    verb = "draw images at another temperature than 1"
    kinds = (
        "VAEs and M2 with the prior N(0, I), VAEs with a flow as prior, autoregressive models of binary or softmax "
        "pixels, priors over codes, GANs"
    )


class Encodes(NamedTuple):
    """Encodes images as vectors."""

    # (params, model_state, keys [B], prepared x) -> E_q[z_l | x] of every group of latents, [B, D_l]
    encode: Callable[[Params, ModelState, PRNGKey, Array], tuple[Array, ...]]

    verb = "encode images as vectors"
    kinds = "VAEs and autoencoders"


class Decodes(NamedTuple):
    """Decodes vectors to images."""

    # (params, model_state, keys [N], z [N, D]) -> E[x | z], or one draw where pixels depend on each other
    decode: Callable[[Params, ModelState, PRNGKey, Array], Array]

    verb = "decode vectors"
    kinds = "VAEs, autoencoders and GANs"


class Infers(NamedTuple):
    """Has a Gaussian posterior q(z | x) in closed form."""

    posterior: Callable[[Params, ModelState, Array], GaussianParams]  # prepared x -> q(z | x), [B, D]

    verb = "give q(z | x) as a Gaussian"
    kinds = "VAEs with a Gaussian posterior"


class DrawsPosterior(NamedTuple):
    """Draws latents of q(z | x)."""

    # (params, model_state, keys [B], prepared x) -> one draw of every group of latents, [B, D_l]
    draw: Callable[[Params, ModelState, PRNGKey, Array], tuple[Array, ...]]

    verb = "draw latents of q(z | x)"
    kinds = "VAEs"


class HasPrior(NamedTuple):
    """Has a prior of the latents that are decoded."""

    # (params, model_state, probabilities [P]) -> what a latent is below with these probabilities, [P, D]
    quantiles: Callable[[Params, ModelState, Array], Array]

    verb = "give the prior of its latents"
    kinds = "VAEs and GANs"


class HasGroups(NamedTuple):
    """Has several groups of latents side by side in the vector that is decoded, each given those before it."""

    shapes: tuple[tuple[int, int, int], ...]  # (h, w, latents) of each
    draw_prior: Callable[[Params, ModelState, PRNGKey], Array]  # keys [N] -> latents of the prior, [N, D]

    verb = "draw groups of latents anew"
    kinds = "top-down VAEs"


class Scores(NamedTuple):
    """Has a lower bound of log p(x), and an estimate by importance sampling."""

    # (params, model_state, keys [B], prepared x) -> terms of the bound of one sample each
    terms: Callable[[Params, ModelState, PRNGKey, Array], ELBOTerms]
    discrete: bool = False  # whether p(x | z) is a probability mass, whose nats are bits, or a density

    verb = "bound log p(x)"
    kinds = "VAEs"


class ScoresPixels(NamedTuple):
    """Has log p of every pixel, given a draw of the latents, the codes, or the pixels before it."""

    # (params, model_state, keys [B], prepared x) -> log p(x_ij | .), [B, H, W] nats
    log_px: Callable[[Params, ModelState, PRNGKey, Array], Array]
    # (prepared x) -> log p(x_ij | .) of a perfect reconstruction, [B, H, W]: zeros where it is the same for all values
    perfect: Callable[[Array], Array]

    verb = "score images pixel by pixel"
    kinds = "VAEs, VQ-VAEs and autoencoders whose pixels are independent given the code, and autoregressive models"


class HasJoint(NamedTuple):
    """Has log p(x, z) of any latents."""

    # (params, model_state, prepared x [B], z [S, B, D]) -> log p(x, z), [S, B] nats
    log_joint: Callable[[Params, ModelState, Array, Array], Array]

    verb = "give log p(x, z)"
    kinds = "VAEs with one group of latents"


class ScoresExactly(NamedTuple):
    """Has an exact log p(x)."""

    # (params, model_state, prepared x, labels [B] or None) -> [B], nats
    log_prob: Callable[[Params, ModelState, Array, Array | None], Array]
    discrete: bool = False  # whether p(x) is a probability mass, whose nats are bits, or a density
    num_classes: int = 0  # K, of what is log p(x | class) and needs labels; 0 of log p(x)

    verb = "give log p(x) exactly"
    kinds = "autoregressive models"


class Codes(NamedTuple):
    """Encodes images as grids of discrete codes and decodes these: see `jaxvae.models.VQVAE`."""

    num_codes: tuple[int, ...]  # K of every grid, the coarsest first
    encode: Callable[[Params, ModelState, Array], tuple[Array, ...]]  # prepared x -> grids [B, h, w] or [B, h, w, G]
    decode: Callable[[Params, ModelState, tuple[Array, ...]], Array]  # grids -> E[x | codes], images
    vectors: Callable[[Params, ModelState, tuple[Array, ...]], tuple[Array, ...]]  # grids -> vectors [B, h, w, D]
    log_px: Callable[[Params, ModelState, Array], Array]  # prepared x -> log p(x | its codes) [B], nats
    # prepared x -> what the quantizers charge [B]: of vector quantizers in proportion to squared distances to the codes
    penalty: Callable[[Params, ModelState, Array], Array]
    discrete: bool = False  # whether p(x | codes) is a probability mass, whose nats are bits, or a density

    verb = "encode images as grids of codes"
    kinds = "VQ-VAEs"


class Completes(NamedTuple):
    """Completes images: samples the unknown pixels given the known ones."""

    # (params, model_state, keys [B], prepared x, labels [B] or None, known [B, H, W], num) -> images with other unknown
    # pixels, [num, B, H, W, C]
    complete: Callable[[Params, ModelState, PRNGKey, Array, Array | None, Array, int], Samples]
    num_classes: int = 0  # K, of what completes given the class and needs labels; 0 of others

    verb = "complete images"
    kinds = "VAEs whose pixels are independent given the latent, and autoregressive models"


class ScoresCompletions(NamedTuple):
    """Has log p(unknown pixels | known pixels) of images all of whose pixels are there."""

    # (params, model_state, keys [B], prepared x, labels [B] or None, known [B, H, W], num) -> [B], nats: by `num` draws
    # each, or exactly where that is 0
    log_prob: Callable[[Params, ModelState, PRNGKey, Array, Array | None, Array, int], Array]
    # (known [B, H, W] booleans of NumPy) -> for which of them `num` may be 0, and completions are exact too, [B]
    is_exact: Callable[[Any], Any]
    num_classes: int = 0  # K, of what needs labels; 0 of others

    verb = "give log p of some pixels given the others"
    kinds = "VAEs whose pixels are independent given the latent, and autoregressive models"


class Classifies(NamedTuple):
    """Predicts class probabilities of images."""

    # (params, model_state, keys [B], prepared x) -> log q(class | x), [B, K]
    classify: Callable[[Params, ModelState, PRNGKey, Array], Array]

    verb = "classify images"
    kinds = "classifiers, M2 and ladder networks"


class HasFeatures(NamedTuple):
    """Reads the class of an image from a vector of features, by one linear layer."""

    # (params, model_state, keys [B], prepared x) -> features, [B, F]
    features: Callable[[Params, ModelState, PRNGKey, Array], Array]

    verb = "give features of images"
    kinds = "classifiers"


class TransfersStyle(NamedTuple):
    """Changes the class of an image and keeps its style."""

    # (params, model_state, keys [B], prepared x, classes [B]) -> the same styles in every class, [B, K, H, W, C]
    analogies: Callable[[Params, ModelState, PRNGKey, Array, Array], Array]

    verb = "change the class of an image"
    kinds = "M2 and M1 + M2"


Kind = TypeVar("Kind")


def find(system: System, kind: type[Kind]) -> Kind | None:
    """Return a system's capability of a kind, None if it has none.

    Args:
      system: to ask.
      kind: as `Encodes`.

    Returns:
      The record of functions.
    """
    return next((one for one in system.use if isinstance(one, kind)), None)


def require(system: System, kind: type[Kind], name: str | None = None) -> Kind:
    """Return a system's capability of a kind.

    Args:
      system: to ask.
      kind: as `Encodes`.
      name: what the system is to the person who asks, as "--encoder RUN"; by default its own name.

    Returns:
      The record of functions.

    Raises:
      UserError: if it has none; the message says what can.
    """
    found = find(system, kind)
    if found is None:
        of: Any = kind
        what = f"{name} is a run of {system.name}, which" if name else f"{system.name}"
        raise UserError(f"{what} cannot {of.verb}: expected one of {of.kinds}.")
    return found


def require_any(system: System, kinds: Sequence[type[Any]], noun: str) -> Any:
    """Return the first of some kinds of capabilities that a system has.

    Args:
      system: to ask.
      kinds: in the order in which they are preferred.
      noun: what any of them is, as "codes of images".

    Returns:
      The record of functions.

    Raises:
      UserError: if it has none; the message says what has.
    """
    for kind in kinds:
        found = find(system, kind)
        if found is not None:
            return found
    raise UserError(f"{system.name} has no {noun}: expected one of {', '.join(kind.kinds for kind in kinds)}.")
