"""Models of every version of the format, as they were written then, give what they gave then."""

import json

import numpy as np
import pytest

import jaxvae as jv
from tests.fixtures.write import CURRENT, FOLDER, MODELS, RUN, numbers_of

pytestmark = pytest.mark.slow
VERSIONS = {path.parent.name: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*/numbers.json"))}


@pytest.mark.parametrize(
    ("version", "name"), [(version, name) for version, found in VERSIONS.items() for name in found]
)
def test_models_give_what_they_gave(version, name):
    found, expected = numbers_of(jv.load(FOLDER / version / name)), VERSIONS[version][name]
    assert set(expected) <= set(found)  # a later version may give more
    for method, values in expected.items():
        np.testing.assert_allclose(found[method], values, rtol=1e-5, atol=1e-5, err_msg=method)


def test_there_are_models_of_this_version():
    assert CURRENT.name in VERSIONS, "write them for later versions: python -m tests.fixtures.write"
    assert set(VERSIONS[CURRENT.name]) == {*MODELS, RUN}
    assert all(path.stat().st_size < 20_000 for path in FOLDER.rglob("*") if path.is_file())
