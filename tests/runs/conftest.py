"""A trained model of every ready build, made once for all tests of this folder."""

import pytest

import jaxvae as jv
from tests.runs.small import BUILDS, IMAGES, SIZES, SPEC


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """Models by name, each in a folder of its own."""
    folder = tmp_path_factory.mktemp("runs")
    return {name: jv.train(build(SPEC), IMAGES, folder=folder / name, **SIZES) for name, build in BUILDS.items()}
