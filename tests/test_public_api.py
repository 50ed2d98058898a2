import inspect
import subprocess
import sys
import types

import pytest

import jaxvae

PUBLIC = [(name, getattr(jaxvae, name)) for name in jaxvae.__all__]


def test_all_is_sorted_and_complete():
    assert len(set(jaxvae.__all__)) == len(jaxvae.__all__)
    exported = {
        name for name, value in vars(jaxvae).items() if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert exported <= set(jaxvae.__all__)


@pytest.mark.parametrize(("name", "value"), PUBLIC, ids=[name for name, _ in PUBLIC])
def test_public_name_has_a_docstring(name, value):
    assert inspect.getdoc(value)
    if isinstance(value, types.FunctionType) and inspect.signature(value).parameters:
        assert "Args:" in value.__doc__
        assert "Returns:" in value.__doc__


def test_core_imports_only_its_dependencies():
    heavy = [
        "tyro",
        "tqdm",
        "matplotlib",
        "PIL",
        "sklearn",
        "skimage",
        "mlxtend",
        "tensorboardX",
        "tensorflow_datasets",
        "scipy",
    ]
    program = f"""
import sys, jaxvae
assert not {{"jax", "numpy"}} & set(sys.modules)  # names are imported when they are used
[getattr(jaxvae, name) for name in jaxvae.__all__]
print([name for name in {heavy} if name in sys.modules])"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    # JAX itself imports scipy.
    assert result.stdout.strip() in ("[]", "['scipy']")


def test_names_are_found_when_they_are_used():
    assert jaxvae.runs.load.load is jaxvae.load  # modules of packages too
    assert set(jaxvae.__all__) <= set(dir(jaxvae))
    for package, name in ((jaxvae, "no_such_name"), (jaxvae.runs, "no_such_name"), (jaxvae, "__wrapped__")):
        with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no attribute '{name}'"):
            getattr(package, name)
