"""A browser for tests of the page, where there is one."""

import os

import pytest

from tests.explorer import chromium


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    path = chromium.find()
    if path is None:
        reason = f"there is no browser: none of {', '.join(chromium.NAMES)} is installed"
        if os.environ.get("JAXVAE_NEEDS_BROWSER"):  # where a skipped test would go unnoticed
            pytest.fail(reason)
        pytest.skip(reason)
    running = chromium.Browser(path, tmp_path_factory.mktemp("chromium"))
    yield running
    running.close()
