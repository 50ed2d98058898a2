"""Data augmentation of any system of images: its losses see training images that are moved or mirrored at random.

Validation and test images stay as they are. Shifts end before the training does, so that its last steps are of images
as they are; binary images stay binary.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxvae.data import flip, shift
from jaxvae.errors import UserError
from jaxvae.keys import split_each
from jaxvae.systems.following import ShareOfSteps
from jaxvae.types import Array, DataSpec, LossFn, Metrics, ModelState, Params, PRNGKey, StepInput, System

SHARE = 0.9  # of the steps, in which images are shifted
SIDE = 28  # pixels of an image for every pixel of its default shift
_AUGMENTING = 0x61756765  # folded into an example's key, so that all other draws of a step stay what they are


class Augmentation(NamedTuple):
    """What may happen to a training image at every visit."""

    shift: int = 0  # pixels that it is moved at most in each direction; what comes in is 0
    flip: bool = False  # whether it is mirrored left to right every second time


@dataclass(frozen=True, eq=False)
class AugmentedLoss:
    """A loss of augmented images."""

    loss: LossFn
    augmentation: Augmentation

    def __call__(
        self, params: Params, model_state: ModelState, inputs: StepInput
    ) -> tuple[Array, tuple[ModelState, Metrics]]:
        keys = jax.vmap(lambda key: jax.random.fold_in(key, _AUGMENTING))(inputs.keys.examples)
        x = augment(keys, inputs.batch.x, self.augmentation, inputs.step < inputs.hparams["augment_steps"])
        return self.loss(params, model_state, inputs._replace(batch=inputs.batch._replace(x=x)))


def augment(keys: PRNGKey, x: Array, augmentation: Augmentation, shifting: Array | bool = True) -> Array:
    """Return augmented images of the same type, [B, H, W, C].

    Args:
      keys: one an example, [B].
      x: images [B, H, W, C].
      augmentation: what may happen to them.
      shifting: [], whether they are shifted.
    """
    moved, mirrored = split_each(keys)
    if augmentation.shift:
        x = jnp.where(shifting, shift(moved, x, augmentation.shift), x)
    return flip(mirrored, x) if augmentation.flip else x


def augmented(system: System, *, shift: int = 0, flip: bool = False, steps: int = 3_000) -> System:
    """Return a system that is trained on augmented images.

    Args:
      system: of images, [H, W, C].
      shift: pixels by which a training image is moved at most, down or up and right or left, evenly, in the first nine
        tenths of the steps.
      flip: whether training images are mirrored left to right with probability 1/2.
      steps: of the training; `jaxvae.train` sets it to its own.

    Raises:
      UserError: if nothing would be left of an image, or the examples are no images.
    """
    if not shift and not flip:
        return system
    shape = system.spec.shape
    if len(shape) != 3:
        raise UserError(f"{system.name} is of examples of shape {list(shape)}, only images can be shifted or flipped.")
    check_shift(shift, system.spec)
    trainable, augmentation = system.trainable, Augmentation(shift, flip)
    players = tuple(player._replace(loss=AugmentedLoss(player.loss, augmentation)) for player in trainable.players)
    hparams = {**trainable.hparams, "augment_steps": ShareOfSteps(SHARE, steps)}
    return system._replace(trainable=trainable._replace(players=players, hparams=hparams))


def default_shift(spec: DataSpec) -> int:
    """Return the shift that a person would choose: a pixel for every 28 of the shorter side, none of small images."""
    return min(spec.shape[:2]) // SIDE


def check_shift(shift: int, spec: DataSpec) -> None:
    """Raise a `UserError` unless something is left of an image that is shifted so far."""
    side = min(spec.shape[:2])
    if not 0 <= shift < side:
        raise UserError(f"The shift is {shift} pixels, expected 0 to less than the {side} pixels of an image's side.")
