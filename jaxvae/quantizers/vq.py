"""Vector quantisation: the nearest of K learned codes (van den Oord et al. 2017)."""

from typing import Literal

import flax.linen as nn
import jax.numpy as jnp
from jax import lax

from jaxvae.errors import check_values
from jaxvae.quantizers.codebook import CodebookState, code_sums, ema_update, nearest, restart, start_codebook
from jaxvae.quantizers.kmeans import kmeans
from jaxvae.quantizers.straight_through import commitment, rotation_trick, straight_through
from jaxvae.quantizers.usage import QuantizerOutput, batch_stats, check_map, code_counts, finite_rows
from jaxvae.types import Array, StepKeys

THROUGH = {"straight_through": straight_through, "rotation": rotation_trick}

_SMALLEST_SQUARE = 1e-6  # of a norm: the direction of a shorter vector, and its gradient, fade


class VectorQuantizer(nn.Module):
    """Each vector becomes the nearest of K codes.

    With update "ema" the codes are moving averages of the vectors that chose them, in the collection "codebook":
    `embeddings`, `counts` and `sums`. A forward pass in training looks up first and then writes them, if the collection
    is mutable; evaluation changes nothing. With update "gradient" they are a parameter, `embeddings`, and the penalty
    has the codebook loss too. Parameters of a projection: `project_in`, `project_out`.

    Initialising it with a real batch starts the codes as the clusters of that batch.

    Attributes:
      num_codes: K.
      dim: D, channels of the map.
      code_dim: channels of the codes, to which a linear map goes and from which another one comes back; None is D,
        without maps.
      update: how the codes learn.
      through: how the gradient passes to the encoder, see `straight_through` and `rotation_trick`.
      cosine: whether codes and vectors are scaled to length 1: nearest is then the largest cosine (Yu et al. 2022).
      commitment_weight: beta of the paper.
      decay: of the moving averages.
      restart_below: moving average of vectors a batch below which a code moves to a vector of the batch; 0 is never.
      kmeans_iterations: of the initialisation, see `kmeans`; 0 starts normal codes of mean square length 1.

    References:
      van den Oord, Vinyals & Kavukcuoglu, "Neural Discrete Representation Learning", 2017, arXiv:1711.00937.
      Yu et al., "Vector-quantized Image Modeling with Improved VQGAN", 2022, arXiv:2110.04627, sec. 3.2: code_dim and
      cosine.
    """

    num_codes: int
    dim: int
    code_dim: int | None = None
    update: Literal["ema", "gradient"] = "ema"
    through: Literal["straight_through", "rotation"] = "straight_through"
    cosine: bool = False
    commitment_weight: float = 0.25
    decay: float = 0.99
    restart_below: float = 0.0
    kmeans_iterations: int = 10

    def setup(self) -> None:
        if self.update not in ("ema", "gradient"):
            raise ValueError(f"VectorQuantizer has update {self.update!r}, expected 'ema' or 'gradient'.")
        if self.through not in THROUGH:
            raise ValueError(f"VectorQuantizer has through {self.through!r}, expected one of {sorted(THROUGH)}.")
        if self.update == "gradient" and self.restart_below:
            raise ValueError("VectorQuantizer restarts codes by their moving averages, expected update 'ema'.")
        width = self.dim if self.code_dim is None else self.code_dim
        shape, init = (self.num_codes, width), nn.initializers.normal(width**-0.5)
        if self.update == "gradient":
            self.param("embeddings", init, shape)
        else:
            codes = self.variable("codebook", "embeddings", lambda: init(self.make_rng("params"), shape))
            self.variable("codebook", "counts", lambda: start_codebook(codes.value).counts)
            self.variable("codebook", "sums", lambda: start_codebook(codes.value).sums)
        if self.code_dim is not None:
            self.project_in, self.project_out = nn.Dense(self.code_dim), nn.Dense(self.dim)

    def __call__(
        self, z: Array, keys: StepKeys | None, *, train: bool, axis_name: str | None = None
    ) -> QuantizerOutput:
        """Quantise a map.

        Args:
          z: [B, h, w, D].
          keys: those of the step, of which restarts need `shared`; None in evaluation.
          train: whether the codes learn.
          axis_name: mapped axis of replicas that learn together; unused in evaluation and initialisation.

        Returns:
          z_q [B, h, w, D], codes [B, h, w], penalty [B], statistics.

        Raises:
          ValueError: if the shape is another, z is known and not finite, or restarts have no key.
        """
        check_map("VectorQuantizer", z, self.dim)
        axis = axis_name if train and not self.is_initializing() else None
        z = z.astype(jnp.float32)
        h = self._unit(z if self.code_dim is None else self.project_in(z))
        vectors = lax.stop_gradient(h).reshape(-1, h.shape[-1])
        if self.is_initializing() and self.kmeans_iterations:
            self._start(vectors)

        table = self._table()
        codes = nearest(lax.stop_gradient(table), vectors)
        chosen = table[codes].reshape(h.shape)
        penalty = self.commitment_weight * commitment(h, lax.stop_gradient(chosen))
        if self.update == "gradient":
            penalty += commitment(lax.stop_gradient(h), chosen)
        counts = code_counts(codes, self.num_codes, finite_rows(vectors), axis)
        if train and self.update == "ema" and not self.is_initializing() and self.is_mutable_collection("codebook"):
            self._learn(vectors, codes, counts, keys, axis)
        stats = batch_stats(counts, h, chosen, axis)
        return QuantizerOutput(
            self._back(THROUGH[self.through](h, chosen)), codes.reshape(z.shape[:-1]), penalty, stats
        )

    def lookup(self, codes: Array) -> Array:
        """Return z_q of codes, [...] -> [..., D]; a `ValueError` names a known code that does not exist."""
        check_values("codes", codes, self.num_codes)
        return self._back(self._table()[codes])

    def code_shape(self, size: tuple[int, int]) -> tuple[int, ...]:
        """Return the shape of the codes of a map of a size (h, w)."""
        return size

    def _table(self) -> Array:
        """The codes as they are looked up, [K, code_dim]."""
        table: Array = self.get_variable("codebook" if self.update == "ema" else "params", "embeddings")
        return self._unit(jnp.asarray(table))

    def _unit(self, x: Array) -> Array:
        if not self.cosine:
            return x
        return x * lax.rsqrt(jnp.maximum(jnp.sum(jnp.square(x), axis=-1, keepdims=True), _SMALLEST_SQUARE))

    def _back(self, z_q: Array) -> Array:
        return z_q if self.code_dim is None else self.project_out(z_q)

    def _start(self, vectors: Array) -> None:
        embeddings = kmeans(self.make_rng("params"), vectors, self.num_codes, self.kmeans_iterations)
        if self.update == "gradient":
            self.put_variable("params", "embeddings", embeddings)
        else:
            self._write(start_codebook(embeddings))

    def _learn(self, vectors: Array, codes: Array, counts: Array, keys: StepKeys | None, axis_name: str | None) -> None:
        state = CodebookState(*(self.get_variable("codebook", name) for name in CodebookState._fields))
        sums = code_sums(codes, vectors, self.num_codes, axis_name)
        state = ema_update(state, counts, sums, decay=self.decay)
        if self.restart_below:
            if keys is None:
                raise ValueError("VectorQuantizer restarts codes, expected the StepKeys of the step, got None.")
            state = restart(keys.shared, state, vectors, self.restart_below, axis_name)
        self._write(state)

    def _write(self, state: CodebookState) -> None:
        for name, value in state._asdict().items():
            self.put_variable("codebook", name, value)
