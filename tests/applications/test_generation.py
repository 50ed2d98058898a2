"""Samples of a class, and at a temperature: by the probabilities that they are drawn with."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvae import UserError, bernoulli, categorical, sampling
from jaxvae.applications import generation
from jaxvae.applications.generation import labels_of, sample
from jaxvae.capabilities import Generates, GeneratesClasses, GeneratesTempered
from jaxvae.likelihoods import in_unit, logistic_mixture
from jaxvae.types import DataSpec, Samples
from tests.linear import B, W, linear_system

KEY = jax.random.key(0)
SPEC = DataSpec((1, 2, 1), 2, 3, ("a", "b", "c"))


def by_class(key, params, model_state, labels):
    """Images that say their class and the number of the sample's noise."""
    noise = jax.random.uniform(key, (len(labels),))
    x = jnp.stack([labels / 10, noise], axis=-1).reshape(-1, 1, 2, 1)
    return Samples(x, x)


def system_of_classes():
    use = (
        Generates(lambda key, params, state, num: by_class(key, params, state, jnp.arange(num) % 3)),
        GeneratesClasses(3, by_class),
        GeneratesTempered(lambda key, params, state, labels, t: by_class(key, params, state, labels * t)),
    )
    system, _ = linear_system("classes")
    return system._replace(spec=SPEC, use=use)


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(generation, "batch_size", lambda spec: 3)


def classes_of(images):
    return np.round(images[:, 0, 0, 0] * 10).astype(int).tolist()


def test_samples_are_of_the_classes_that_are_asked_for(small_batches):
    system = system_of_classes()
    draw = lambda num, **options: sample(system, {}, {}, KEY, num, **options).x  # noqa: E731
    assert classes_of(draw(5)) == [0, 1, 2, 0, 1]
    assert classes_of(draw(4, label=2)) == classes_of(draw(4, label="c")) == [2] * 4
    assert classes_of(draw(5, label=[2, 1, 0, 0, 1])) == [2, 1, 0, 0, 1]
    assert classes_of(draw(5, temperature=2.0)) == [0, 2, 4, 0, 2]
    assert classes_of(draw(2, label=1, temperature=3.0)) == [3, 3]
    np.testing.assert_array_equal(draw(5, label=1)[:, 0, 1], draw(5)[:, 0, 1])  # the noise is not of the class
    np.testing.assert_array_equal(draw(7, label=1)[:2], draw(2, label=1))


@pytest.mark.parametrize(("options", "message"), [
    ({"label": 3}, "label is 3, the classes of classes are from 0 to 2"),
    ({"label": -1}, "label is -1, the classes of classes are from 0 to 2"),
    ({"label": "d"}, "label is 'd', expected one of a, b, c"),
    ({"label": 0.5}, r"label is float64 of shape \[\], expected a class, or 4 of them"),
    ({"label": [0, 1]}, r"label is int64 of shape \[2\], expected a class, or 4 of them"),
    ({"label": True}, r"label is bool of shape \[\], expected a class, or 4 of them"),
    ({"temperature": 0}, "temperature is 0, expected a number above 0"),
    ({"temperature": -1.0}, "temperature is -1.0, expected a number above 0"),
    ({"temperature": float("nan")}, "temperature is nan, expected a number above 0"),
    ({"temperature": "hot"}, "temperature is hot, expected a number above 0"),
])  # fmt: skip
def test_what_makes_no_sense_is_refused(options, message):
    with pytest.raises(UserError, match=message):
        sample(system_of_classes(), {}, {}, KEY, 4, **options)


def test_what_a_system_cannot_do_is_one_sentence():
    system, params = linear_system()
    with pytest.raises(UserError, match="linear cannot draw images of a class: expected one of VAEs, auto"):
        labels_of(system, 0, 1, 1)
    system = system._replace(use=system.use[:1])
    with pytest.raises(UserError, match="linear cannot draw images at another temperature than 1: expected one of VAE"):
        sample(system, params, {}, KEY, 2, temperature=0.5)


def test_a_gaussian_prior_has_its_standard_deviation_scaled():
    system, params = linear_system()
    plain, cool, one = (sample(system, params, {}, KEY, 50, temperature=t).mean for t in (1.0, 0.5, 0.999999))
    centred = [image.reshape(50, 6) - B for image in (plain, cool)]
    inside = np.abs(centred[0]).max(axis=1) < 0.499  # not clipped
    assert inside.sum() > 20
    np.testing.assert_allclose(centred[1][inside], 0.5 * centred[0][inside], atol=1e-5)
    np.testing.assert_allclose(one, plain, atol=1e-5)
    assert np.linalg.matrix_rank(centred[0][inside], tol=1e-4) == W.shape[1]


@pytest.mark.parametrize("likelihood", [bernoulli(), categorical(5), in_unit(categorical(5), 5)])
def test_tempered_pixels_have_the_probabilities_to_the_power_of_its_inverse(likelihood):
    params = jax.tree.map(
        lambda leaf: jnp.linspace(-1, 2, leaf.size).reshape(leaf.shape), likelihood.param_shapes((1,))
    )
    values = range(5) if likelihood.log_pmf is None or params.size == 5 else range(2)
    unit = 4.0 if likelihood.log_pmf is None else 1.0
    log_p = jnp.stack([likelihood.log_prob(params, jnp.full((1,), v / unit)) for v in values])
    tempered = likelihood.tempered(params, 0.5)
    found = jnp.stack([likelihood.log_prob(tempered, jnp.full((1,), v / unit)) for v in values])
    np.testing.assert_allclose(found, jax.nn.log_softmax(log_p / 0.5), atol=1e-5)
    draw = sampling.tempered_draw(likelihood, 1.0)
    np.testing.assert_array_equal(draw(KEY, params), likelihood.sample(KEY, params))
    cold = sampling.tempered_draw(likelihood, 1e-3)
    assert cold(KEY, params)[0] * unit == np.argmax(log_p)


def test_pixels_without_probabilities_have_no_temperature():
    with pytest.raises(ValueError, match="expected a likelihood of these"):
        sampling.tempered_draw(logistic_mixture(2), 0.5)


def test_what_is_not_wanted_is_not_given(small_batches):
    system = system_of_classes()
    both = sample(system, {}, {}, KEY, 5)
    for wanted, other in (("x", "mean"), ("mean", "x")):
        found = sample(system, {}, {}, KEY, 5, only=wanted)
        np.testing.assert_array_equal(getattr(found, wanted), getattr(both, wanted))
        assert getattr(found, other) is None
