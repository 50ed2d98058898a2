"""Numbers and names that nobody means are refused before anything is compiled."""

from dataclasses import dataclass

import pytest

from jaxvae.errors import UserError
from jaxvae.runs.config import ImageConfig, VAEConfig
from jaxvae.runs.options import Options


@dataclass(frozen=True)
class Config(VAEConfig):
    hidden: tuple[int, ...] = (8,)
    num_blocks: int = 1
    free_bits: float = 0.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rate": float("inf")}, "--learning-rate is inf, expected a finite number"),
        ({"free_bits": float("nan")}, "--free-bits is nan, expected a finite number"),
        ({"steps": 10**20}, "--steps is .*, expected at most 1,000,000,000"),
        ({"batch_size": 10**7}, "--batch-size is 10000000, expected at most 1,000,000"),
        ({"num_blocks": 10**20}, "--num-blocks is .*, expected at most 200"),
        ({"hidden": (8, 10**9)}, r"--hidden is 8 1000000000, expected at most 1,000,000"),
        ({"nll_samples": 2**31}, "--nll-samples is .*, expected at most 1,000,000"),
        ({"image_size": 20_000}, "--image-size is 20000, expected 1 to 4,096"),
        ({"image_size": 0}, "--image-size is 0, expected 1 to 4,096"),
        ({"data": "npz:a\0b"}, "--data has a null character"),
    ],
)
def test_impossible_numbers_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        Config(**changes)


def test_large_numbers_that_people_use_are_not():
    Config(steps=300_000, batch_size=4096, hidden=(4096, 4096), nll_samples=5000, seed=2**32 - 1)
    ImageConfig(image_size=1024)


@pytest.mark.parametrize("name", ["", "/", "-", "..", "../x", "a/b", "x" * 101, "a b", ".hidden"])
def test_a_name_is_that_of_one_folder(name):
    with pytest.raises(UserError, match="expected the name of one folder"):
        Options(name=name)


@pytest.mark.parametrize("name", ["a", "run-2", "beta=0.5_seed=1", "20261130-101500", "Größe_4"])
def test_usual_names_are_possible(name):
    assert Options(name=name).name == name
