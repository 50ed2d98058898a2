"""Who may import whom: from the ground up, no circles, nothing hidden in functions but optional packages."""

import ast
import functools
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# From the ground up: a file imports from floors below, and from its own without circles.
FLOORS = [
    {"choices", "docstrings"},  # which do not need JAX
    {"types", "errors", "keys", "numerics", "recipes", "capabilities", "codable", "progress", "lazy", "exits"}
    | {"labelled"},
    {"distributions", "objectives", "schedules", "penalties", "targets"},
    {"nets", "likelihoods", "priors", "posteriors", "flows", "quantizers"},
    {"models", "sampling"},
    {"data", "training", "evaluation", "viz"},
    {"systems"},
    {"applications"},
    {"runs"},
    {"reports", "explorer", "exchange"},
    {"studies"},
    {"commands"},
    {"__main__"},
    {"__init__"},
]
# Optional or slow packages: imported where they are used.
INSIDE_FUNCTIONS = {
    "constriction",
    "jax2onnx",
    "matplotlib",
    "mlxtend",
    "onnxruntime",
    "orbax",
    "PIL",
    "pillow_jxl",
    "scipy",
    "skimage",
    "sklearn",
    "tensorboardX",
    "tensorflow_datasets",
    "tqdm",
    "tyro",
}
LONGEST_FILE, LONGEST_FUNCTION = 300, 60  # lines; of functions those of code
# Experiments of several stages, or that compare kinds of models: what they use of the others.
USED = {
    "semi_supervised": {"autoencoder": {"Config", "build"}},
    "sharpness": {name: {"Config", "build"} for name in ("pixel_vae", "vqvae", "vqvae_prior")},
    "stacked_autoencoder": {"autoencoder": {"ActivationName", "Config", "Net", "build"}},
    "vqvae_prior": {"vqvae": {"Config", "build"}},
}


@functools.cache
def files(package):
    return sorted((ROOT / package).rglob("*.py"))


def name_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports_of(path):
    """Full names of what a file imports, those under TYPE_CHECKING and in functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@functools.cache
def graph():
    """Every module of the library with the modules that it imports; a package stands for its `__init__`."""
    modules = {name_of(path): path for path in files("jaxvae")}

    def module_of(name):
        while name not in modules:
            name = name.rpartition(".")[0]
            if not name:
                return None
        return name

    edges = {}
    for name, path in modules.items():
        targets = {module_of(target) for target in imports_of(path) if target.split(".")[0] == "jaxvae"}
        edges[name] = targets - {None, name}
    return edges


def floor_of(module):
    parts = module.split(".")
    part = parts[1] if len(parts) > 1 else "__init__"
    return next(i for i, floor in enumerate(FLOORS) if part in floor)


def test_every_module_is_on_a_floor_and_imports_from_below():
    upward = [
        (module, target)
        for module, targets in graph().items()
        for target in targets
        # `from jaxvae import distributions` names a module on its floor; the package itself is on top.
        if target != "jaxvae" and floor_of(target) > floor_of(module)
    ]
    assert upward == []


def test_no_module_takes_names_of_the_package_itself():
    modules = set(graph())
    for path in files("jaxvae"):
        if name_of(path) != "jaxvae":
            taken = {name for name in imports_of(path) if name.startswith("jaxvae.") and name.count(".") == 1}
            assert taken <= modules, f"{path} imports {taken - modules} from jaxvae itself"


def test_there_are_no_circles():
    edges = {module: {t for t in targets if t != "jaxvae"} for module, targets in graph().items()}

    def reachable(start):
        seen, todo = set(), [start]
        while todo:
            for target in edges[todo.pop()] - seen:
                seen.add(target)
                todo.append(target)
        return seen

    assert [module for module in edges if module in reachable(module)] == []


def test_imports_inside_functions_are_of_optional_packages_alone():
    for path in [*files("jaxvae"), *files("experiments"), *files("benchmarks")]:
        for function in ast.walk(ast.parse(path.read_text())):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for node in ast.walk(function):
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom):
                    names = [node.module]
                else:
                    continue
                allowed = INSIDE_FUNCTIONS | ({"torch", "threadpoolctl"} if path.parts[-2] == "benchmarks" else set())
                assert {name.split(".")[0] for name in names} <= allowed, f"{path}:{node.lineno} imports {names}"


@pytest.mark.parametrize("package", ["jaxvae", "benchmarks"])
def test_no_experiment_is_imported(package):
    for path in files(package):
        assert not {name for name in imports_of(path) if name.split(".")[0] == "experiments"}, path


def test_experiments_are_front_doors():
    for path in files("experiments"):
        found = {name.removeprefix("experiments.") for name in imports_of(path) if name.split(".")[0] == "experiments"}
        assert found <= set(USED.get(path.stem, {})), f"{path} imports {found}"
        assert path.parent == ROOT / "experiments"


def test_experiments_share_what_builds_them_alone():
    for path in files("experiments"):
        names = USED.get(path.stem, {})
        used = {name: set() for name in names}
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in names:
                used[node.value.id].add(node.attr)
        assert used == names, f"{path}: what others need belongs into the library"


def test_files_are_short():
    lengths = {path: len(path.read_text().splitlines()) for path in files("jaxvae")}
    assert {str(path.relative_to(ROOT)): n for path, n in lengths.items() if n > LONGEST_FILE} == {}
    assert sorted(lengths.values())[len(lengths) // 2] <= 120


def code_lines(function, source):
    """The number of lines of a function with code: no docstrings, comments and empty lines."""
    texts = [
        node.body[0]
        for node in ast.walk(function)
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None
    ]
    left_out = {line for text in texts for line in range(text.lineno, text.end_lineno + 1)}
    lines = range(function.lineno, function.end_lineno + 1)
    return sum(n not in left_out and source[n - 1].strip()[:1] not in ("", "#") for n in lines)


@pytest.mark.parametrize("package", ["jaxvae", "experiments", "benchmarks"])
def test_functions_are_short(package):
    lengths = {}
    for path in files(package):
        source = path.read_text()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef):
                lengths[f"{path.relative_to(ROOT)}: {node.name}"] = code_lines(node, source.splitlines())
    assert {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION} == {}


def test_lines_of_code_are_counted_without_docstrings_comments_and_empty_lines():
    lines = ["def f():", '    """One.', "", "    Two.", '    """', "    # why", "", "    def g():", "        return 1"]
    assert code_lines(ast.parse("\n".join(lines)).body[0], lines) == 3


def test_modules_of_systems_are_not_hidden_by_functions():
    """`import jaxvae.systems.NAME as m` gives the module."""
    names = {path.stem for path in (ROOT / "jaxvae" / "systems").glob("*.py")}
    (exported,) = [
        node
        for node in ast.parse((ROOT / "jaxvae/systems/__init__.py").read_text()).body
        if "__all__" in ast.unparse(node)
    ]
    assert not names & set(ast.literal_eval(exported.value))
