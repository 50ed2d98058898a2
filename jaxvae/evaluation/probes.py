"""How good features are, under one protocol for all: what simple classifiers and clusterings make of them.

Classifiers are fitted to the training set; their one setting is the best on the validation set; the test set is
looked at once. Regression and network see features of mean 0 and standard deviation 1 on the training set; neighbours
and clusters go by the distances of the features as they are. Everything is scikit-learn's.
"""

import warnings
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from jaxvae.errors import UserError
from jaxvae.evaluation.needs import (
    NEIGHBOURS,
    check_clusters,
    check_features,
    check_finite,
    check_knn,
    check_linear,
    check_mlp,
    check_training,
    sklearn_module,
)
from jaxvae.types import Dataset, Splits

INVERSE_PENALTIES = (0.01, 0.1, 1.0)  # C of the logistic regression
HIDDEN = (128, 256)  # units of the network
NUM_SPREAD = 20_000  # examples without a class of their own that support vectors are chosen of


class Probe(NamedTuple):
    """What a classifier makes of features."""

    accuracy: float  # on the test set
    setting: float  # chosen on the validation set


def standardized(splits: Splits) -> Splits:
    """Return features with the training set's mean 0 and standard deviation 1.

    A feature that is the same in all training examples stays 0.

    Args:
      splits: features [N, D] and labels.

    Returns:
      float32.
    """
    mean = np.mean(splits.train.x, axis=0, dtype=np.float64, keepdims=True)
    deviation = np.std(splits.train.x, axis=0, dtype=np.float64, keepdims=True)
    scale = np.where(deviation > 1e-8, 1.0 / np.maximum(deviation, 1e-8), 0.0)
    return Splits(*(Dataset(((part.x - mean) * scale).astype(np.float32), part.labels) for part in splits))


def linear_probe(splits: Splits) -> Probe:
    """Fit a logistic regression, C of 0.01, 0.1 or 1, at most 300 iterations of L-BFGS.

    Args:
      splits: features [N, D] and labels.

    Returns:
      The accuracy on the test set, and C.

    Raises:
      UserError: if there are no labels or fewer than two classes, a part is empty, features are not finite, or
        scikit-learn is not installed.
    """
    linear = sklearn_module("linear_model")
    check_linear(splits)
    return _best(standardized(splits), INVERSE_PENALTIES, lambda c: linear.LogisticRegression(C=c, max_iter=300))


def knn_probe(splits: Splits) -> Probe:
    """Classify by the 1, 3, 5 or 10 nearest training examples, of which there are 10 at least; else as `linear_probe`.

    Args:
      splits: features [N, D] and labels.

    Returns:
      The accuracy on the test set, and the number of neighbours.
    """
    neighbors = sklearn_module("neighbors")
    check_knn(splits)
    return _best(splits, NEIGHBOURS, lambda k: neighbors.KNeighborsClassifier(k, algorithm="brute", n_jobs=-1))


def mlp_probe(splits: Splits, seed: int = 0) -> Probe:
    """Fit a network of one hidden layer of 128 or 256 units; arguments and errors as `linear_probe`.

    It stops early by a tenth of the training set, drawn class by class: there are two examples of every class at
    least, and in that tenth as many as classes.

    Args:
      splits: features [N, D] and labels.
      seed: of the initial weights and the batches.

    Returns:
      The accuracy on the test set, and the number of units.
    """
    network = sklearn_module("neural_network")
    check_mlp(splits)

    def make(units: int) -> Any:
        return network.MLPClassifier((units,), early_stopping=True, n_iter_no_change=5, max_iter=60, random_state=seed)

    return _best(standardized(splits), HIDDEN, make)


def svm_error(train: Dataset, test: Dataset, seed: int = 0) -> float:
    """Fit support vectors with a Gaussian kernel to few labelled examples; no validation set is looked at.

    Features are standardised by these examples. C of 1, 10 or 100 and the kernel's width, 0.3, 1 or 3 of scikit-learn's
    default, are those of the least error in a cross-validation of up to five parts among the examples alone.

    Args:
      train: features [N, D] and labels, two of every class at least.
      test: the same of the test set.
      seed: of the cut into parts.

    Returns:
      The error on the test set, 0 to 1.

    Raises:
      UserError: if a class has fewer than two examples, there is one class, or scikit-learn is not installed.

    References:
      Kingma et al., "Semi-Supervised Learning with Deep Generative Models", 2014, arXiv:1406.5298, sec. 4.1, where they
      are transductive.
    """
    svm, selection = sklearn_module("svm"), sklearn_module("model_selection")
    check_training("A cross-validation", train, each=2)
    check_features("An error of support vectors", test)
    least = int(np.min(np.unique(train.labels, return_counts=True)[1]))
    train, _, test = standardized(Splits(train, test, test))
    width = 1.0 / (train.x.shape[1] * max(float(np.var(train.x)), 1e-12))
    grid = {"C": [1.0, 10.0, 100.0], "gamma": [0.3 * width, width, 3 * width]}
    parts = selection.StratifiedKFold(min(5, least), shuffle=True, random_state=seed)
    found = selection.GridSearchCV(svm.SVC(), grid, cv=parts).fit(train.x, train.labels)
    return 1.0 - float(found.score(test.x, test.labels))


def knn_graph(features: np.ndarray, num_neighbours: int = 5) -> Any:
    """Join every example with its nearest others, by the distances of the features as they are.

    Args:
      features: [N, D].
      num_neighbours: of each.

    Returns:
      A sparse matrix [N, N], symmetric, 1 where either is among the nearest of the other and 0 elsewhere.

    Raises:
      UserError: if there are no more examples than neighbours, or scikit-learn is not installed.
    """
    neighbors = sklearn_module("neighbors")
    check_finite("A graph of neighbours", features)
    if len(features) <= num_neighbours:
        raise UserError(f"A graph of {num_neighbours} neighbours has {len(features)} examples: take more of them.")
    found = neighbors.NearestNeighbors(n_neighbors=num_neighbours, algorithm="brute", n_jobs=-1).fit(features)
    graph = found.kneighbors_graph()
    return graph.maximum(graph.T)


def label_spreading(graph: Any, labels: np.ndarray) -> np.ndarray:
    """Give examples without a class that of their neighbourhood, by label spreading.

    An example listens to its neighbours (0.99) rather than to its own label (0.01): those with a class may end with
    another.

    Args:
      graph: of `knn_graph`, [N, N].
      labels: [N], -1 where a class is not known.

    Returns:
      Labels [N] of classes that occur.

    Raises:
      UserError: if no class is known, or scikit-learn is not installed.

    References:
      Zhou et al., "Learning with Local and Global Consistency", 2004.
    """
    spreading = sklearn_module("semi_supervised")
    if not np.any(labels >= 0):
        raise UserError("Labels cannot spread: none is known.")
    model = spreading.LabelSpreading(kernel=lambda *_: graph, alpha=0.99, max_iter=200)
    with warnings.catch_warnings():  # parts of the graph without any label have no class, and the limit is ours
        warnings.simplefilter("ignore")
        return model.fit(np.zeros((len(labels), 1)), labels).transduction_


def label_spreading_svm_error(features: Dataset, known: np.ndarray, graph: Any, test: Dataset, seed: int = 0) -> float:
    """Fit support vectors to examples of which few have a class, after it was spread over their neighbours.

    The features stay as they are, C and the kernel's width are scikit-learn's defaults: nothing is chosen.

    Args:
      features: [N, D] with all labels, of which those of `known` alone are looked at.
      known: rows of examples whose class is known.
      graph: of `features`, see `knn_graph`.
      test: features and labels of the test set.
      seed: of the draw of 20,000 examples that the support vectors are chosen of.

    Returns:
      The error on the test set, 0 to 1.

    Raises:
      UserError: if fewer than two classes are known, or scikit-learn is not installed.

    References:
      Kingma et al. 2014, arXiv:1406.5298, sec. 4.1, whose support vectors are transductive. Departs from them in how
      the others' labels are found.
    """
    check_training("Label spreading with support vectors", Dataset(features.x[known], features.labels[known]))
    check_features("An error of support vectors", test)
    labels = np.full(len(features.x), -1, np.int64)
    labels[known] = features.labels[known]
    spread = label_spreading(graph, labels)
    spread[known] = features.labels[known]
    some = np.union1d(known, np.random.default_rng(seed).permutation(len(labels))[:NUM_SPREAD])
    vectors = sklearn_module("svm").SVC().fit(features.x[some], spread[some])
    return 1.0 - float(vectors.score(test.x, test.labels))


def clustering_scores(features: np.ndarray, labels: np.ndarray, seed: int = 0) -> dict[str, float]:
    """Return how k-means with as many clusters as classes agrees with the classes.

    Args:
      features: [N, D].
      labels: [N].
      seed: of the centres.

    Returns:
      `nmi`, normalised mutual information; `ari`, adjusted Rand index; `accuracy`, of the best assignment of a class to
      each cluster.

    Raises:
      UserError: if there are fewer than two classes, with which all clusterings agree; if scikit-learn is not there.
    """
    from scipy.optimize import linear_sum_assignment

    cluster, metrics = sklearn_module("cluster"), sklearn_module("metrics")
    check_clusters(Dataset(features, labels))
    classes, labels = np.unique(labels, return_inverse=True)
    found = cluster.KMeans(len(classes), n_init=10, random_state=seed).fit_predict(features)
    counts = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(counts, (found, labels), 1)
    matched = linear_sum_assignment(-counts)
    return {
        "nmi": float(metrics.normalized_mutual_info_score(labels, found)),
        "ari": float(metrics.adjusted_rand_score(labels, found)),
        "accuracy": float(counts[matched].sum() / len(labels)),
    }


def principal_components(splits: Splits, num: int) -> Splits:
    """Return the first principal components of features, found on the training set: [N, D] -> [N, num].

    Args:
      splits: features.
      num: how many, at most D and the number of training examples.

    Returns:
      The components and the labels.

    Raises:
      UserError: if there are fewer, or scikit-learn is not installed.
    """
    most = min(splits.train.x.shape)
    if not 1 <= num <= most:
        raise UserError(f"{num} principal components are asked for, expected 1 to {most}.")
    pca = sklearn_module("decomposition").PCA(num, random_state=0).fit(splits.train.x)
    return Splits(*(Dataset(pca.transform(part.x).astype(np.float32), part.labels) for part in splits))


# ---------- private


def _best(splits: Splits, settings: Iterable[float], make: Callable[[Any], Any]) -> Probe:
    fitted = {setting: make(setting).fit(splits.train.x, splits.train.labels) for setting in settings}
    scores = {setting: model.score(splits.valid.x, splits.valid.labels) for setting, model in fitted.items()}
    best = max(scores, key=scores.__getitem__)  # the first of equal ones
    return Probe(float(fitted[best].score(splits.test.x, splits.test.labels)), best)
