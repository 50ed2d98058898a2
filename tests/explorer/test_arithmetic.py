"""The JavaScript of the page computes what JAX computes: every operation, in a browser."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae import sampling
from jaxvae.explorer.page import SCRIPTS
from jaxvae.explorer.programs import program_of
from jaxvae.explorer.weights import Weights
from tests.explorer.functions import CASES

ARITHMETIC = SCRIPTS[: SCRIPTS.index("images")]
# JSON has no numbers that are not finite.
RUN = """JSON.stringify((() => {
  const run = prepared(%s, decodedWeights(%s));
  const inputs = %s.map((numbers) => Float32Array.from(numbers));
  run(...inputs.map((input) => input.map(() => 0.3)));
  return run(...inputs).map((output) => Array.from(output, String));
})())"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def scripts(browser, request, tmp_path_factory):
    folder = request.config.rootpath / "jaxvae" / "explorer" / "page"
    texts = [(folder / f"{name}.js").read_text() for name in ARITHMETIC]
    path = tmp_path_factory.mktemp("scripts") / "scripts.html"
    path.write_text("<meta charset=utf-8><script>" + "\n".join(texts) + "</script>")
    browser.open(path)
    return browser


@pytest.mark.parametrize("name", CASES)
def test_operations_give_what_jax_gives(name, scripts):
    case = CASES[name]
    inputs, weights = case.inputs(), Weights()
    described = weights.described(program_of(lambda _, *x: case.function(*x), (), *inputs))
    given = json.dumps([x.ravel().tolist() for x in inputs])
    found = json.loads(scripts.evaluate(RUN % (json.dumps(described), json.dumps(weights.packed()), given)))
    expected = jax.tree.leaves(jax.jit(case.function)(*inputs))
    assert len(found) == len(expected)
    for i, (texts, b) in enumerate(zip(found, expected, strict=True)):
        numbers = [float(text.replace("Infinity", "inf")) for text in texts]
        np.testing.assert_allclose(
            numbers, np.asarray(b, np.float64).ravel(), rtol=1e-5, atol=case.atol, err_msg=f"number {i}"
        )


def test_normal_distribution(scripts):
    from scipy.stats import norm

    p = [1e-6, 0.001, 0.02, 0.3, 0.5, 0.77, 0.98, 0.9999]
    found = scripts.evaluate(f"{p}.map(quantile)")
    np.testing.assert_allclose(found, norm.ppf(p), atol=1e-7)
    x = [-5.0, -2.0, -0.1, 0.0, 0.7, 3.0]
    np.testing.assert_allclose(scripts.evaluate(f"{x}.map(probability)"), norm.cdf(x), rtol=3e-7)
    assert scripts.evaluate("[quantile(0), quantile(1)].map(String)") == ["-Infinity", "Infinity"]


def test_random_numbers_are_normal_and_those_of_the_seed(scripts):
    draws = np.array(scripts.evaluate("Array.from(normals(randomNumbers(7), 20000))"))
    np.testing.assert_allclose([draws.mean(), draws.std()], [0, 1], atol=0.03)
    assert abs((draws**3).mean()) < 0.12
    assert abs(np.corrcoef(draws[1:], draws[:-1])[0, 1]) < 0.02
    again = scripts.evaluate("Array.from(normals(randomNumbers(7), 5))")
    assert again == draws[:5].tolist()
    assert again != scripts.evaluate("Array.from(normals(randomNumbers(8), 5))")


def test_float16_numbers_are_read_exactly(scripts):
    bits = np.arange(65536, dtype=np.uint16)
    found = np.array([float(x.replace("Infinity", "inf")) for x in scripts.evaluate("Array.from(HALVES, String)")])
    np.testing.assert_array_equal(found, bits.view(np.float16).astype(np.float64))


PAIRS = ([1.0, 2.0, -1.0], [-0.5, 1.0, 2.0]), ([1.0, 1.0], [2.0, 2.0]), ([0.0, 0.0], [1.0, 2.0])


@pytest.mark.parametrize("pair", PAIRS)
def test_path_is_that_of_the_library(pair, scripts):
    a, b = pair
    expected = sampling.spherical(jnp.array(a), jnp.array(b), 5)
    ends = f"Float32Array.from({a}), Float32Array.from({b})"
    found = scripts.evaluate(f"[0, 0.25, 0.5, 0.75, 1].map((t) => Array.from(onArc({ends}, t)))")
    np.testing.assert_allclose(found, expected, atol=1e-5)
