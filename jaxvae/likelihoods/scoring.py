"""Log-probabilities of images whose parameters have the right shape: others would broadcast to numbers of nothing."""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from flax.core import FrozenDict, unfreeze

from jaxvae.errors import UserError
from jaxvae.types import Array, Likelihood

Made = TypeVar("Made", bound=Callable[..., Likelihood])


def score_images(
    likelihood: Likelihood, params: Any, x: Array, leading: Sequence[int] | None = None, source: str = "the decoder"
) -> Array:
    """Return log p(x | params) of every image, or of every sample of its parameters.

    Args:
      likelihood: of one image.
      params: of its parameters, each leaf [..., B, *shape] with the shape that `likelihood.param_shapes` asks for.
      x: images [B, ...].
      leading: the axes (..., B) of the parameters; None takes (B,).
      source: what has made the parameters, for the message.

    Returns:
      [..., B], nats.

    Raises:
      UserError: if the parameters have another structure or shape than the likelihood of such images asks for.
    """
    leading = x.shape[:1] if leading is None else tuple(leading)
    check_params(likelihood, params, x.shape[1:], leading, source)
    log_prob: Callable[[Any, Array], Array] = jax.vmap(likelihood.log_prob)
    for _ in leading[1:]:
        log_prob = jax.vmap(log_prob, in_axes=(0, None))
    return log_prob(params, x)


def score_pixels(likelihood: Likelihood, params: Any, x: Array) -> Array:
    """Return log p(x_ij | params) of every pixel, whose sums over an image are those of `score_images`.

    Args:
      likelihood: of pixels that are independent given the parameters, see `has_independent_pixels`.
      params: of its parameters, each leaf [B, H, W, ...].
      x: images [B, H, W, C], or maps of codes [B, h, w].

    Returns:
      [B, H, W], nats.

    Raises:
      UserError: as `score_images`.
    """
    check_params(likelihood, params, x.shape[1:], x.shape[:1], "the decoder")
    return jax.vmap(jax.vmap(jax.vmap(likelihood.log_prob)))(params, x)


def perfect_pixels(likelihood: Likelihood, x: Array) -> Array:
    """Return the log-probability of every pixel under the parameters that suit it best, as a perfect reconstruction's.

    Zeros where it is the same for all values: then it moves all scores by one number.

    Args:
      likelihood: as of `score_pixels`.
      x: images [B, H, W, C].

    Returns:
      [B, H, W], nats.
    """
    if likelihood.perfect is None:
        return jnp.zeros(x.shape[:3])
    return jax.vmap(jax.vmap(jax.vmap(likelihood.perfect)))(x)


def has_independent_pixels(likelihood: Likelihood, shape: Sequence[int]) -> bool:
    """Return whether every parameter of images of a shape (H, W, C) belongs to one pixel."""
    leaves = jax.tree.leaves(_thawed(likelihood.param_shapes(tuple(shape))))
    return all(leaf.shape[:2] == tuple(shape[:2]) for leaf in leaves)


def check_params(
    likelihood: Likelihood, params: Any, shape: Sequence[int], leading: Sequence[int] = (), source: str = ""
) -> None:
    """Raise unless parameters are those of images of a shape.

    Args:
      likelihood: of one image.
      params: its parameters.
      shape: of one image.
      leading: the axes of samples and examples that the parameters have before their own.
      source: what has made them, for the message; by default the caller.

    Raises:
      UserError: if their structure or a shape is another.
    """
    expected, given = _thawed(likelihood.param_shapes(tuple(shape))), _thawed(params)
    structures: list[Any] = [jax.tree.structure(tree) for tree in (expected, given)]
    who = f"{source[0].upper()}{source[1:]} gives" if source else "The likelihood is given"
    if structures[0] != structures[1]:
        raise UserError(
            f"{who} {_entries(given)}, expected {_entries(expected)}: return what `likelihood.param_shapes` describes."
        )
    wanted = jax.tree_util.tree_leaves_with_path(expected)
    for (path, want), leaf in zip(wanted, jax.tree.leaves(given), strict=True):
        if jnp.shape(leaf) != (*leading, *want.shape):
            axes = f"the axes {list(leading)} of samples and examples, then those of" if leading else "as"
            raise UserError(
                f"{who} {_name(path) or 'parameters'} of shape {list(jnp.shape(leaf))}, expected "
                f"{[*leading, *want.shape]}, {axes} an image of {list(shape)}: reshape whichever is not as you mean it."
            )


def checked(constructor: Made) -> Made:
    """Let a constructor make likelihoods whose `log_prob` refuses parameters of another shape than those of its x.

    Args:
      constructor: returns a `Likelihood`.

    Returns:
      The constructor.
    """

    @functools.wraps(constructor)
    def make(*args: Any, **kwargs: Any) -> Likelihood:
        likelihood = constructor(*args, **kwargs)
        signature = inspect.signature(likelihood.log_prob)  # each has a name of its own for the parameters

        @functools.wraps(likelihood.log_prob)
        def log_prob(*args: Any, **kwargs: Any) -> Array:
            params, x = signature.bind(*args, **kwargs).arguments.values()
            check_params(likelihood, params, jnp.shape(x))
            return likelihood.log_prob(params, x)

        return likelihood._replace(log_prob=log_prob)

    return make  # type: ignore[return-value]


# ---------- private


def _thawed(tree: Any) -> Any:
    return unfreeze(tree) if isinstance(tree, FrozenDict) else tree  # Linen freezes dicts that are attributes


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


def _entries(tree: Any) -> str:
    if type(tree) in (tuple, list):
        return f"a {type(tree).__name__} of {len(tree)}"
    names = [_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(tree)]
    if not names:
        return "nothing"
    return f"a {type(tree).__name__} of {', '.join(names)}" if any(names) else "one array"
