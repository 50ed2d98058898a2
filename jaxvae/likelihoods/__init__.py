"""Likelihoods p(x | parameters) of one image, as values.

`bernoulli()` returns a `Likelihood` as `optax.adam()` returns a transformation. A decoder asks `param_shapes` what to
produce and knows nothing else of the likelihood; an objective asks `log_prob`. Build them once, in `build()`: they are
closures, and two calls give two different values to `jax.jit`.

Each has one unit of x for `log_prob`, `sample`, `mean` and `init_bias` alike: zeros and ones (`bernoulli`,
`bernoulli_mixture`), numbers in [0, 1] (`continuous_bernoulli`), any numbers (`gaussian`, `gaussian_learned_scale`,
`squared_error`), or the integer values 0 to V - 1 of an image or a code in any type (`categorical`, `beta_binomial`,
`logistic_mixture`), which `sample` returns as float32. An x that is no such value has log-probability -inf, so that
images of one unit are not mistaken for another; between 0 and 1 the Bernoullis give the cross-entropy. `in_unit` makes
a likelihood of images in [0, 1] of those of integers. Parameters of another shape than x asks for are refused.

All but `bernoulli_mixture` have pixels that are independent given the parameters, and take any number of pixel axes: a
whole image [H, W, C], or one pixel [C] of a sampler that draws them one after another.
"""

from jaxvae.likelihoods.bernoulli import BernoulliMixtureParams, bernoulli, bernoulli_mixture
from jaxvae.likelihoods.beta_binomial import BetaBinomialParams, beta_binomial
from jaxvae.likelihoods.categorical import categorical
from jaxvae.likelihoods.continuous_bernoulli import continuous_bernoulli
from jaxvae.likelihoods.gaussian import gaussian, gaussian_learned_scale, squared_error
from jaxvae.likelihoods.logistic import LogisticMixtureParams, logistic_mixture
from jaxvae.likelihoods.unit import in_unit

__all__ = [
    "BernoulliMixtureParams",
    "BetaBinomialParams",
    "LogisticMixtureParams",
    "bernoulli",
    "bernoulli_mixture",
    "beta_binomial",
    "categorical",
    "continuous_bernoulli",
    "gaussian",
    "gaussian_learned_scale",
    "in_unit",
    "logistic_mixture",
    "squared_error",
]
