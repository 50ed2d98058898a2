"""Which trained models have codes of the images at hand."""

import pytest

from jaxvae.errors import UserError
from jaxvae.likelihoods import bernoulli
from jaxvae.models import Autoencoder, DensePair, LadderNetwork
from jaxvae.runs import load
from jaxvae.runs.load import load_coders, require_images
from jaxvae.runs.trained import Trained
from jaxvae.systems.assemble import loaded
from jaxvae.systems.autoencoder import AutoencoderParts
from jaxvae.systems.ladder import LadderParts
from jaxvae.systems.pixels import unchanged, unit_pixels
from tests.squares import SPEC

MODEL = Autoencoder([DensePair(SPEC.shape, 4)], bernoulli())
PARTS = {
    "autoencoder": AutoencoderParts(SPEC, MODEL, unit_pixels(SPEC), unchanged),
    "ladder": LadderParts(SPEC, LadderNetwork(3, (5,)), unit_pixels(SPEC)),
}


def test_runs_without_codes_or_of_other_images_are_an_error(monkeypatch):
    """Of models as they are built, untrained."""

    def untrained(place, **_):
        name = place.parent.name
        return Trained(loaded(name, PARTS[name], {}), None, None, {}, place)

    monkeypatch.setattr(load, "load", untrained)
    assert list(load_coders(["1/autoencoder/a", "1/autoencoder/b"], SPEC)) == ["autoencoder_a", "autoencoder_b"]
    with pytest.raises(UserError, match=r"--runs .* is a run of ladder, which has no codes"):
        load_coders(["1/ladder/a"], SPEC)
    with pytest.raises(UserError, match=r"is of images \[12, 12, 1\] of 256 values, the data are .*\[14, 14, 1\]"):
        load_coders(["1/autoencoder/a"], SPEC._replace(shape=(14, 14, 1)))
    with pytest.raises(UserError, match="the data are images .* of 2 values"):
        load_coders(["1/autoencoder/a"], SPEC._replace(num_values=2))
    with pytest.raises(UserError, match="--runs has two of the name autoencoder_a"):
        load_coders(["1/autoencoder/a", "2/autoencoder/a"], SPEC)


def test_names_of_classes_are_no_difference_and_their_number_may_be():
    system = loaded("autoencoder", PARTS["autoencoder"], {})
    named = SPEC._replace(classes=tuple("abc")[: SPEC.num_classes])
    require_images("--codec a", system, named, classes=True)
    other = SPEC._replace(num_classes=SPEC.num_classes + 1)
    require_images("--codec a", system, other)
    with pytest.raises(UserError, match=r"--codec a is of images .* 256 values, 3 classes, the data are .* 4 classes"):
        require_images("--codec a", system, other, classes=True)
