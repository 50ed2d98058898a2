"""A small model of every kind, saved untrained: what a verb does with it does not depend on what it has learnt."""

import jax
import numpy as np
import optax

import jaxvae as jv
from jaxvae.runs.records import run_record
from jaxvae.runs.trained import Trained
from jaxvae.systems.code_prior import code_spec
from jaxvae.systems.first_stage import abstract_variables
from jaxvae.systems.flow_density import flow_density_system
from jaxvae.types import Batch, DataSpec
from tests.drawn import normal_like
from tests.experiments.conftest import module_and_config

SPEC = DataSpec((8, 8, 1), 256, 3, ("left", "middle", "right"))


def of_experiment(name, **changes):
    module, config = module_and_config(name, **changes)
    return module.build(config, SPEC)


def code_prior():
    codec = jv.systems.vqvae(SPEC, num_codes=5, code_dim=2, channels=(4,))
    variables = tuple(drawn(tree) for tree in abstract_variables(codec))
    module, config = module_and_config("vqvae_prior")
    return module.build(config, code_spec(codec.parts), codec.parts, variables)


def flow():
    options = {"target": "mixture", "num_flows": 2, "base": "fixed", "objective": "reverse_kl", "gradient": "path"}
    return flow_density_system(name="flow", max_flows=2, anneal_steps=0.0, optimizer=optax.adam(1e-2), **options)


DRAWN = ("sample", "evaluate")
CODED = ("reconstruct", "denoise", "encode", "decode", "anomaly")
OF_VAES = (*DRAWN, "augment", *CODED, "interpolate", "attribute", "traverse", "complete", "score")
OF_ADVERSARIES = (*DRAWN, *CODED, "interpolate", "attribute", "traverse", "augment")
COMPRESSED = ("compress", "decompress")
EXPLORED = (*OF_VAES, "explore")
EXACT = (*DRAWN, "complete", "score", "anomaly")
# How each kind is made, and the verbs that it has beside those of all.
KINDS = {
    "vae": (lambda: jv.systems.vae(SPEC, latent_dim=3, net="mlp"), (*EXPLORED, *COMPRESSED)),
    "classes_vae": (
        lambda: jv.systems.vae(SPEC, latent_dim=3, net="mlp", class_conditional=True),
        tuple(verb for verb in OF_VAES if verb != "anomaly"),
    ),
    "masked": (lambda: of_experiment("completion", hidden=4, num_flows=2, latent_dim=3), (*EXPLORED, *COMPRESSED)),
    "colour": (lambda: jv.systems.vae(SPEC._replace(shape=(8, 8, 3)), latent_dim=3, net="mlp"), EXPLORED),
    "pixels": (
        lambda: of_experiment("pixel_vae"),
        (*(verb for verb in OF_VAES if verb != "complete"), *COMPRESSED),
    ),
    "groups": (lambda: of_experiment("iwae", num_layers=2), (*OF_VAES, *COMPRESSED)),
    "vqvae": (lambda: jv.systems.vqvae(SPEC, num_codes=5, code_dim=2, channels=(4,)), CODED),
    "levels": (lambda: of_experiment("vqvae", levels=2, num_codes=5, code_dim=2, channels=(4,)), CODED),
    "autoencoder": (
        lambda: of_experiment("autoencoder", hidden=(6,), latent_dim=3),
        (*CODED, "interpolate", "attribute", "augment"),
    ),
    "autoregressive": (
        lambda: jv.systems.autoregressive(SPEC, features=4, num_layers=2),
        (*EXACT, *COMPRESSED),
    ),
    "classes": (lambda: of_experiment("pixel_cnn", class_conditional=True), (*EXACT, "augment", *COMPRESSED)),
    "m2": (lambda: of_experiment("semi_supervised", method="m2"), (*DRAWN, "augment", "classify")),
    "classifier": (lambda: of_experiment("classifier", channels=(4,), num_blocks=0, features=5), ("classify",)),
    "ladder": (lambda: of_experiment("semi_supervised", method="ladder"), ("classify",)),
    "gan": (lambda: of_experiment("gan", pac=2, spectral_norm=True), (*DRAWN, "decode")),
    "vae_gan": (
        lambda: of_experiment("vae_gan", latent_dim=3),
        (*DRAWN, *CODED, "interpolate", "attribute", "traverse", "augment"),
    ),
    "adversarial_autoencoder": (
        lambda: of_experiment("adversarial_autoencoder", latent_dim=3),
        OF_ADVERSARIES,
    ),
    "code_prior": (code_prior, (*DRAWN, *CODED, *COMPRESSED)),
    "flow": (flow, ("sample",)),
}


def drawn(tree):
    """Small numbers for all floats of a tree, zeros for all else."""
    numbers = lambda leaf, x: x if leaf.dtype == np.float32 else np.zeros(leaf.shape, leaf.dtype)  # noqa: E731
    return jax.tree.map(numbers, tree, normal_like(tree, 0.2))


def save(name, place):
    """Write the model of a kind; it returns the place."""
    system = KINDS[name][0]()
    if name == "flow":  # whose state says which flow it is
        params, state = system.trainable.init(jax.random.key(0), Batch(np.zeros((3, 1), np.uint8), None, np.ones(3)))
    else:
        params, state = (drawn(tree) for tree in abstract_variables(system))
        state = jax.tree.map(np.abs, state)  # variances among them
    record = run_record(system, {"data": "npz:squares.npz"}, 40, data="0123456789abcdef")
    return Trained(system, params, state, record).save(place)
