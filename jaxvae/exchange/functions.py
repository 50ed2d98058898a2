"""The functions of a trained model that other programs call: what is given, what they return, in which units."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae import objectives
from jaxvae.applications.encoding import code_shapes
from jaxvae.capabilities import (
    Classifies,
    Codes,
    Completes,
    Decodes,
    Encodes,
    GeneratesTempered,
    GivenClasses,
    HasPrior,
    Infers,
    Scores,
    ScoresExactly,
    find,
)
from jaxvae.errors import UserError
from jaxvae.labelled import Labelled
from jaxvae.types import Array, DataSpec, ModelState, Params, PRNGKey, System

NAMES = ("encode", "decode", "score", "log_likelihood", "classify")


class Port(NamedTuple):
    """One input or output of a function."""

    name: str
    about: str  # what it is, and its unit
    shape: tuple[int, ...] = ()  # of one example
    dtype: Any = jnp.float32
    num_values: int = 0  # of an input: that it takes, in [0, 1] if they are floats; 0 of all real numbers


class Function(NamedTuple):
    """A function of one example."""

    name: str
    about: str
    call: Callable[..., tuple[Array, ...]]  # (*inputs, key []) -> outputs, all without the axis of the batch
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]


def functions_of(system: System, params: Params, model_state: ModelState) -> tuple[Function, ...]:
    """Return what a model can do as functions of one example, with its parameters in them.

    Args:
      system: the model.
      params: its parameters.
      model_state: its state.

    Returns:
      `encode`, `decode`, `score`, `log_likelihood`, `classify`: those that it has.

    Raises:
      UserError: if it has none of them.
    """
    variables = params, model_state
    makers: dict[type, Callable[..., Function]] = {
        **({Infers: _infer} if find(system, Infers) else {Encodes: _encode}),
        Decodes: _decode,
        Codes: _encode_codes,
        Scores: _score,
        ScoresExactly: _log_likelihood,
        Classifies: _classify,
    }
    found: list[Function] = []
    for kind, make in makers.items():
        if (able := find(system, kind)) is not None:
            found.append(make(system, able, variables))
            if kind is Codes:
                found.append(_decode_codes(system, able, variables))
    if not found:
        raise UserError(
            f"{system.name} has no function that could be called elsewhere: expected a model that encodes, decodes, "
            "scores or classifies."
        )
    return tuple(found)


# ---------- private


def _infer(system: System, able: Infers, variables: tuple[Params, ModelState]) -> Function:
    def call(x: Array, *rest: Array) -> tuple[Array, ...]:
        q = able.posterior(*variables, _batch(x, rest))
        return q.mean[0], jnp.exp(0.5 * q.log_var[0])

    outputs = Port("mean", "mean of every latent in q(z | x)"), Port("sd", "standard deviation of every latent")
    return Function("encode", "the Gaussian q(z | x) of images", call, (_images(system), *_classes(system)), outputs)


def _encode(system: System, able: Encodes, variables: tuple[Params, ModelState]) -> Function:
    def call(x: Array, *rest: Array) -> tuple[Array, ...]:
        return tuple(code[0] for code in able.encode(*variables, rest[-1][None], _batch(x, rest)))

    names = _numbered("code", len(code_shapes(system, *variables)))
    outputs = tuple(Port(name, "code, the mean of q(z | x) where there is one") for name in names)
    return Function("encode", "the codes of images", call, (_images(system), *_classes(system)), outputs)


def _decode(system: System, able: Decodes, variables: tuple[Params, ModelState]) -> Function:
    def call(z: Array, *rest: Array) -> tuple[Array, ...]:
        return (jnp.clip(able.decode(*variables, rest[-1][None], _batch(z, rest))[0], 0.0, 1.0),)

    standard = find(system, HasPrior) is not None and find(system, GeneratesTempered) is not None
    encoded = ", the first that encode gives" if find(system, Encodes) else ""
    about = f"latents{encoded}{'; of new images, draws of N(0, I)' if standard else ''}"
    latents = Port("latents", about, code_shapes(system, *variables)[0])
    drawn = "" if find(system, Completes) else "; one draw where pixels depend on each other"
    pixels = Port("images", f"means of the pixels, in [0, 1]{drawn}")
    return Function("decode", "the images of latents", call, (latents, *_classes(system)), (pixels,))


def _encode_codes(system: System, able: Codes, variables: tuple[Params, ModelState]) -> Function:
    def call(x: Array, key: PRNGKey) -> tuple[Array, ...]:
        return tuple(grid[0] for grid in able.encode(*variables, x[None]))

    outputs = tuple(port._replace(num_values=0) for port in _grids(system, able, variables))
    return Function("encode", "the grids of codes of images", call, (_images(system),), outputs)


def _decode_codes(system: System, able: Codes, variables: tuple[Params, ModelState]) -> Function:
    def call(*given: Array) -> tuple[Array, ...]:
        *grids, _ = given
        return (jnp.clip(able.decode(*variables, tuple(grid[None] for grid in grids))[0], 0.0, 1.0),)

    pixels = Port("images", "means of the pixels, in [0, 1]")
    return Function("decode", "the images of grids of codes", call, _grids(system, able, variables), (pixels,))


def _score(system: System, able: Scores, variables: tuple[Params, ModelState]) -> Function:
    def call(x: Array, *rest: Array) -> tuple[Array, ...]:
        return (objectives.elbo(able.terms(*variables, rest[-1][None], _batch(x, rest)))[0],)

    elbo = Port("elbo", f"lower bound of log p(x), nats{_density(able.discrete)}; of one draw of the latents")
    return Function(
        "score", "how likely images are", call, (_scored(system, able.discrete), *_classes(system)), (elbo,)
    )


def _log_likelihood(system: System, able: ScoresExactly, variables: tuple[Params, ModelState]) -> Function:
    given: tuple[Port, ...] = (_scored(system, able.discrete),)
    if able.num_classes:
        given += (_classes_from(able.num_classes),)

    def call(x: Array, *rest: Array) -> tuple[Array, ...]:
        labels = rest[0][None] if able.num_classes else None
        return (able.log_prob(*variables, x[None], labels)[0],)

    what = "log p(x | class)" if able.num_classes else "log p(x)"
    output = Port("log_likelihood", f"{what}, exact, nats{_density(able.discrete)}")
    return Function("log_likelihood", "how likely images are", call, given, (output,))


def _classify(system: System, able: Classifies, variables: tuple[Params, ModelState]) -> Function:
    def call(x: Array, key: PRNGKey) -> tuple[Array, ...]:
        return (jnp.exp(able.classify(*variables, key[None], x[None])[0]),)

    classes = f": {', '.join(system.spec.classes)}" if system.spec.classes else ""
    output = Port("probabilities", f"probability of every class{classes}")
    return Function("classify", "the classes of images", call, (_images(system),), (output,))


def _classes(system: System) -> tuple[Port, ...]:
    """The input beside images or latents of a model that is conditional on classes."""
    able = find(system, GivenClasses)
    return () if able is None else (_classes_from(able.num_classes),)


def _classes_from(num_classes: int) -> Port:
    return Port("labels", f"classes, 0 to {num_classes - 1}", (), jnp.int32, num_classes)


def _batch(x: Array, rest: tuple[Array, ...]) -> Any:
    """One image or latent as a batch, with its class where that comes before the key."""
    return Labelled(x[None], rest[0][None]) if len(rest) > 1 else x[None]


def _images(system: System) -> Port:
    return Port("images", "images, in [0, 1]", system.spec.shape, jnp.float32, system.spec.num_values)


def _scored(system: System, discrete: bool) -> Port:
    """Images as the likelihood takes them, or rows of codes."""
    spec = system.spec
    if len(spec.shape) != 3:
        about = f"codes of an image in a row, 0 to {spec.num_values - 1}"
        return Port("codes", about, spec.shape, jnp.int32, spec.num_values)
    if _binarises(system, spec):
        return Port("images", "images, 0 or 1", spec.shape, jnp.float32, 2)
    levels = f", multiples of 1/{spec.num_values - 1}" if discrete else ""
    return Port("images", f"images, in [0, 1]{levels}", spec.shape, jnp.float32, spec.num_values)


def _binarises(system: System, spec: DataSpec) -> bool:
    """Whether the model was trained on black and white, whatever the images are."""
    if spec.num_values == 2:
        return True
    grey = jnp.full((1, *spec.shape), 0.5)
    return bool(np.isin(np.asarray(system.prepare(jax.random.split(jax.random.key(0), 1), grey)), (0, 1)).all())


def _grids(system: System, able: Codes, variables: tuple[Params, ModelState]) -> tuple[Port, ...]:
    shapes = code_shapes(system, *variables)
    named: Iterator[Any] = zip(_numbered("codes", len(shapes)), shapes, able.num_codes, strict=True)
    return tuple(Port(name, f"codes, 0 to {num - 1}", shape, jnp.int32, num) for name, shape, num in named)


def _numbered(name: str, num: int) -> tuple[str, ...]:
    """A name, or names with numbers of several."""
    return (name,) if num == 1 else tuple(f"{name}_{i}" for i in range(num))


def _density(discrete: bool) -> str:
    return "" if discrete else " of a density"
