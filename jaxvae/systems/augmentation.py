"""Data augmentation of any system of images: its losses see training images that are moved or mirrored at random.

Validation and test images stay as they are. Shifts end before the training does, so that its last steps are of images
as they are; binary images stay binary.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxvae.data import flip, shift
from jaxvae.errors import UserError
from jaxvae.keys import split_each
from jaxvae.systems.following import ShareOfSteps
from jaxvae.types import Array, DataSpec, LossFn, Metrics, ModelState, Params, Player, PRNGKey, StepInput, System

SHARE = 0.9  # of the steps, in which images are shifted
# The default shift makes so many different images of a data set, as far as it is between two shares of an image's side.
# Chosen on 320 masks of 64x64 (6 pixels; without, the NLL is 97 nats for 68) and 4,000 digits of 28x28 (1 pixel).
NUM_SHIFTED, LEAST, MOST = 64_000, 28, 8
_AUGMENTING = 0x61756765  # folded into an example's key, so that all other draws of a step stay what they are


class Augmentation(NamedTuple):
    """What may happen to a training image at every visit."""

    shift: int | None = 0  # pixels that it is moved at most in each direction. None: not chosen yet
    flip: bool = False  # whether it is mirrored left to right every second time
    edge: bool = False  # whether a shift brings in copies of the border, as of photographs, in place of black


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
        x = jnp.where(shifting, shift(moved, x, augmentation.shift, edge=augmentation.edge), x)
    return flip(mirrored, x) if augmentation.flip else x


def augmented(system: System, *, shift: int | None = 0, flip: bool = False, steps: int = 3_000) -> System:
    """Return a system that is trained on augmented images.

    Args:
      system: of images, [H, W, C].
      shift: pixels by which a training image is moved at most, down or up and right or left, evenly, in the first nine
        tenths of the steps; copies of the border come in, black into binary images. None leaves the choice to
        `jaxvae.train`, see `default_shift`.
      flip: whether training images are mirrored left to right with probability 1/2.
      steps: of the training; `jaxvae.train` sets it to its own.

    Raises:
      UserError: if nothing would be left of an image, or the examples are no images.
    """
    if shift == 0 and not flip:
        return system
    shape = system.spec.shape
    if len(shape) != 3:
        raise UserError(f"{system.name} is of examples of shape {list(shape)}, only images can be shifted or flipped.")
    side = min(shape[:2])
    if shift is not None and not 0 <= shift < side:
        raise UserError(f"The shift is {shift} pixels, expected 0 to less than the {side} pixels of an image's side.")
    trainable, augmentation = system.trainable, Augmentation(shift, flip, edge=system.spec.num_values > 2)
    players = tuple(player._replace(loss=AugmentedLoss(player.loss, augmentation)) for player in trainable.players)
    hparams = {**trainable.hparams, "augment_steps": ShareOfSteps(SHARE, steps)}
    return system._replace(trainable=trainable._replace(players=players, hparams=hparams))


def with_default_shift(system: System, num_train: int) -> System:
    """Return a system with the shift that its number of training images asks for, where none was chosen."""
    chosen = default_shift(system.spec, num_train) if len(system.spec.shape) == 3 else 0

    def of_player(player: Player) -> Player:
        loss: Any = player.loss
        if not isinstance(loss, AugmentedLoss) or loss.augmentation.shift is not None:
            return player
        return player._replace(loss=AugmentedLoss(loss.loss, loss.augmentation._replace(shift=chosen)))

    trainable = system.trainable
    return system._replace(trainable=trainable._replace(players=tuple(map(of_player, trainable.players))))


def default_shift(spec: DataSpec, num_train: int) -> int:
    """Return the shift that a person would choose, the more the fewer images there are, in pixels.

    By s pixels an image becomes (2 s + 1)^2 different ones: enough of them that a VAE does not learn them by heart, but
    at most an eighth of the shorter side, and at least a pixel for 28.
    """
    side = min(spec.shape[:2])
    enough = int((math.sqrt(NUM_SHIFTED / num_train) - 1) / 2)
    return min(max(enough, side // LEAST), side // MOST)
