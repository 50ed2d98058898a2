"""The README's own promises: its length, its quick start, its script."""

import re

import numpy as np
import pytest


@pytest.fixture(scope="module")
def readme(request):
    return (request.config.rootpath / "README.md").read_text()


def test_readme_is_short(readme):
    assert len(readme.splitlines()) <= 150


def test_quick_start_has_two_lines_to_type(readme):
    section = re.search(r"^## Quick start$(.*?)^## ", readme, re.S | re.M)[1]
    run, test = re.findall(r"^```sh\n(.*?)^```", section, re.S | re.M)
    assert run.count("\n") == test.count("\n") == 1
    assert "python -m jaxvae sample digits-vae" in section
    assert "python -m experiments.binary_vae" in run
    assert 'python -m pytest -n 2 -m "not slow"' in test


@pytest.mark.slow
def test_python_blocks_run_as_they_stand(readme, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, block = re.findall(r"^```python\n(.*?)^```", readme, re.S | re.M)
    assert len(block.splitlines()) <= 20
    names = {}
    exec(first, names)
    assert names["digits"].shape == (16, 28, 28, 1)
    exec(block, names)
    assert names["new"].shape == (16, 28, 28, 1)
    assert names["codes"].shape == (50, 16)
    assert names["back"].shape == (50, 28, 28, 1)
    assert names["nats"].shape == (50,)
    assert np.all(names["nats"] < 0)
    np.testing.assert_array_equal(names["model"].sample(2), names["trained"].sample(2))


def test_links_lead_to_files(request, readme):
    root = request.config.rootpath
    links = re.findall(r"\]\(([^)#]+)[^)]*\)|src=\"([^\"]+)\"", readme)
    for link in (first or second for first, second in links):
        assert link.startswith("https://") or (root / link).exists(), link
