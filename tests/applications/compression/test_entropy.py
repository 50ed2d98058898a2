"""Entropy coders: what is written is read, in as many bits as it has."""

import numpy as np
import pytest

from jaxvae import UserError
from jaxvae.applications.compression.entropy import SHARES, Reader, Stack, Writer, share_of
from jaxvae.applications.compression.grids import Gaussians


def bits_of(generator, num, scale=2.0):
    p = 1 / (1 + np.exp(-scale * generator.standard_normal(num)))
    return (generator.random(num) < p).astype(np.int32), p


def gaussians_of(generator, num, most=4096):
    return Gaussians(100 * generator.standard_normal(num), np.exp(generator.integers(0, 12, num) / 3.0), most)


@pytest.mark.parametrize("seed", range(5))
def test_a_stack_gives_back_what_was_pushed_and_is_as_it_began(seed):
    generator = np.random.default_rng(seed)
    stack, pushed = Stack.random(1000), []
    for _ in range(12):
        kind, num = generator.integers(0, 5), int(generator.integers(1, 60))
        gaussians = gaussians_of(generator, num)
        if kind == 0:
            bits, p = bits_of(generator, num)
            stack.push_bits(bits, p)
            pushed.append((lambda p=p: stack.pop_bits(p), bits))
        elif kind == 1:
            cells = np.rint(gaussians.mean + generator.standard_normal(num) * gaussians.sd).astype(np.int64)
            stack.push_cells(cells, gaussians)
            pushed.append((lambda g=gaussians: stack.pop_cells(g), cells))
        elif kind == 2:
            cells = np.rint(gaussians.mean + generator.uniform(-3, 3, num) * gaussians.sd).astype(np.int64)
            stack.push_near_cells(cells, gaussians)
            pushed.append((lambda g=gaussians: stack.pop_near_cells(g), cells))
        elif kind == 3:
            positions, share = generator.geometric(0.7, num) - 1, int(generator.integers(1, SHARES))
            stack.push_positions(positions, share)
            pushed.append((lambda num=num, share=share: stack.pop_positions(num, share), positions))
        else:
            cells = stack.draw_cells(gaussians)
            pushed.append((lambda g=gaussians, cells=cells: stack.return_cells(cells, g), None))
    words, initial_bits = stack.words()
    assert 0 <= initial_bits <= 32 * 1000
    stack = Stack(words)
    for take, expected in reversed(pushed):
        found = take()
        if expected is not None:
            np.testing.assert_array_equal(found, expected)
    assert stack.is_as_it_began()


def test_words_that_were_never_popped_are_not_written():
    generator = np.random.default_rng(0)
    for num in (300, 30_000):
        stack = Stack.random(num)
        drawn = stack.draw_cells(Gaussians(np.zeros(200), np.full(200, 50.0), 4096))
        taken = 200 * np.log2(50.0 * np.sqrt(2 * np.pi * np.e))
        stack.push_bits(*bits_of(generator, 10))  # less than was taken: there are no more words than that
        words, initial_bits = stack.words()
        assert initial_bits == 32 * len(words) < 200
        stack.push_bits(*bits_of(generator, 4000))
        words, initial_bits = stack.words()
        assert abs(initial_bits - taken) < 200
        assert initial_bits < 32 * len(words) < 4200
        if num == 300:
            first = drawn
    np.testing.assert_array_equal(first, drawn)  # whatever the size of the stack


def test_words_that_are_none_of_a_stack_are_refused():
    with pytest.raises(UserError, match="none of a coder"):
        Stack(np.array([1, 0], np.uint32))


def test_draws_of_a_stack_are_those_of_the_gaussians_and_never_far_away():
    generator = np.random.default_rng(0)
    gaussians = Gaussians(300 * generator.standard_normal(20_000), np.full(20_000, 7.5), 4096)
    distances = (Stack.random(20_000).draw_cells(gaussians) - gaussians.mean) / gaussians.sd
    assert abs(distances.mean()) < 0.03
    assert abs(distances.std() - 1) < 0.02
    assert np.abs(distances).max() < 6.3


@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_bits_are_as_many_as_their_distribution_has(scale):
    generator = np.random.default_rng(1)
    bits, p = bits_of(generator, 400_000, scale)
    of_values = -np.log2(np.where(bits, p, 1 - p)).sum()
    stack, writer = Stack.random(10), Writer()
    begun = stack.num_bits
    stack.push_bits(bits, p)
    writer.push_bits(bits, p)
    assert abs((stack.num_bits - begun) / of_values - 1) < 1e-3
    assert abs(32 * len(writer.words()) / of_values - 1) < 1e-3


def test_cells_are_as_many_bits_as_a_gaussian_has():
    generator = np.random.default_rng(1)
    gaussians = Gaussians(50 * generator.standard_normal(100_000), np.full(100_000, 40.0), 4096)
    cells = np.rint(gaussians.mean + 40.0 * generator.standard_normal(100_000)).astype(np.int64)
    expected = 100_000 * np.log2(40.0 * np.sqrt(2 * np.pi * np.e))
    for push in ("push_cells", "push_near_cells"):
        stack = Stack.random(10)
        begun = stack.num_bits
        getattr(stack, push)(cells, gaussians)
        assert abs((stack.num_bits - begun) / expected - 1) < 3e-3


@pytest.mark.parametrize("seed", range(3))
def test_a_range_coder_reads_what_it_has_written_in_pieces_of_any_size(seed):
    generator = np.random.default_rng(seed)
    bits, p = bits_of(generator, 3000, scale=6.0)
    positions = generator.geometric(0.8, 100) - 1
    writer = Writer()
    writer.push_bits(bits[:1000], p[:1000])
    writer.push_positions(positions, 200)
    writer.push_bits(bits[1000:], p[1000:])
    reader = Reader(writer.words())
    assert not reader.is_at_end()
    np.testing.assert_array_equal(reader.pop_bits(p[:1000]), bits[:1000])
    np.testing.assert_array_equal(reader.pop_positions(100, 200), positions)
    for row in range(1000, 3000):
        assert reader.pop_bits(p[row : row + 1]) == bits[row]
    assert reader.is_at_end()


def read_all(words, p):
    reader = Reader(words)
    return reader.pop_bits(p), reader.is_at_end()


def test_words_that_are_too_few_or_too_many_are_noticed_at_the_end():
    bits, p = bits_of(np.random.default_rng(0), 2000)
    writer = Writer()
    writer.push_bits(bits, p)
    words = writer.words()
    assert read_all(words, p)[1]
    zeros = np.zeros(3, np.uint32)
    np.testing.assert_array_equal(read_all(np.concatenate([words, zeros]), p)[0], bits)
    assert read_all(np.concatenate([words, zeros]), p)[1]  # which a file may leave out
    for other in (words[:-1], words[:5], np.concatenate([words, words[:2]]), words[::-1]):
        assert not read_all(other, p)[1]
    with pytest.raises(UserError, match="none of a coder"):
        read_all(np.full(len(words), 2**32 - 1, np.uint32), p)


@pytest.mark.parametrize("num", [1, 2, 3, 10, 40])
def test_few_bits_are_few_words(num):
    generator, lengths = np.random.default_rng(num), []
    for _ in range(300):
        bits, p = bits_of(generator, num)
        writer = Writer()
        writer.push_bits(bits, p)
        found, is_at_end = read_all(writer.words(), p)
        np.testing.assert_array_equal(found, bits)
        assert is_at_end
        lengths.append(len(writer.words()) - -np.log2(np.where(bits, p, 1 - p)).sum() / 32)
    assert max(lengths) < 2.1
    assert np.mean(lengths) < 1.1


def test_nothing_has_no_words():
    assert len(Writer().words()) == 0
    assert Reader(np.zeros(0, np.uint32)).is_at_end()


def test_a_share_is_that_of_zeros():
    generator = np.random.default_rng(0)
    for zeros in (0.1, 0.5, 0.9, 0.99):
        positions = generator.geometric(zeros, 10_000) - 1
        assert share_of(positions) == pytest.approx(SHARES * zeros, abs=4)
    assert share_of(np.zeros(10**6, np.int64)) == SHARES - 1
    assert share_of(np.full(10**6, 63)) >= 1
