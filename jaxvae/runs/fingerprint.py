"""A hash of what a trained model has learnt, by which files of codes know their model again."""

import hashlib

import jax
import numpy as np

from jaxvae.runs.trained_model import TrainedModel


def fingerprint(trained: TrainedModel) -> str:
    """Return a hash of the parameters and the state of a trained model: codes of another one mean other images."""
    leaves = jax.tree_util.tree_leaves_with_path((trained.params, trained.model_state))
    digest = hashlib.sha256()
    for path, leaf in sorted((jax.tree_util.keystr(path), np.asarray(leaf)) for path, leaf in leaves):
        digest.update(f"{path} {leaf.shape} {leaf.dtype}".encode() + leaf.tobytes())
    return digest.hexdigest()[:16]
