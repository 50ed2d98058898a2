"""Lossy compression: rounded latents, coded with the masses of their prior (Ballé, Laparra & Simoncelli 2017).

No network takes part in the probabilities, so that files can be read anywhere. A wider step than that of the training
makes smaller files of coarser images.
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxvae.applications.compression.coder import Stream
from jaxvae.applications.compression.doubles import in_double
from jaxvae.applications.compression.entropy import Reader, Writer
from jaxvae.capabilities import Decodes
from jaxvae.codable import HasRoundedLatents
from jaxvae.errors import UserError
from jaxvae.priors.binned import LogisticMixture, log_mass
from jaxvae.training import evaluation_batch_size, in_batches, program_batch_size
from jaxvae.types import Array, Batch, Dataset, DataSpec, ModelState, Params, Prepare

SETTINGS = ("step",)
STEPS = 16  # of a step of one that it is kept in
_RARE = 1e-7  # mass of a number that is left to its neighbour
_MOST = 512  # numbers on each side
_TRIED = 24  # steps for a rate, each larger than the one before by a fifth
_PROBABILITY_STEPS = 2.0**24


class RoundedLatents(NamedTuple):
    """Codes images by rounded latents.

    Attributes:
      latents: what the model has for it.
      decodes: latents to images.
      prepare: the preprocessing of images.
      spec: of the images.
      params: of the model.
      model_state: its state.
      rate: bits per pixel value that are aimed at, by the width of the step; None takes that of the training.
    """

    latents: HasRoundedLatents
    decodes: Decodes
    prepare: Prepare
    spec: DataSpec
    params: Params
    model_state: ModelState
    rate: float | None = None

    def encode(self, values: np.ndarray) -> Stream:
        """Return the words of images, values [N, H, W, C]."""
        mean = self._means(values)
        step = STEPS if self.rate is None else self._step(mean)
        writer = Writer()
        tables = self._tables(step)
        for column, (least, masses) in zip(_numbers(mean, step, tables).T, tables, strict=True):
            writer.push_numbers(column - least, masses)
        return Stream(writer.words(), {"step": step}, 0)

    def decode(self, stream: Stream, num: int) -> np.ndarray:
        """Return the images of words, [num, H, W, C] uint8; a `UserError` if they have other settings."""
        if set(stream.settings) != set(SETTINGS) or stream.settings["step"] < 1:
            raise UserError("The settings of the words are none of rounded latents: they are damaged.")
        step, reader = stream.settings["step"], Reader(stream.words)
        columns = [reader.pop_numbers(num, masses) + least for least, masses in self._tables(step)]
        if not reader.is_at_end():
            raise UserError("The words are not of so many images under this model: they are damaged, or of another.")
        return self._images(np.stack(columns, axis=1).astype(np.float32) * np.float32(step / STEPS))

    def rates(self, values: np.ndarray) -> np.ndarray:
        """Return the nats of every image's latents, [N]."""
        mean = self._means(values)
        return self._nats(mean, STEPS if self.rate is None else self._step(mean))

    def bits_of_each(self, values: np.ndarray) -> np.ndarray:
        """Return the bits of every image's latents, [N]."""
        return self.rates(values) / np.log(2.0)

    # ---------- private

    def _means(self, values: np.ndarray) -> np.ndarray:
        size = program_batch_size(len(values), evaluation_batch_size(self.spec))

        def one(start: int, batch: Batch) -> Array:
            return _mean(self.latents.mean, self.prepare, self.params, self.model_state, batch.x)

        return np.asarray(in_batches(one, Dataset(values, None), size, shown="encode"))

    def _images(self, z: np.ndarray) -> np.ndarray:
        size = program_batch_size(len(z), evaluation_batch_size(self.spec))

        def one(start: int, batch: Batch) -> np.ndarray:
            keys = jax.random.split(jax.random.key(0), len(batch.x))  # of a likelihood that needs none
            return in_double(self.decodes.decode, self.params, self.model_state, keys, batch.x)

        images = np.asarray(in_batches(one, Dataset(z, None), size, shown="decode"))
        return np.rint(np.clip(images, 0.0, 1.0) * (self.spec.num_values - 1)).astype(np.uint8)

    def _step(self, mean: np.ndarray) -> int:
        """The finest step, in 16ths, at which the images take no more bits than `rate`."""
        assert self.rate is not None
        wanted = self.rate * np.prod(self.spec.shape) * np.log(2.0)
        steps = np.unique(np.rint(STEPS / 4 * 1.2 ** np.arange(_TRIED)).astype(int)).tolist()
        return next((step for step in steps if self._nats(mean, step).mean() <= wanted), steps[-1])

    def _nats(self, mean: np.ndarray, step: int) -> np.ndarray:
        tables, total = self._tables(step), np.zeros(len(mean))
        for column, (least, masses) in zip(_numbers(mean, step, tables).T, tables, strict=True):
            total -= np.log(masses[column - least])
        return total

    def _tables(self, step: int) -> list[tuple[int, np.ndarray]]:
        """For every latent the least number that has a mass, and the masses from there on."""
        numbers = np.arange(-_MOST, _MOST + 1)
        mixture = LogisticMixture(*self.latents.mixture(self.params, self.model_state))
        # In 64 bits: of 32 the last digits would not be the same everywhere.
        masses = in_double(_masses, mixture, {}, numbers * (step / STEPS), step / STEPS)
        if not masses.max(axis=0).min() > 0:
            raise UserError("The prior of a latent has no mass at whole numbers from -512 to 512: it cannot code them.")
        tables = []
        for of_latent in masses.T:
            (kept,) = np.nonzero(of_latent > min(_RARE, of_latent.max() / 2))
            first = min(int(kept[0]), len(of_latent) - 2)  # a table has two numbers at least
            found = of_latent[first : max(int(kept[-1]), first + 1) + 1]
            table = np.maximum(np.rint(found * _PROBABILITY_STEPS), 1.0) / _PROBABILITY_STEPS
            tables.append((int(numbers[first]), table))
        return tables


# ---------- private


def _numbers(mean: np.ndarray, step: int, tables: Sequence[tuple[int, np.ndarray]]) -> np.ndarray:
    """The latents in whole steps, as far as these have a mass, int [N, D]."""
    least = np.array([least for least, _ in tables])
    most = np.array([least + len(masses) - 1 for least, masses in tables])
    if not np.isfinite(mean).all():
        raise UserError("The model's latents of these images are no finite numbers: it cannot code them.")
    return np.clip(np.rint(mean * (STEPS / step)), least, most).astype(np.int64)


def _masses(mixture: LogisticMixture, model_state: ModelState, middles: Array, width: Array) -> Array:
    """Masses of bins, [M, D]."""
    of_middle = lambda middle: log_mass(mixture, jnp.broadcast_to(middle, len(mixture.mean)), width)  # noqa: E731
    return jnp.exp(jax.vmap(of_middle)(middles))


@functools.partial(jax.jit, static_argnums=(0, 1))
def _mean(mean: Any, prepare: Prepare, params: Params, model_state: ModelState, x: Array) -> Array:
    keys = jax.random.split(jax.random.key(0), len(x))  # of a preprocessing that needs none
    return mean(params, model_state, prepare(keys, x))
