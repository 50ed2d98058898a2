import io
import sys
import time

import tqdm.auto

from jaxvae.progress import progress, progress_bar


def test_progress_gives_every_item(monkeypatch):
    assert list(progress(range(5), "x")) == [0, 1, 2, 3, 4]
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    assert list(progress(range(5), "x")) == [0, 1, 2, 3, 4]


def test_progress_waits_before_it_shows_a_bar(monkeypatch):
    seen = {}

    def bar(items, **options):
        seen.update(options)
        return items

    monkeypatch.setattr(tqdm.auto, "tqdm", bar)
    assert list(progress([1, 2], "reading")) == [1, 2]
    assert seen["delay"] == 2
    assert seen["desc"] == "reading"


class Screen(io.StringIO):
    def isatty(self):
        return True


def test_the_clock_of_a_bar_goes_on_while_nothing_is_done(monkeypatch):
    monkeypatch.setattr("jaxvae.progress.BEAT", 0.01)
    monkeypatch.setattr(sys, "stderr", Screen())
    with progress_bar(10, "step", "a", first="compiling") as bar:
        written = len(sys.stderr.getvalue())
        assert "compiling" in sys.stderr.getvalue()
        wait_until(lambda: len(sys.stderr.getvalue()) > written + 500)
        bar.set_postfix({"loss": 1.0})
        bar.update(5)
        written = len(sys.stderr.getvalue())
        wait_until(lambda: len(sys.stderr.getvalue()) > written + 500)
        assert sys.stderr.getvalue()[written:].count("loss") > 2
        assert "compiling" not in sys.stderr.getvalue()[written:]
    written = len(sys.stderr.getvalue())
    time.sleep(0.1)
    assert len(sys.stderr.getvalue()) == written


def test_in_a_file_the_clock_goes_on_until_the_first_unit(monkeypatch):
    monkeypatch.setattr("jaxvae.progress.BEAT", 0.01)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress_bar(10, "step", "a", initial=2) as bar:
        wait_until(lambda: sys.stderr.getvalue().count("2/10") > 3)
        bar.update(5)
        time.sleep(0.1)
        written = len(sys.stderr.getvalue())
        time.sleep(0.1)
        assert len(sys.stderr.getvalue()) == written


def wait_until(holds):
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)
