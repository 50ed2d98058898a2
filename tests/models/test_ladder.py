"""The ladder against the paper's algorithm written with loops, and its normalisation on several replicas."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit, log_softmax

from jaxvae.models import LadderNetwork
from tests.drawn import normal_like

NET = LadderNetwork(num_classes=3, hidden=(5, 4), noise=0.2)
X = np.random.default_rng(0).random((6, 2, 4, 1), np.float32)
KEYS = jax.random.split(jax.random.key(0), 6)
WEIGHTS = np.array([1, 0, 1, 1, 1, 0], np.float32)


@pytest.fixture(scope="module")
def variables():
    shapes = jax.eval_shape(lambda: NET.init(jax.random.key(0), None, jnp.zeros((2, 2, 4, 1))))
    found = normal_like(shapes, 0.4)
    stats = jax.tree.map(lambda leaf: np.abs(leaf) + 0.5, found["batch_stats"]) | {"steps": np.float32(200)}
    return {"params": found["params"], "batch_stats": stats}


def normalised(z, weights):
    mean = np.average(z, axis=0, weights=weights)
    deviation = np.sqrt(np.average((z - mean) ** 2, axis=0, weights=weights) + 1e-6)
    return (z - mean) / deviation, mean, deviation


def algorithm(p):
    """log q(y | x) and costs [6, 4] of the paper's algorithm 1, and the clean encoder's means and deviations."""
    x, widths = X.reshape(6, 8).astype(np.float64), (8, 5, 4, 3)
    drawn = 0.2 * np.stack([jax.random.normal(key, (20,)) for key in KEYS])
    noise = np.split(drawn, np.cumsum(widths)[:-1], axis=1)

    def up(h, noise):
        zs, stats = [h], [(0.0, 1.0)]
        for i in (1, 2, 3):
            z, mean, deviation = normalised(h @ p[f"kernel_{i}"], WEIGHTS)
            z = z + noise[i]
            zs.append(z)
            stats.append((mean, deviation))
            h = np.maximum(z + p[f"beta_{i}"], 0) if i < 3 else p["gamma"] * (z + p["beta_3"])
        return zs, stats, log_softmax(h, axis=1)

    clean, stats, _ = up(x, [0, 0, 0, 0])
    noisy, _, log_q = up(x + noise[0], noise)
    costs, above = [None] * 4, np.exp(log_q)
    for i in (3, 2, 1, 0):
        u, *_ = normalised(above if i == 3 else above @ p[f"down_{i + 1}"], WEIGHTS)
        a = p[f"combine_{i}"]
        mean = a[0] * expit(a[1] * u + a[2]) + a[3] * u + a[4]
        gain = a[5] * expit(a[6] * u + a[7]) + a[8] * u + a[9]
        above = (noisy[i] - mean) * gain + mean
        costs[i] = np.mean((clean[i] - (above - stats[i][0]) / stats[i][1]) ** 2, axis=1)
    return log_q, np.stack(costs, axis=1), stats


def test_terms_equal_the_algorithm(variables):
    log_q, costs, stats = algorithm(variables["params"])
    run = jax.jit(lambda variables, x: NET.apply(variables, KEYS, x, WEIGHTS, train=True, mutable=["batch_stats"]))
    terms, state = run(variables, X)
    np.testing.assert_allclose(terms.log_q, log_q, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(terms.costs, costs, rtol=2e-3, atol=1e-4)
    before = variables["batch_stats"]
    want = 0.99 * before["mean_2"] + 0.01 * stats[2][0]
    np.testing.assert_allclose(state["batch_stats"]["mean_2"], want, rtol=1e-4, atol=1e-5)
    want = 0.99 * before["variance_1"] + 0.01 * (stats[1][1] ** 2 - 1e-6)
    np.testing.assert_allclose(state["batch_stats"]["variance_1"], want, rtol=1e-4, atol=1e-5)


def test_gradients_equal_finite_differences_of_the_algorithm(variables):
    """They go through decoder, noisy encoder and the clean targets with their moments, all of them."""
    generator = np.random.default_rng(1)
    of_classes, of_costs = generator.standard_normal((6, 3)), generator.standard_normal((6, 4))

    def total(params):
        terms, _ = NET.apply({**variables, "params": params}, KEYS, X, WEIGHTS, train=True, mutable=["batch_stats"])
        return jnp.sum(terms.log_q * np.float32(of_classes)) + jnp.sum(terms.costs * np.float32(of_costs))

    # Without dead units, whose deviation is nothing, so that no layer's cost is all there is of the sum.
    params = {name: leaf + 1.0 if name.startswith("beta") else leaf for name, leaf in variables["params"].items()}
    gradients = jax.jit(jax.grad(total))(params)
    exact = jax.tree.map(np.float64, params)
    for name, leaf in exact.items():
        direction = generator.standard_normal(leaf.shape)

        def moved(step, name=name, leaf=leaf, direction=direction):
            log_q, costs, _ = algorithm({**exact, name: leaf + step * direction})
            return np.sum(log_q * of_classes) + np.sum(costs * of_costs)

        expected = (moved(1e-5) - moved(-1e-5)) / 2e-5
        assert abs(expected) > 1.0, name
        np.testing.assert_allclose(np.sum(gradients[name] * direction), expected, rtol=5e-4, err_msg=name)


def test_evaluation_goes_by_the_averages_and_each_image_alone(variables):
    whole = NET.apply(variables, None, X)
    alone = NET.apply(variables, None, X[2:3])
    np.testing.assert_allclose(whole.log_q[2:3], alone.log_q, rtol=1e-4, atol=1e-5)
    assert not np.any(whole.costs)
    p, stats = variables["params"], variables["batch_stats"]
    h = X.reshape(6, 8)
    for i in (1, 2, 3):
        z = (h @ p[f"kernel_{i}"] - stats[f"mean_{i}"]) / np.sqrt(stats[f"variance_{i}"] + 1e-6)
        h = np.maximum(z + p[f"beta_{i}"], 0) if i < 3 else p["gamma"] * (z + p["beta_3"])
    np.testing.assert_allclose(whole.log_q, jax.nn.log_softmax(h), rtol=1e-3, atol=1e-4)


def test_averages_begin_with_the_first_batch(variables):
    before = variables["batch_stats"] | {"steps": np.float32(0)}
    first = {"params": variables["params"], "batch_stats": before}
    _, state = NET.apply(first, KEYS, X, WEIGHTS, train=True, mutable=["batch_stats"])
    _, mean, _ = normalised(X.reshape(6, 8) @ variables["params"]["kernel_1"], WEIGHTS)
    np.testing.assert_allclose(state["batch_stats"]["mean_1"], mean, rtol=1e-4, atol=1e-5)
    assert state["batch_stats"]["steps"] == 1


def test_replicas_normalise_by_the_whole_batch(variables):
    def run(keys, x, weights, axis_name=None):
        return NET.apply(variables, keys, x, weights, train=True, axis_name=axis_name, mutable=["batch_stats"])

    whole, state = jax.jit(run)(KEYS, X, WEIGHTS)
    apart = jax.vmap(functools.partial(run, axis_name="data"), axis_name="data")
    parts, states = jax.jit(apart)(KEYS.reshape(3, 2), X.reshape(3, 2, 2, 4, 1), WEIGHTS.reshape(3, 2))
    np.testing.assert_allclose(parts.costs.reshape(6, -1), whole.costs, rtol=1e-3, atol=1e-4)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[1], b, rtol=1e-4, atol=1e-5), states, state)


def test_a_batch_of_known_classes_alone_is_normalised_by_itself(variables):
    run = lambda weights: NET.apply(variables, KEYS, X, weights, train=True, mutable=["batch_stats"])[0]  # noqa: E731
    jax.tree.map(np.testing.assert_array_equal, run(np.zeros(6, np.float32)), run(None))
