"""Names in files: of the library, of a person's own modules, and those that no file may use."""

import importlib
import json
import subprocess
import sys
import types

import flax.linen as nn
import pytest

from jaxvae import likelihoods
from jaxvae.errors import UserError
from jaxvae.recipes import recorded
from jaxvae.runs import names
from jaxvae.runs.description import describe, rebuild
from jaxvae.runs.names import module_name
from tests.runs.described import through_json

HOSTILE = [
    {"class": "os.system", "command": "touch hostile"},
    {"call": "os.system", "command": "touch hostile"},
    {"function": "os.system"},
    {"function": "subprocess.run"},
    {"partial": {"function": "subprocess.run"}, "arguments": [["touch", "hostile"]]},
    {"partial": {"type": "subprocess.Popen"}, "arguments": [["touch", "hostile"]]},
    {"class": "pathlib.Path"},
    {"class": "jaxvae.runs.description.importlib.import_module", "name": "antigravity"},
    {"call": "jaxvae.runs.names.importlib.import_module", "name": "antigravity"},
    {"function": "jaxvae.runs.export.save_model"},
    {"function": "jaxvae.data.cache.cached"},
    {"class": "jaxvae.Checkpoints", "folder": "hostile"},
    {"class": "jaxvae.training.checkpoint.Best", "params": 1, "model_state": 2},
    {"call": "jaxvae.nets.image.halved_sizes", "image_shape": [4, 4], "num": 1},
    {"function": "jaxvae.nets.image.math.prod"},
    {"function": "jaxvae.systems.pixels.functools.partial"},
    {"function": "jaxvae.VAE.__init__.__globals__.get"},
    {"type": "jaxvae.VAE.__class__"},
    {"function": "jax.numpy.load"},
    {"function": "jax.numpy.fromfile"},
    {"function": "jax.numpy.set_printoptions"},
    {"function": "jax.numpy.vectorize"},
    {"function": "jax.lax.while_loop"},
    {"function": "flax.linen.enable_named_call"},
    {"function": "flax.linen.jit"},
    {"function": "flax.linen.tabulate"},
    {"function": "flax.linen.linear.canonicalize_padding"},
    {"class": "flax.linen.FrozenDict"},
    {"class": "optax.EmptyState"},
    {"call": "jax.numpy.savez", "file": "hostile"},
    {"function": "numpy.load"},
    {"function": "flax.linen.linear.jax.pure_callback"},
    {"function": "jax.pure_callback"},
    {"function": "builtins.eval"},
    {"type": "builtins.type"},
    {"class": "builtins.tuple"},
    {"function": "pytest.fail"},
    {"function": "__main__.exec"},
    {"function": "antigravity.geohash"},
]


@pytest.mark.parametrize("description", HOSTILE, ids=lambda node: next(iter(map(str, node.values()))))
def test_file_names_nothing_but_parts_of_models(description, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    with pytest.raises(UserError) as error:
        rebuild({"class": "jaxvae.MLP", "hidden": [3], "activation": description})
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())
    assert "antigravity" not in set(sys.modules) - before


# ---------- modules of a person's own


@recorded
def darker(level: float = 0.5):
    """A likelihood of one's own."""
    return likelihoods.gaussian(level)


def test_constructor_of_ones_own_comes_back():
    assert describe(darker())["level"] == 0.5
    assert through_json(darker(0.2)).recipe.arguments == (("level", 0.2),)


SOURCE = """
import dataclasses
from os import system
from typing import Any, NamedTuple

import flax.linen as nn

class Row(NamedTuple):
    command: str

@dataclasses.dataclass
class Job:
    command: str

@dataclasses.dataclass(frozen=True, eq=False)
class MyParts:
    spec: Any

    def init(self, key, batch): ...
    def evaluate(self, params, model_state, keys, batch, hparams): ...
    use = ()

class MyNet(nn.Module):
    width: int

    class Inner(nn.Module):
        pass

def activation(x):
    return x

activation.alias = activation
"""


@pytest.fixture(autouse=True)
def nothing_listed(monkeypatch):
    monkeypatch.setattr(names, "_LISTED", set())


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The name of a module that can be imported."""
    name = f"own_{abs(hash(str(tmp_path)))}"
    (tmp_path / f"{name}.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)


def test_module_of_ones_own_is_used_if_it_is_imported_or_listed(module):
    net, function = {"class": f"{module}.MyNet", "width": 3}, {"function": f"{module}.activation"}
    for part in (net, function):
        with pytest.raises(UserError, match=rf"{module}\.\w+, .* import it first .*imports=\['{module}'\]"):
            rebuild(part)
    assert module not in sys.modules
    made = rebuild([net, function, {"class": f"{module}.MyNet.Inner"}], imports=[module])
    assert made[0].width == 3
    assert rebuild(net) == made[0]  # it is imported now
    assert through_json(made) == made
    # Not what it has imported itself, nor what hangs on its functions.
    for name in (f"{module}.system", f"{module}.nn.relu", f"{module}.activation.alias"):
        for imports in ((), (module,)):
            with pytest.raises(UserError):
                rebuild({"function": name}, imports)


def test_installed_package_is_used_only_if_it_is_listed(module, tmp_path, monkeypatch):
    folder = tmp_path / "site-packages"
    folder.mkdir()
    (folder / "installed_net.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(folder)
    with pytest.raises(UserError, match="import it first"):
        rebuild({"class": "installed_net.MyNet", "width": 3})
    __import__("installed_net")
    with pytest.raises(UserError, match=r"may not use: .*imports=\['installed_net'\]"):
        rebuild({"class": "installed_net.MyNet", "width": 3})
    assert rebuild({"class": "installed_net.MyNet", "width": 3}, ["installed_net"]).width == 3
    assert rebuild({"class": "installed_net.MyNet", "width": 3}).width == 3  # listed once, it counts for later loads
    del sys.modules["installed_net"]


def test_of_ones_own_modules_only_parts_are_used_unless_they_are_listed(module):
    importlib.import_module(module)
    for name in ("Job", "Row"):
        with pytest.raises(UserError, match=rf"{module}\.{name}, which a file alone may not use"):
            rebuild({"class": f"{module}.{name}", "command": "touch hostile"})
    assert rebuild({"class": f"{module}.MyParts", "spec": 1}).spec == 1
    assert rebuild({"class": f"{module}.Row", "command": "x"}, imports=[module]).command == "x"


def test_listed_module_that_does_not_exist_is_a_user_error():
    with pytest.raises(UserError, match="nowhere_at_all of `imports` cannot be imported"):
        rebuild(1, imports=["nowhere_at_all"])


def test_missing_name_of_ones_own_is_a_user_error(module):
    with pytest.raises(UserError, match=rf"{module}\.Gone, which {module} does not have"):
        rebuild({"class": f"{module}.Gone"}, imports=[module])


MAIN = (
    SOURCE
    + """
if __name__ == "__main__":
    import json, sys
    from jaxvae.runs.description import describe, rebuild

    net = MyNet(3)
    written = json.dumps(describe([net, activation]))
    other, function = rebuild(json.loads(written), imports=["toymod"])
    assert type(other) is MyNet and function is activation and "toymod" not in sys.modules
    print(written)
"""
)


def test_names_of_the_module_that_runs_are_its_real_ones(tmp_path, monkeypatch):
    (tmp_path / "toymod.py").write_text(MAIN)
    done = subprocess.run([sys.executable, "-m", "toymod"], cwd=tmp_path, capture_output=True, text=True, check=True)
    description = json.loads(done.stdout)
    assert description == [{"class": "toymod.MyNet", "width": 3}, {"function": "toymod.activation"}]
    with pytest.raises(UserError, match="toymod"):
        rebuild(description)
    monkeypatch.syspath_prepend(tmp_path)
    assert rebuild(description, imports=["toymod"])[0].width == 3
    del sys.modules["toymod"]


@pytest.mark.parametrize(("spec", "file", "name"), [
    (types.SimpleNamespace(name="package.train"), "/elsewhere/train.py", "package.train"),
    (None, "/elsewhere/train.py", "train"),
    (None, None, "__main__"),
])  # fmt: skip
def test_name_of_the_main_module(spec, file, name, monkeypatch):
    main = types.ModuleType("__main__")
    main.__spec__, main.__file__ = spec, file
    main.Net = type("Net", (nn.Module,), {"__module__": "__main__"})
    monkeypatch.setitem(sys.modules, "__main__", main)
    assert module_name("__main__") == name
    assert module_name("other") == "other"
    assert describe(main.Net()) == {"class": f"{name}.Net"}
    assert type(through_json(main.Net())) is main.Net


def test_net_of_another_notebook_is_a_user_error():
    with pytest.raises(UserError, match="__main__.Net, which a notebook defined: define it"):
        rebuild({"class": "__main__.Net"})
