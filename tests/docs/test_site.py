"""The documentation is complete: every module has its place, and equations of docstrings are code."""

import importlib.util
import re

import pytest

import jaxvae as jv


def script(root, name):
    """A Python file of the documentation, which is no package."""
    spec = importlib.util.spec_from_file_location(name, root / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def documented(root):
    text = "\n".join(path.read_text() for path in (root / "docs" / "api").glob("*.md"))
    return re.findall(r"^::: (\S+)$", script(root, "hooks").with_modules(text, root), re.M)


def test_every_module_is_on_one_page_of_the_api(request):
    root = request.config.rootpath
    paths = [path.relative_to(root).with_suffix("") for path in (root / "jaxvae").rglob("*.py")]
    modules = {".".join(path.parts) for path in paths if path.name not in ("__init__", "__main__")}
    found = documented(root)
    assert set(found) == modules, "every package of the library has a page in docs/api/"
    assert len(found) == len(modules)


def test_public_names_come_from_documented_modules(request):
    modules = set(documented(request.config.rootpath))
    for name in jv.__all__:
        value = getattr(jv, name)
        home = getattr(value, "__module__", None)
        assert home is None or home in modules, name


def test_every_page_is_in_the_navigation(request):
    root = request.config.rootpath
    named = set(re.findall(r"\S+\.md", (root / "mkdocs.yml").read_text()))
    assert named == {str(path.relative_to(root / "docs")) for path in (root / "docs").rglob("*.md")}


def test_equations_of_docstrings_are_fenced(request):
    pytest.importorskip("griffe")
    formulas = script(request.config.rootpath, "formulas")
    text = "Return it.\n\n  y = a * b\n    + c\n\nThen words.\n\nArgs:\n  a: one.\n\n  b: two.\n"
    expected = "Return it.\n\n```text\ny = a * b\n  + c\n```\n\nThen words.\n\nArgs:\n  a: one.\n\n  b: two.\n"
    assert formulas.fenced(text) == expected
    assert formulas.fenced("One line.") == "One line."
