"""Every file of a finished run, damaged in every way: the same parameters, or one sentence."""

import shutil

import numpy as np
import pytest

import jaxvae as jv
from tests.runs.small import BUILDS, IMAGES, SIZES, SPEC, assert_same_parameters
from tests.systems.test_code_prior import prior_of, random_codes


def codes():
    x, labels = random_codes(60, 9), np.arange(60, dtype=np.int32) % 3
    part = lambda rows: jv.Dataset(x[rows], labels[rows])  # noqa: E731
    return jv.Splits(part(slice(0, 40)), part(slice(40, 50)), part(slice(50, 60)))


KINDS = {
    "vae": (lambda: BUILDS["vae"](SPEC), lambda: IMAGES),
    "vqvae": (lambda: BUILDS["vqvae"](SPEC), lambda: IMAGES),
    "prior": (lambda: prior_of(levels=1), codes),
}


def flipped(whole, place):
    return whole[:place] + bytes([whole[place] ^ (1 << (place % 8))]) + whole[place + 1 :]


def damages(whole, seed):
    """None is a file that is missing."""
    generator = np.random.default_rng(seed)
    yield None
    if whole:
        yield whole[: len(whole) // 2]
        yield flipped(whole, int(generator.integers(len(whole))))
    yield generator.integers(0, 256, len(whole) + 10, np.uint8).tobytes()


def same_or_one_sentence(found, expected):
    """Use a model as a person does; return whether it is the one expected."""
    try:
        model = found()
    except jv.UserError as error:
        message = str(error)
    else:
        assert_same_parameters(model, expected)
        return True
    assert "\n" not in message
    assert 20 < len(message) < 1000
    return False


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_run_is_the_same_or_one_sentence(kind, tmp_path, capfd):
    build, data = KINDS[kind]
    system, images = build(), data()
    whole, copy = tmp_path / "whole", tmp_path / "copy"
    expected = jv.train(system, images, folder=whole, **SIZES)
    files = [path for path in sorted(whole.rglob("*")) if path.is_file() and "3" not in path.parts]  # of the last step
    assert len(files) > 20
    found = []
    capfd.readouterr()
    for number, path in enumerate(files):
        contents = path.read_bytes()
        for damage, changed in enumerate(damages(contents, number)):
            if changed is None:
                path.unlink()
            else:
                path.write_bytes(changed)
            found.append(same_or_one_sentence(lambda: jv.load(whole), expected))
            if damage == number % 4:  # a training that goes on takes longer
                shutil.copytree(whole, copy)
                again = lambda: jv.train(system, images, folder=copy, resume=True, **SIZES)  # noqa: E731
                found.append(same_or_one_sentence(again, expected))
                shutil.rmtree(copy)
            path.write_bytes(contents)
    assert 0.1 < np.mean(found) < 0.9  # some files can be done without, others cannot
    out, err = capfd.readouterr()
    assert "Traceback" not in out + err
    assert err.count("\n") < 20, err  # an error is a sentence, not pages before it
    assert same_or_one_sentence(lambda: jv.load(whole), expected)
