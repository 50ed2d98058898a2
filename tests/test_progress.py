import sys

import tqdm

from jaxvae.progress import progress


def test_progress_gives_every_item(monkeypatch):
    assert list(progress(range(5), "x")) == [0, 1, 2, 3, 4]
    monkeypatch.setitem(sys.modules, "tqdm", None)
    assert list(progress(range(5), "x")) == [0, 1, 2, 3, 4]


def test_progress_waits_before_it_shows_a_bar(monkeypatch):
    seen = {}

    def bar(items, **options):
        seen.update(options)
        return items

    monkeypatch.setattr(tqdm, "tqdm", bar)
    assert list(progress([1, 2], "reading")) == [1, 2]
    assert seen["delay"] == 2
    assert seen["desc"] == "reading"
