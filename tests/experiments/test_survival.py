"""Real runs that are killed at any moment and go on as if nothing had happened."""

import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import time

import chex
import jax
import numpy as np
import pytest

from jaxvae.runs.files import read_records
from jaxvae.training import Checkpoints, Saved, evaluated_params
from jaxvae.training.parallel import abstract, local_layout
from jaxvae.training.state import abstract_batch, abstract_state
from jaxvae.types import Dataset, DataSpec, LoopState

SIZE = ("--batch-size", "8", "--steps", "600", "--eval-every", "150", "--log-every", "20")
SIZE_OF = {
    "iwae": ("--nll-samples", "2", "--ema-decay", "0.5"),
    "vqvae": ("--num-codes", "6", "--code-dim", "3", "--channels", "4", "--likelihood", "bernoulli"),
}
SECONDS = 240


@pytest.fixture(scope="module")
def start(request, tmp_path_factory):
    """Return a function that starts a run of the same training, and the folder of all runs."""
    folder = tmp_path_factory.mktemp("runs")
    x = np.zeros((60, 8, 8), np.uint8)
    for image, place in zip(x, np.random.default_rng(0).integers(0, 2, 60), strict=True):
        image[4 * place : 4 * place + 4, 2:6] = 230
    np.savez(folder / "images.npz", images=x)

    def started(name, *flags, experiment="iwae"):
        flags = (*SIZE, *SIZE_OF[experiment], *flags)
        source = f"npz:{folder / 'images.npz'}"
        line = [sys.executable, "-m", f"experiments.{experiment}", "--data", source, "--name", name]
        environment = os.environ | {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
        return subprocess.Popen(
            [*line, "--out", str(folder), *flags],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=request.config.rootpath,
            env=environment,
        )

    return started, folder / "iwae"


def ended(process):
    output, _ = process.communicate(timeout=SECONDS)
    return process.returncode, output


def final(folder):
    """The whole state after the last step, its best parameters, and the means of every report."""
    record = json.loads((folder / "config.json").read_text())
    module = importlib.import_module(record["experiment"])
    config = module.Config(**{k: tuple(v) if isinstance(v, list) else v for k, v in record["config"].items()})
    spec = DataSpec(**{**record["spec"], "shape": tuple(record["spec"]["shape"])})
    dataset = Dataset(jax.ShapeDtypeStruct((1, *spec.shape), np.uint8), None)
    state = abstract_state(module.build(config, spec), abstract_batch(dataset))
    if config.ema_decay:
        state = state._replace(ema_params=state.params)
    state = abstract(local_layout(), state)
    like = Saved(state, evaluated_params(state), LoopState(0, 0, 0, 0, 0))
    with Checkpoints(folder / "checkpoints", read_only=True) as checkpoints:
        saved = checkpoints.restore(checkpoints.latest_step(), like)
    reports = [{k: v for k, v in r.items() if k != "images_per_second"} for r in read_records(folder)]
    return jax.device_get(saved.state._replace(key=None)), jax.device_get(saved.best), reports


@pytest.fixture(scope="module")
def uninterrupted(start):
    started, folder = start
    code, output = ended(started("whole", "--save-every", "50"))
    assert code == 0, output
    return final(folder / "whole")


def wait_for(condition, process):
    until = time.monotonic() + SECONDS
    while not condition():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < until
        time.sleep(0.002)


def assert_equal(found, expected):
    chex.assert_trees_all_equal(found[0], expected[0])
    chex.assert_trees_all_equal(found[1], expected[1])
    assert found[2] == expected[2]


@pytest.mark.slow
def test_a_run_killed_several_times_equals_one_that_was_not(start, uninterrupted):
    started, folder = start
    checkpoints = folder / "killed" / "checkpoints"
    finished = lambda: {int(p.name) for p in checkpoints.glob("*") if p.name.isdigit()}  # noqa: E731
    saving = lambda: any(checkpoints.glob("*.orbax-checkpoint-tmp"))  # noqa: E731

    process = started("killed", "--save-every", "50")
    wait_for(lambda: finished() and saving(), process)  # in the middle of the second save or a later one
    process.send_signal(signal.SIGKILL)
    ended(process)
    first = max(finished())

    process = started("killed", "--save-every", "50", "--resume")
    wait_for(lambda: max(finished()) > first, process)
    time.sleep(0.05)  # anywhere between two saves
    process.send_signal(signal.SIGKILL)
    ended(process)
    assert max(finished()) < 600

    code, output = ended(started("killed", "--save-every", "50", "--resume"))
    assert code == 0, output
    assert not saving()
    assert_equal(final(folder / "killed"), uninterrupted)


@pytest.mark.slow
def test_a_run_told_to_end_saves_and_goes_on(start, uninterrupted):
    started, folder = start
    process = started("ended", "--save-every", "50")
    wait_for((folder / "ended" / "checkpoints" / "50").exists, process)
    process.send_signal(signal.SIGTERM)
    code, output = ended(process)
    assert code == 0, output
    assert "ended by a signal, all is saved; continue with --resume --name ended" in output
    assert "Traceback" not in output
    code, output = ended(started("ended", "--save-every", "50", "--resume"))
    assert code == 0, output
    assert_equal(final(folder / "ended"), uninterrupted)


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def started_together(started, name, *flags, each=((), ()), experiment="iwae"):
    port = free_port()
    meeting = ("--distributed", "--coordinator", f"127.0.0.1:{port}", "--num-processes", "2", "--timeout", "100")
    flags = (*flags, *meeting)
    processes = [
        started(name, *flags, "--process-id", str(i), *own, experiment=experiment) for i, own in enumerate(each)
    ]
    return [ended(process) for process in processes]


FEW = ("--steps", "20", "--eval-every", "10", "--log-every", "10")  # rounding grows with Adam's steps


@pytest.mark.slow
def test_two_processes_equal_one(start):
    """Of a model with more than gradients to agree on: clusters of the first batch, averages and restarts of codes."""
    started, folder = start
    folder = folder.with_name("vqvae")
    code, output = ended(started("one", *FEW, experiment="vqvae"))
    assert code == 0, output
    _, expected_best, expected_reports = final(folder / "one")
    for layout in ("sharded", "pmap"):
        for code, output in started_together(started, layout, "--layout", layout, *FEW, experiment="vqvae"):
            assert code == 0, output
        _, best, reports = final(folder / layout)  # read by one process: another number of devices
        chex.assert_trees_all_close(best, expected_best, rtol=1e-3, atol=1e-4)
        for found, expected in zip(reports, expected_reports, strict=True):
            np.testing.assert_allclose(found["loss"], expected["loss"], rtol=1e-5)
        assert (folder / layout / "summary.json").exists()


@pytest.mark.slow
def test_two_processes_refuse_different_settings(start):
    started, folder = start
    results = started_together(started, "different", each=(("--seed", "0"), ("--seed", "1")))
    for code, output in results:
        assert code == 1
        assert "Traceback" not in output
        assert "error: The processes were started with different settings" in output
    assert "seed is 0 in process 0 and 1 in process 1" in results[1][1]
    assert not (folder / "different").exists()


@pytest.mark.slow
def test_a_coordinator_that_does_not_answer_is_named(start):
    started, _ = start
    address = f"127.0.0.1:{free_port()}"
    flags = ("--distributed", "--coordinator", address, "--num-processes", "2", "--process-id", "1", "--timeout", "3")
    code, output = ended(started("alone", *flags))
    assert code == 1
    assert f"error: The processes did not all meet at {address} within 3 s" in output
