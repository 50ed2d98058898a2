"""Autoregressive nets against pixel by pixel loops in float64, written from the papers' equations.

A context is a vector of every image, as that of a class, or a map with a vector of every pixel.
"""

import functools

import jax
import numpy as np
import pytest
from scipy.special import expit, softmax

from jaxvae.nets import PixelCNN, PixelRNN, Transformer

SIZE, NUM, INPUTS, FEATURES, CONTEXT = (3, 4), 2, 2, 4, 3
CONTEXTS = {"none": None, "vector": (NUM, CONTEXT), "map": (NUM, *SIZE, CONTEXT)}


@functools.cache
def made(make, context):
    """A net's features for some parameters far from the initial ones; and these, inputs and context in float64."""
    net, generator = make(), np.random.default_rng(0)
    draw = lambda shape: generator.standard_normal(shape, np.float32)  # noqa: E731
    h, shape = draw((NUM, *SIZE, INPUTS)), CONTEXTS[context]
    given = None if shape is None else draw(shape)
    shapes = jax.eval_shape(net.init, jax.random.key(0), h, given)
    params = jax.tree.map(lambda leaf: draw(leaf.shape) / np.float32(np.prod(leaf.shape[:-1]) ** 0.5), shapes)["params"]
    features = jax.jit(net.apply)({"params": params}, h, given)
    exact = jax.tree.map(np.float64, (params, h))
    return np.asarray(features), *exact, None if given is None else np.float64(given)


def context_of(context, i, j):
    """What a pixel of one image is given, [F]."""
    return context if context.ndim == 1 else context[i, j]


def window(x, rows, columns):
    """The vectors [rows, columns, C] of a map [H, W, C], zeros outside of it."""
    inside = lambda i, j: 0 <= i < x.shape[0] and 0 <= j < x.shape[1]  # noqa: E731
    return np.array([[x[i, j] if inside(i, j) else np.zeros(x.shape[2]) for j in columns] for i in rows])


def convolved(layer, vectors):
    return np.tensordot(vectors, layer["kernel"], 3) + layer["bias"]


def gated(h):
    """Eq. 2 of van den Oord et al. 2016: tanh of the first half, the sigmoid of the second opens."""
    return np.tanh(h[:FEATURES]) * expit(h[FEATURES:])


def slow_pixelcnn(p, inputs, context, num_layers=3, reach=2):
    """Figure 2 and eq. 4 of "Conditional Image Generation with PixelCNN Decoders", layer by layer, pixel by pixel."""
    height, width = inputs.shape[:2]
    v = h = inputs
    for layer in range(num_layers):
        new_v, new_h = np.zeros((height, width, FEATURES)), np.zeros((height, width, FEATURES))
        for i, j in np.ndindex(height, width):
            if layer == 0:  # what lies strictly above, and strictly to the left
                seen_v = window(v, range(i - reach, i), range(j - reach, j + reach + 1))
                seen_h = window(h, [i], range(j - reach, j))
            else:  # these features know of what comes before their own pixel alone
                seen_v, seen_h = window(v, [i - 1, i], [j - 1, j, j + 1]), window(h, [i], [j - 1, j])
            a, b = convolved(p[f"vertical_{layer}"], seen_v), convolved(p[f"horizontal_{layer}"], seen_h)
            if context is not None:
                terms = context_of(context, i, j) @ p[f"of_context_{layer}"]["kernel"]
                a, b = a + terms[: 2 * FEATURES], b + terms[2 * FEATURES :]
            out = gated(b + a @ p[f"link_{layer}"]["kernel"]) @ p[f"out_{layer}"]["kernel"]
            new_v[i, j], new_h[i, j] = gated(a), out if layer == 0 else h[i, j] + out
        v, h = new_v, new_h
    return h


def slow_lstm(weights, of_input, mirrored):
    """Outputs [H, W, p] of an LSTM whose state follows from those beside and above, eq. 3 of the paper."""
    height, width = of_input.shape[:2]
    cells, outputs = (np.zeros((height + 1, width + 2, FEATURES)) for _ in range(2))  # a border of zeros
    step = 1 if mirrored else -1
    for i in range(height):
        for j in reversed(range(width)) if mirrored else range(width):
            before = np.concatenate([outputs[i + 1, j + 1 + step], outputs[i, j + 1]])
            enter, keep, leave, new = np.split(of_input[i, j] + before @ weights, 4)
            cell = expit(keep) * cells[i + 1, j + 1 + step] + expit(enter) * np.tanh(new)
            cells[i + 1, j + 1], outputs[i + 1, j + 1] = cell, expit(leave) * np.tanh(cell)
    return outputs[1:, 1:-1]


def slow_pixelrnn(p, inputs, context, num_layers=2, reach=2):
    """The diagonal BiLSTM of "Pixel Recurrent Neural Networks", sec. 3.2 and 3.3."""
    height, width = inputs.shape[:2]
    x = np.zeros((height, width, FEATURES))
    for i, j in np.ndindex(height, width):
        above = window(inputs, range(i - reach, i), range(j - reach, j + reach + 1))
        x[i, j] = convolved(p["above"], above) + convolved(p["beside"], window(inputs, [i], range(j - reach, j)))
        if context is not None:
            x[i, j] += context_of(context, i, j) @ p["of_context"]["kernel"]
    for layer in range(num_layers):
        left = x @ p[f"to_left_{layer}"]["kernel"] + p[f"to_left_{layer}"]["bias"]
        right = x @ p[f"to_right_{layer}"]["kernel"] + p[f"to_right_{layer}"]["bias"]
        if layer == 0:
            right = right + inputs @ p["own"]["kernel"]
        states = slow_lstm(p["states"][layer, 0], left, mirrored=False)
        states[1:] += slow_lstm(p["states"][layer, 1], right, mirrored=True)[:-1]  # a row further down
        x = x + states @ p[f"out_{layer}"]["kernel"] + p[f"out_{layer}"]["bias"]
    return x


def normed(layer, h):
    scaled = (h - h.mean(-1, keepdims=True)) / np.sqrt(h.var(-1, keepdims=True) + 1e-6)
    return scaled * layer["scale"] + layer["bias"]


def dense(layer, h):
    return h @ layer["kernel"] + layer["bias"]


def gelu(h):
    return 0.5 * h * (1.0 + np.tanh(np.sqrt(2.0 / np.pi) * (h + 0.044715 * h**3)))


def slow_transformer(p, inputs, context, num_layers=2, num_heads=2):
    """Pre-norm blocks of "Attention is all you need", a position sees those up to its own, which are shifted by one."""
    height, width = inputs.shape[:2]
    size, positions = FEATURES // num_heads, list(np.ndindex(height, width))
    h = np.zeros((len(positions), FEATURES))
    for t, (i, j) in enumerate(positions):
        h[t] = p["start"] if t == 0 else dense(p["inputs"], inputs[positions[t - 1]])
        h[t] += p["rows"][i] + p["columns"][j]
        if context is not None:
            h[t] += context_of(context, i, j) @ p["of_context"]["kernel"]
    for layer in range(num_layers):
        queries, keys, values = np.split(
            dense(p[f"attention_{layer}"], normed(p[f"attention_norm_{layer}"], h)), 3, axis=1
        )
        attended = np.zeros_like(h)
        for head in range(num_heads):
            part = slice(head * size, (head + 1) * size)
            for t in range(len(positions)):
                weights = softmax(keys[: t + 1, part] @ queries[t, part] / np.sqrt(size))
                attended[t, part] = weights @ values[: t + 1, part]
        h = h + dense(p[f"joined_{layer}"], attended)
        hidden = gelu(dense(p[f"expand_{layer}"], normed(p[f"mlp_norm_{layer}"], h)))
        h = h + dense(p[f"contract_{layer}"], hidden)
    return normed(p["norm"], h).reshape(height, width, FEATURES)


NETS = {
    "pixelcnn": (lambda: PixelCNN(INPUTS, FEATURES, num_layers=3, first_reach=2), slow_pixelcnn),
    "pixelrnn": (lambda: PixelRNN(INPUTS, FEATURES, num_layers=2, first_reach=2), slow_pixelrnn),
    "transformer": (lambda: Transformer(INPUTS, SIZE, FEATURES, num_layers=2, num_heads=2), slow_transformer),
}


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("name", NETS)
def test_features_equal_a_loop_over_pixels(name, context):
    make, slow = NETS[name]
    features, params, inputs, given = made(make, context)
    for b in range(NUM):
        expected = slow(params, inputs[b], None if given is None else given[b])
        assert expected.std(axis=(0, 1)).max() > 0.05
        np.testing.assert_allclose(features[b], expected, rtol=1e-4, atol=1e-5)
