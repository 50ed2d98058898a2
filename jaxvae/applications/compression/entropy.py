"""Entropy coders of the package constriction.

A stack (ANS) for bits back, which decodes what was not yet encoded, and a range coder, whose words are read in the
order in which they were written.
"""

import functools
import math
from typing import Any

import numpy as np

from jaxvae.applications.compression.grids import MOST_SDS, NUM_POSITIONS, Gaussians
from jaxvae.errors import UserError

SHARES = 256  # of a share that is kept as a whole number
_SEED = 0x6A767A  # of the words with which a stack begins
_HEAD = 3  # words of a stack's state, about, which are no part of what was not touched
_NEAR_SDS = 8  # of what is pushed near a mean
_RARE = 2.0**-16  # the least probability of a position


class Stack:
    """A stack of bits: what is pushed last is popped first. Values are popped in the order of the array."""

    def __init__(self, words: np.ndarray) -> None:
        """Begin with what another stack gave as its words."""
        try:
            self._coder = _stream().stack.AnsCoder(np.ascontiguousarray(words, np.uint32))
        except ValueError as error:
            raise UserError("The words are none of a coder: they are damaged.") from error
        self._begin()

    @classmethod
    def random(cls, num: int) -> "Stack":
        """Return a stack of `num` pseudo-random words, the same ones at its top for any number."""
        self = cls(np.zeros(0, np.uint32))
        self._coder = _stream().stack.AnsCoder(_random_words(num), seal=True)
        self._begin()
        return self

    def _begin(self) -> None:
        self._num_words, self.lowest = self._coder.num_words(), self.num_bits

    @property
    def num_bits(self) -> int:
        """Bits on the stack."""
        return int(self._coder.num_valid_bits())

    def words(self) -> tuple[np.ndarray, int]:
        """Return the words of the stack, and how many of their bits it began with: those that were never popped stay.

        Only of a stack that began as `random`.
        """
        untouched = max(0, self.lowest // 32 - _HEAD)
        words = self._coder.get_compressed()[untouched:]
        # Of likely images the stack may be shorter in the end than it was: a sample of the bound may be below 0.
        return words, 32 * min(self._num_words - untouched, len(words))

    def is_as_it_began(self) -> bool:
        """Whether all that is on the stack are the words with which `random` begins."""
        try:
            left = self._coder.get_compressed(unseal=True)
        except (ValueError, AssertionError):
            return False
        return np.array_equal(left, _random_words(len(left)))

    def push_bits(self, bits: np.ndarray, probabilities: np.ndarray) -> None:
        """Push bits [n], of which the probabilities of one are given."""
        self._coder.encode_reverse(bits.astype(np.int32), _bernoulli(), probabilities)

    def pop_bits(self, probabilities: np.ndarray) -> np.ndarray:
        """Pop bits [n] with given probabilities of one."""
        return self._popped(_bernoulli(), probabilities)

    def push_cells(self, cells: np.ndarray, gaussians: Gaussians) -> None:
        """Push cells of latents [n] with Gaussians [n]."""
        self._push_latents(cells, _gaussian_model(gaussians.most), gaussians.mean, gaussians.sd)

    def pop_cells(self, gaussians: Gaussians) -> np.ndarray:
        """Pop cells of latents [n]: what `push_cells` pushed."""
        return self._popped(_gaussian_model(gaussians.most), gaussians.mean, gaussians.sd)

    def push_near_cells(self, cells: np.ndarray, gaussians: Gaussians) -> None:
        """Push cells of latents [n] that are at most eight standard deviations from the means of their Gaussians.

        Cells that are left out need no probability: of all cells they would have a thousandth, in every push.
        """
        centre, model = _near(gaussians)
        self._push_latents(cells - centre, model, gaussians.mean - centre, gaussians.sd)

    def pop_near_cells(self, gaussians: Gaussians) -> np.ndarray:
        """Pop cells of latents [n]: what `push_near_cells` pushed."""
        centre, model = _near(gaussians)
        return self._popped(model, gaussians.mean - centre, gaussians.sd) + centre

    def draw_cells(self, gaussians: Gaussians) -> np.ndarray:
        """Pop cells of latents [n] that nobody pushed, as draws of Gaussians.

        Every cell of a coder has some probability, 2^-24 or more. A draw from all cells would be far from its Gaussian
        once in some thousand times, and ruin its image; so these are at most six standard deviations from the mean.
        """
        centre, levels = _by_sd(gaussians)
        cells = np.empty_like(centre)
        for rows in levels:
            cells[rows] = self._popped(*_of_rows(gaussians, centre, rows))
        return cells + centre

    def return_cells(self, cells: np.ndarray, gaussians: Gaussians) -> None:
        """Push what `draw_cells` popped."""
        centre, levels = _by_sd(gaussians)
        for rows in reversed(levels):
            try:
                self._coder.encode_reverse((cells - centre)[rows].astype(np.int32), *_of_rows(gaussians, centre, rows))
            except KeyError as error:
                raise UserError("The words have latents of no image under this model: they are damaged.") from error

    def push_positions(self, positions: np.ndarray, share: int) -> None:
        """Push positions of grids, of which about share / 256 are 0."""
        self._coder.encode_reverse(positions.astype(np.int32), _position_model(share))

    def pop_positions(self, num: int, share: int) -> np.ndarray:
        """Pop positions of grids."""
        return self._popped(_position_model(share), num).astype(np.int64)

    def _push_latents(self, cells: np.ndarray, *model: Any) -> None:
        try:
            self._coder.encode_reverse(cells.astype(np.int32), *model)
        except KeyError as error:
            raise UserError("Latents of these images are too far outside of the model's prior to be coded.") from error

    def _popped(self, *arguments: Any) -> np.ndarray:
        values: np.ndarray = self._coder.decode(*arguments)
        self.lowest = min(self.lowest, self.num_bits)
        return values


class Writer:
    """Words of a range coder. Values are in the order of the array, and are read in the order of the calls."""

    def __init__(self) -> None:
        self._coder = _stream().queue.RangeEncoder()

    def words(self) -> np.ndarray:
        """Return the words of all that was pushed, without zeros at their end, which are read behind it anyway."""
        return np.trim_zeros(self._coder.get_compressed(), "b")

    def push_bits(self, bits: np.ndarray, probabilities: np.ndarray) -> None:
        """Write bits [n], of which the probabilities of one are given."""
        self._coder.encode(bits.astype(np.int32), _bernoulli(), probabilities)

    def push_positions(self, positions: np.ndarray, share: int) -> None:
        """Write positions of grids, of which about share / 256 are 0."""
        self._coder.encode(positions.astype(np.int32), _position_model(share))

    def push_numbers(self, numbers: np.ndarray, masses: np.ndarray) -> None:
        """Write numbers [n] from 0 on, all of them with the same masses."""
        self._coder.encode(numbers.astype(np.int32), _table_model(masses))


class Reader:
    """Reads words of a `Writer`."""

    def __init__(self, words: np.ndarray) -> None:
        self._words = np.ascontiguousarray(words, np.uint32)
        self._coder, self._again = _stream().queue.RangeDecoder(self._words), Writer()

    def is_at_end(self) -> bool:
        """Whether a writer of what was read would have had the same words.

        Any words can be read, and some that were never written; but what is read of fewer or of more of them is not
        what these words are of.
        """
        return np.array_equal(self._again.words(), np.trim_zeros(self._words, "b"))

    def pop_bits(self, probabilities: np.ndarray) -> np.ndarray:
        """Read bits [n] with given probabilities of one."""
        bits = self._popped(_bernoulli(), probabilities)
        self._again.push_bits(bits, probabilities)
        return bits

    def pop_positions(self, num: int, share: int) -> np.ndarray:
        """Read positions of grids."""
        positions = self._popped(_position_model(share), num)
        self._again.push_positions(positions, share)
        return positions.astype(np.int64)

    def pop_numbers(self, num: int, masses: np.ndarray) -> np.ndarray:
        """Read numbers [num] from 0 on."""
        numbers = self._popped(_table_model(masses), num)
        self._again.push_numbers(numbers, masses)
        return numbers.astype(np.int64)

    def _popped(self, *arguments: Any) -> np.ndarray:
        try:
            values: np.ndarray = self._coder.decode(*arguments)
        except AssertionError as error:
            raise UserError("The words are none of a coder: they are damaged.") from error
        return values


def check_constriction() -> None:
    """Raise a `UserError` where the package that codes is missing."""
    _stream()


def share_of(positions: np.ndarray) -> int:
    """Return the share of zeros that fits positions best, in 256ths: that of a geometric distribution of their mean."""
    mean = (positions.sum() + 0.5) / (positions.size + 1)  # as if one more had been seen
    return int(np.clip(np.rint(SHARES / (1.0 + mean)), 1, SHARES - 1))


# ---------- private


def _stream() -> Any:
    try:
        import constriction
    except ImportError as error:
        raise UserError(
            'Compression needs constriction, which is not installed: pip install "jaxvae[compression]".'
        ) from error
    return constriction.stream


def _random_words(num: int) -> np.ndarray:
    """Pseudo-random words, [num], of which fewer are the last ones of more."""
    return (np.random.PCG64(_SEED).random_raw(num) >> np.uint64(32)).astype(np.uint32)[::-1].copy()


def _near(gaussians: Gaussians) -> tuple[np.ndarray, Any]:
    """The cells of the means, and a model of the distances from them."""
    return np.rint(gaussians.mean).astype(np.int64), _gaussian_model(math.ceil(_NEAR_SDS * gaussians.sd.max()) + 2)


@functools.cache
def _bernoulli() -> Any:
    return _stream().model.Bernoulli(perfect=False)


def _by_sd(gaussians: Gaussians) -> tuple[np.ndarray, list[np.ndarray]]:
    """The cells of the means, and the rows of each standard deviation."""
    order = np.argsort(gaussians.sd, kind="stable")
    _, starts = np.unique(gaussians.sd[order], return_index=True)
    return np.rint(gaussians.mean).astype(np.int64), np.split(order, starts[1:])


def _of_rows(gaussians: Gaussians, centre: np.ndarray, rows: np.ndarray) -> tuple[Any, ...]:
    """The Gaussians of some rows of one standard deviation, by the distance from their centres."""
    sd = gaussians.sd[rows]
    return _gaussian_model(math.ceil(MOST_SDS * float(sd[0])) + 1), gaussians.mean[rows] - centre[rows], sd


@functools.lru_cache(maxsize=512)
def _gaussian_model(most: int) -> Any:
    return _stream().model.QuantizedGaussian(-most, most)


def _table_model(masses: np.ndarray) -> Any:
    return _stream().model.Categorical(masses.astype(np.float64), perfect=False)


@functools.cache
def _position_model(share: int) -> Any:
    zeros = share / SHARES
    weights = np.maximum(zeros * (1.0 - zeros) ** np.arange(NUM_POSITIONS), _RARE)
    weights = np.rint(weights * 2.0**24) / 2.0**24
    return _stream().model.Categorical(weights.astype(np.float32), perfect=False)
