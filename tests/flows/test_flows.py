"""What all flows have in common: a new one is a line in `FLOWS`."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae import flows
from jaxvae.distributions import standard_normal_log_prob
from jaxvae.flows.autoregressive import AutoregressiveFlow
from jaxvae.flows.coupling import CouplingFlow
from jaxvae.flows.inverted import Inverted
from jaxvae.flows.radial import RadialFlow
from jaxvae.flows.spline import SplineCouplingFlow
from jaxvae.flows.sylvester import SylvesterFlow
from jaxvae.posteriors import FlowPosterior, GaussianPosterior
from jaxvae.priors import FlowPrior

NUM_SAMPLES, NUM_EXAMPLES, NUM_FEATURES = 3, 4, 5
CONTEXT = np.random.default_rng(7).standard_normal((NUM_EXAMPLES, NUM_FEATURES), np.float32)

# (D, K) -> module. Those named in AMORTIZED take a context.
FLOWS = {
    "planar": flows.PlanarFlow,
    "planar, amortized": functools.partial(flows.PlanarFlow, amortized=True),
    "radial": RadialFlow,
    "radial, amortized": functools.partial(RadialFlow, amortized=True),
    "sylvester, orthogonal": functools.partial(SylvesterFlow, kind="orthogonal", num_columns=2),
    "sylvester, householder": functools.partial(SylvesterFlow, kind="householder", num_reflections=2),
    "sylvester, triangular": functools.partial(SylvesterFlow, kind="triangular"),
    "sylvester, orthogonal, amortized": functools.partial(
        SylvesterFlow, kind="orthogonal", num_columns=2, amortized=True
    ),
    "sylvester, householder, amortized": functools.partial(
        SylvesterFlow, kind="householder", num_reflections=2, amortized=True
    ),
    "sylvester, triangular, amortized": functools.partial(SylvesterFlow, kind="triangular", amortized=True),
    "coupling": functools.partial(CouplingFlow, hidden=(8, 4)),
    "coupling, linear": functools.partial(CouplingFlow, hidden=(8, 4), mixing="linear"),
    "coupling, amortized": functools.partial(CouplingFlow, hidden=(8, 4), amortized=True),
    "spline": functools.partial(SplineCouplingFlow, hidden=(8, 4)),
    "iaf": functools.partial(AutoregressiveFlow, hidden=(8, 8)),
    "iaf, amortized": functools.partial(AutoregressiveFlow, hidden=(8, 8), amortized=True),
    "maf": lambda dim, num_flows: Inverted(AutoregressiveFlow(dim, num_flows, hidden=(8, 8))),
}
AMORTIZED = {name for name in FLOWS if name.endswith("amortized")}
OWN = [name for name in FLOWS if name not in AMORTIZED]  # the same maths without a context


def context_of(name, num_examples=NUM_EXAMPLES):
    return CONTEXT[:num_examples] if name in AMORTIZED else None


@pytest.fixture(scope="module", params=FLOWS)  # all tests of a flow follow each other and share its programs
def name(request):
    return request.param


def made(name, dim=3, num_flows=4, scale=0.7):
    """A flow with parameters that are far from their initial values, some of which make an identity."""
    flow, generator = FLOWS[name](dim, num_flows), np.random.default_rng(1)
    draw = lambda leaf: generator.standard_normal(leaf.shape, np.float32)  # noqa: E731
    fan_in = lambda leaf: leaf.shape[-2] if leaf.ndim > 2 else 4  # noqa: E731 (leaves are stacked: [K, F] is no kernel)
    shapes = jax.eval_shape(flow.init, jax.random.key(0), latents(dim), context_of(name))
    return flow, jax.tree.map(lambda leaf: np.float32(scale / fan_in(leaf) ** 0.5) * draw(leaf), shapes)


def latents(dim=3, scale=1.5):
    return np.float32(scale) * np.random.default_rng(3).standard_normal((NUM_SAMPLES, NUM_EXAMPLES, dim), np.float32)


@functools.cache
def compiled(flow, method):
    return jax.jit(functools.partial(flow.apply, method=method))


def apply(name, z, method="__call__", **options):
    flow, params = made(name, z.shape[-1], **options)
    return compiled(flow, method)(params, z, context_of(name, z.shape[1]))


def test_log_det_equals_that_of_the_jacobian(name):
    z = latents()
    flow, params = made(name)

    def one(z, context):
        context = None if context_of(name) is None else context[None]
        return flow.apply(params, z[None, None], context)[0][0, 0]

    jacobians = jax.jit(jax.vmap(jax.vmap(jax.jacfwd(one)), in_axes=(0, None)))(z, CONTEXT)
    y, log_det = apply(name, z)
    assert y.shape == z.shape
    assert log_det.shape == z.shape[:2]
    expected = np.linalg.slogdet(np.asarray(jacobians, np.float64))[1]
    np.testing.assert_allclose(log_det, expected, rtol=2e-4, atol=2e-4)
    assert np.std(expected) > 1e-3  # the parameters are such that there is something to see
    assert not np.allclose(y, z, atol=1e-2)


def test_inverse_undoes_the_flow_and_has_its_log_det(name):
    z = latents()
    y, log_det = apply(name, z)
    back, log_det_there = apply(name, y, method="inverse")
    np.testing.assert_allclose(back, z, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(log_det_there, log_det, rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("name", OWN, scope="module")
def test_gradients_of_the_inverse_are_those_of_the_implicit_function(name):
    flow, params = made(name)
    y = latents()[:1]

    def back_and_forth(params, y):
        z, _ = flow.apply(params, y, context_of(name), method="inverse")
        return flow.apply(params, z, context_of(name))[0]

    # f(f^-1(y)) = y whatever the parameters: their gradient is 0, and that of y is the identity.
    weights = jnp.cos(jnp.arange(y.size, dtype=jnp.float32)).reshape(y.shape)
    loss = lambda params, y: jnp.sum(weights * back_and_forth(params, y))  # noqa: E731
    of_params, of_y = jax.jit(jax.grad(loss, argnums=(0, 1)))(params, y)
    np.testing.assert_allclose(of_y, weights, rtol=5e-3, atol=5e-3)
    for leaf in jax.tree.leaves(of_params):
        np.testing.assert_allclose(leaf, np.zeros(leaf.shape), atol=2e-2)


@pytest.mark.parametrize("name", OWN, scope="module")
def test_density_integrates_to_one(name):
    num, half = 400, 12.0
    axis = (np.arange(num, dtype=np.float32) + 0.5) / num * 2 * half - half
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 1, 2)
    z, log_det = apply(name, grid, method="inverse", num_flows=2, scale=0.4)
    log_prob = jax.vmap(jax.vmap(standard_normal_log_prob))(z) - log_det
    mass = np.sum(np.exp(np.asarray(log_prob, np.float64))) * (2 * half / num) ** 2
    np.testing.assert_allclose(mass, 1.0, atol=5e-3)


def test_values_and_gradients_are_finite_at_extremes(name):
    flow = made(name)[0]

    def total(params, z):
        y, log_det = flow.apply(params, z, context_of(name))
        return jnp.sum(jnp.tanh(y)) + jnp.sum(jnp.tanh(log_det)), (y, log_det)

    gradient = jax.jit(jax.grad(total, argnums=(0, 1), has_aux=True))
    initial = jax.jit(flow.init)(jax.random.key(0), latents(), context_of(name))
    for scale, params in ("initial", initial), ("large", made(name, scale=60.0)[1]):
        for z in (latents(scale=100.0), jnp.zeros((NUM_SAMPLES, NUM_EXAMPLES, 3))):
            for leaf in jax.tree.leaves(gradient(params, z)):
                assert np.all(np.isfinite(leaf)), scale


def test_the_program_does_not_grow_with_the_number_of_flows(name):
    sizes = []
    for num_flows in (2, 6):
        flow, arguments = FLOWS[name](3, num_flows), (latents(), context_of(name))
        params = jax.eval_shape(flow.init, jax.random.key(0), *arguments)
        text = jax.jit(flow.apply).lower(params, *arguments).as_text()
        sizes.append(len(text.splitlines()))
    assert sizes[0] == sizes[1]


def test_no_flow_is_the_identity(name):
    z = latents()
    y, log_det = apply(name, z, num_flows=0)
    np.testing.assert_array_equal(y, z)
    np.testing.assert_array_equal(log_det, np.zeros(z.shape[:2]))


def test_an_example_does_not_depend_on_the_others(name):
    z, context = latents(), context_of(name)
    flow, params = made(name)
    y, log_det = apply(name, z)
    others = np.arange(NUM_EXAMPLES) != 1
    z[:, others] *= -2.0
    context = None if context is None else context + np.float32(others[:, None])
    changed, log_det_changed = compiled(flow, "__call__")(params, z, context)
    np.testing.assert_allclose(changed[:, 1], y[:, 1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(log_det_changed[:, 1], log_det[:, 1], rtol=1e-5, atol=1e-6)


def test_amortized_flows_depend_on_the_context(name):
    z = jnp.broadcast_to(latents()[:, :1], (NUM_SAMPLES, NUM_EXAMPLES, 3))
    y, _ = apply(name, z)
    differ = np.abs(np.asarray(y[:, 1:] - y[:, :1])).max(axis=-1) > 1e-3
    assert np.all(differ == (name in AMORTIZED))


def test_mistakes_are_named(name):
    flow, params = made(name)
    kind = type(flow).__name__
    with pytest.raises(ValueError, match=rf"z of {kind} has shape \[3, 4, 2\], expected \[any, any, 3\]"):
        flow.apply(params, latents(dim=2), context_of(name))
    with pytest.raises(ValueError, match=f"{kind} has num_flows -1, expected at least 0"):
        FLOWS[name](3, -1).init(jax.random.key(0), latents(), context_of(name))
    with pytest.raises(ValueError, match=rf"context of {kind} has shape \[3, 5\], expected \[4, any\]"):
        flow.apply(params, latents(), CONTEXT[:3])
    if name in AMORTIZED:
        with pytest.raises(ValueError, match=rf"{kind} depend on a context, expected \[B, F\], got None"):
            flow.apply(params, latents())
    within = type(flow.flow).__name__ if isinstance(flow, Inverted) else kind
    with pytest.raises(
        ValueError, match=f"of {within} has shape .*expected|{within} has parameters of 4 flows, expected 5"
    ):
        FLOWS[name](3, 5).apply(params, latents(), context_of(name))


@pytest.mark.parametrize("function", [flows.chain, flows.chain_inverse])
def test_a_chain_of_different_numbers_of_flows_is_refused(function):
    params = flows.PlanarParams(jnp.zeros((3, 2)), jnp.zeros((5, 2)), jnp.zeros(3))
    with pytest.raises(ValueError, match="A chain has parameters of 3 and 5 flows, expected one number"):
        function(flows.planar, params, jnp.zeros(2))


@pytest.mark.parametrize(
    ("function", "argument", "message"),
    [
        (flows.orthonormal, jnp.ones((2, 3)), "Of 2 dimensions there are no 3 orthonormal columns"),
        (flows.orthonormal, jnp.ones(3), "columns to be orthonormal has shape"),
        (flows.householder, jnp.ones(3), "vectors of reflections has shape"),
        (functools.partial(flows.autoregressive_inverse, lambda z: z), jnp.zeros(()), "y of an autoregressive flow"),
    ],
)
def test_formulas_refuse_other_shapes(function, argument, message):
    with pytest.raises(ValueError, match=message):
        function(argument)


class ForwardAlone(nn.Module):
    """A flow that nobody can undo."""

    latent_dim: int = 3
    num_flows: int = 1

    def __call__(self, z, context=None):
        return z, jnp.zeros(z.shape[:2])


def test_an_inverse_that_does_not_exist_is_named():
    flow, z = ForwardAlone(), latents()
    posterior = FlowPosterior(GaussianPosterior(3), flow)
    keys = jax.random.split(jax.random.key(0), NUM_EXAMPLES)
    params = posterior.init(jax.random.key(0), keys, CONTEXT, 2)
    for asked in (
        lambda: Inverted(flow).apply({}, z),
        lambda: FlowPrior(flow).apply({}, z, method="log_prob"),
        lambda: posterior.apply(params, CONTEXT, z, method="log_prob"),
    ):
        with pytest.raises(ValueError, match="ForwardAlone has no inverse, expected a flow that has one"):
            asked()
