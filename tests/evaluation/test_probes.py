"""Probes on features whose answers are known."""

import sys

import numpy as np
import pytest

from jaxvae.errors import UserError
from jaxvae.evaluation import (
    clustering_scores,
    knn_graph,
    knn_probe,
    label_spreading,
    label_spreading_svm_error,
    linear_probe,
    mlp_probe,
    principal_components,
    standardized,
    svm_error,
)
from jaxvae.types import Dataset, Splits

RNG = np.random.default_rng(0)
CENTRES = np.array([[0.0, 0.0, 5.0], [6.0, 0.0, 5.0], [0.0, 6.0, 5.0]])


def parts(make, sizes=(300, 60, 60)):
    """Splits of (features, labels) that `make` gives of a number of examples."""
    return Splits(*(Dataset(*make(size)) for size in sizes))


def blobs(size):
    labels = np.arange(size, dtype=np.int32) % 3
    return (CENTRES[labels] + RNG.normal(size=(size, 3))).astype(np.float32), labels


def rings(size):
    """A disc inside a ring: no line tells them apart."""
    labels = np.arange(size, dtype=np.int32) % 2
    angles, radii = RNG.uniform(0, 2 * np.pi, size), np.where(labels == 1, 3.0, 0.7) + 0.1 * RNG.normal(size=size)
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], 1).astype(np.float32), labels


@pytest.mark.parametrize("probe", [linear_probe, knn_probe, mlp_probe])
def test_every_probe_tells_separable_classes_apart(probe):
    assert probe(parts(blobs)).accuracy > 0.97


def test_a_line_does_not_tell_rings_apart_and_the_others_do():
    splits = parts(rings, (600, 100, 100))
    assert linear_probe(splits).accuracy < 0.75
    assert knn_probe(splits).accuracy > 0.97
    assert mlp_probe(splits).accuracy > 0.97


def test_setting_is_chosen_on_the_validation_part_alone():
    """One neighbour repeats the one label in ten that is wrong; what test labels say changes nothing."""

    def noisy(size):
        x, labels = blobs(size)
        return x, np.where(RNG.random(size) < 0.1, (labels + 1) % 3, labels)

    splits = parts(noisy)
    chosen = knn_probe(splits)
    assert chosen.setting > 1
    swapped = splits._replace(test=Dataset(splits.test.x, (splits.test.labels + 1) % 3))
    assert knn_probe(swapped).setting == chosen.setting


def test_support_vectors_learn_from_few_examples_alone():
    splits = parts(rings, (40, 2, 200))
    assert svm_error(splits.train, splits.test) < 0.03
    swapped = Dataset(splits.test.x, 1 - splits.test.labels)
    assert svm_error(splits.train, swapped) == pytest.approx(1 - svm_error(splits.train, splits.test))
    with pytest.raises(UserError, match="needs 2 examples of every class"):
        svm_error(Dataset(splits.train.x[:3], splits.train.labels[:3]), splits.test)


def test_labels_spread_along_what_hangs_together():
    """Of two rings with one label each all others are found, and a wrong label of many around it is overruled."""
    x, labels = rings(400)
    graph = knn_graph(x, 5)
    assert (graph != graph.T).nnz == 0
    known = np.array([np.flatnonzero(labels == label)[0] for label in (0, 1)])
    given = np.full(400, -1)
    given[known] = labels[known]
    np.testing.assert_array_equal(label_spreading(graph, given), labels)
    test = Dataset(*rings(200))
    hidden = np.where(np.isin(np.arange(400), known), labels, 1 - labels)  # other labels are not looked at
    assert label_spreading_svm_error(Dataset(x, hidden), known, graph, test) < 0.03
    given = labels.copy()
    given[known[0]] = 1 - labels[known[0]]
    assert label_spreading(graph, given)[known[0]] == labels[known[0]]


def test_labels_that_cannot_spread_are_an_error():
    x, labels = rings(10)
    with pytest.raises(UserError, match="graph of 10 neighbours has 10 examples"):
        knn_graph(x, 10)
    with pytest.raises(UserError, match="none is known"):
        label_spreading(knn_graph(x, 2), np.full(10, -1))


def test_features_are_standardized_by_the_training_part():
    splits = parts(lambda size: (np.stack([np.arange(size) * 2.0, np.full(size, 7.0)], 1), np.zeros(size)), (4, 2, 3))
    scaled = standardized(splits)
    np.testing.assert_allclose(scaled.train.x[:, 0], (np.arange(4) - 1.5) / np.std(np.arange(4)), rtol=1e-6)
    np.testing.assert_allclose(scaled.test.x[:, 0], (np.arange(3) - 1.5) / np.std(np.arange(4)), rtol=1e-6)
    assert not np.any(scaled.train.x[:, 1])


def test_clusters_that_are_classes_score_one_whatever_their_names():
    x, labels = blobs(300)
    scores = clustering_scores(x, np.array([7, 3, 5])[labels])
    assert scores["accuracy"] > 0.97
    assert scores["nmi"] > 0.9
    assert scores["ari"] > 0.9
    by_chance = clustering_scores(RNG.normal(size=(300, 3)).astype(np.float32), labels)
    assert abs(by_chance["ari"]) < 0.05
    assert by_chance["accuracy"] < 0.5


def test_principal_components_keep_the_largest_variance():
    splits = principal_components(parts(blobs), 2)
    assert splits.test.x.shape == (60, 2)
    assert linear_probe(splits).accuracy > 0.97
    with pytest.raises(UserError, match="4 principal components are asked for, expected 1 to 3"):
        principal_components(parts(blobs), 4)


PROBES = {
    "linear": linear_probe,
    "knn": knn_probe,
    "mlp": mlp_probe,
    "svm": lambda splits: svm_error(splits.train, splits.test),
    "clusters": lambda splits: clustering_scores(splits.train.x, splits.train.labels),
    "spread": lambda splits: label_spreading_svm_error(
        splits.train, np.arange(4), knn_graph(splits.train.x), splits.test
    ),
}


def of_classes(*counts, sizes=None):
    """Splits with so many training examples of every class."""
    labels = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    x = (CENTRES[labels % 3] + RNG.normal(size=(len(labels), 3))).astype(np.float32)
    others = [Dataset(x[:size], labels[:size]) for size in sizes or (len(x), len(x))]
    return Splits(Dataset(x, labels), *others)


@pytest.mark.parametrize("name", PROBES)
def test_one_class_is_an_error(name):
    with pytest.raises(UserError, match="needs two classes, all (20|4) examples are of one: choose data of several"):
        PROBES[name](of_classes(20))


@pytest.mark.parametrize("name", ["mlp", "svm"])
def test_a_class_with_one_example_is_an_error_where_it_is_to_be_cut(name):
    with pytest.raises(UserError, match="needs 2 examples of every class, class 1 has 1: take more of them"):
        PROBES[name](of_classes(30, 1, 30))


@pytest.mark.parametrize("name", ["linear", "knn", "clusters"])
def test_a_class_with_one_example_is_none_for_the_others(name):
    PROBES[name](of_classes(30, 1, 30))


@pytest.mark.parametrize(
    ("name", "enough", "message"),
    [
        ("knn", (5, 5), "A vote of 10 neighbours needs 10 examples, the training set has 9: take more images"),
        ("mlp", (6, 5), "A network that stops early needs 11 examples, the training set has 10"),
        ("mlp", (8, 8, 8, 7), "A network that stops early needs 31 examples, the training set has 30"),
        ("spread", (3, 3), "graph of 5 neighbours has 5 examples"),
    ],
)
def test_fewer_examples_than_needed_are_an_error(name, enough, message):
    PROBES[name](of_classes(*enough))
    with pytest.raises(UserError, match=message):
        PROBES[name](of_classes(enough[0] - 1, *enough[1:]))


@pytest.mark.parametrize("name", ["linear", "knn", "mlp"])
def test_empty_parts_are_an_error(name):
    with pytest.raises(UserError, match="needs training, validation and test images, of one there are none"):
        PROBES[name](of_classes(20, 20, sizes=(10, 0)))


@pytest.mark.parametrize("name", PROBES)
def test_examples_without_a_class_and_features_that_are_not_finite_are_errors(name):
    splits = of_classes(20, 20)
    labels = np.where(np.arange(40) == 2, -1, splits.train.labels)
    with pytest.raises(UserError, match="needs a class of every example, some have -1: leave these out"):
        PROBES[name](splits._replace(train=Dataset(splits.train.x, labels)))
    x = splits.train.x.copy()
    x[2, 1] = np.inf
    with pytest.raises(UserError, match="needs finite features, some are not: the model may have diverged"):
        PROBES[name](splits._replace(train=Dataset(x, splits.train.labels)))


@pytest.mark.parametrize("name", ["linear", "knn", "mlp", "svm", "clusters"])
def test_no_labels_are_an_error(name):
    with pytest.raises(UserError, match="needs labels, which these data do not have: choose another --data"):
        PROBES[name](parts(lambda size: (np.zeros((size, 2)), None)))


def test_no_package_is_an_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.neighbors", None)
    with pytest.raises(UserError, match="Probes need scikit-learn"):
        knn_probe(parts(blobs))
