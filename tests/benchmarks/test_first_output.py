"""Cold starts: a process without compiled programs, timed from its start to its end."""

import pytest

from benchmarks.first_output import BOUND, cold, first_outputs
from benchmarks.options import QUICK
from jaxvae.errors import UserError

pytestmark = pytest.mark.slow


def test_a_process_finds_its_cache_empty_and_is_timed(tmp_path):
    program = "import os, pathlib; place = pathlib.Path(os.environ['JAXVAE_CACHE']); assert not list(place.iterdir())"
    measure = cold(["-c", f"{program}; (place / 'kept').touch()"], tmp_path / "cache")
    assert all(0 < measure() < 60 for _ in range(2))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UserError, match=r"The command -c raise ValueError\('no'\) failed: .*ValueError: no"):
        cold(["-c", "raise ValueError('no')"], tmp_path / "cache")()


def test_the_first_images_of_a_shipped_model_are_timed():
    python, picture = first_outputs(QUICK)
    assert python["case"].startswith("cold: digits-")
    assert python["case"].endswith("16 samples from Python")
    assert picture["case"].endswith("16 samples as a picture")
    assert all(one["seconds"] > 0 and one["bound"] == BOUND and one["quick"] for one in (python, picture))
