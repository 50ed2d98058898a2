"""What the tests of descriptions share: a value written and read again, and a model that has a part twice."""

import json

from jaxvae import priors
from jaxvae.runs.description import describe, rebuild
from tests.test_protocols import MODELS, SHAPE


def through_json(value, imports=("tests.runs.test_description",)):
    """The value, written and read again; records and dataclasses that are no parts have to be listed."""
    return rebuild(json.loads(json.dumps(describe(value), allow_nan=False)), imports)


def vamp_vae():
    """A VAE whose prior has its encoder and its posterior, with the same parameters."""
    vae = MODELS["vae"]()
    return vae.clone(prior=priors.VampPrior(vae.encoder, vae.posterior, 3, SHAPE))
