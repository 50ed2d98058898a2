"""PyTorch's training loops: the process that `benchmarks.peers.Torch` talks to, a line of JSON each way.

The nets, the loss and the data are those of `benchmarks.models`. The loops are as fast as PyTorch's users write them:
data on the device, gathered by a shuffled index, fused Adam, no value fetched before the end of a chunk; eager,
compiled, or compiled with the optimizer's step; convolutions with either order of the axes in memory.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from benchmarks.data import NUM_CODES, bumps, codes

LOOPS = ("eager", "compile", "compile_step")


class VAE(nn.Module):
    """Mean negative ELBO of images [B, 1, 28, 28]: logits, Gaussian latents, one sample."""

    def __init__(self, encoder: nn.Module, features: int, latent_dim: int, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.posterior, self.decoder = encoder, nn.Linear(features, 2 * latent_dim), decoder

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean, log_var = self.posterior(self.encoder(x)).chunk(2, 1)
        z, kl = self.draw(mean, log_var)
        reconstruction = F.binary_cross_entropy_with_logits(self.decoder(z), x, reduction="sum")
        return (reconstruction + kl) / len(x)

    def draw(self, mean: torch.Tensor, log_var: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return latents and the sum of the KL over the batch."""
        z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
        return z, 0.5 * (mean.square() + log_var.exp() - 1.0 - log_var).sum()


class PlanarVAE(VAE):
    """The same with planar flows of parameters of their own, and the KL of one sample."""

    def __init__(self, num_flows: int, encoder: nn.Module, features: int, latent_dim: int, decoder: nn.Module) -> None:
        super().__init__(encoder, features, latent_dim, decoder)
        self.u = nn.Parameter(0.1 * torch.randn(num_flows, latent_dim))
        self.w = nn.Parameter(latent_dim**-0.5 * torch.randn(num_flows, latent_dim))
        self.b = nn.Parameter(torch.zeros(num_flows))

    def draw(self, mean: torch.Tensor, log_var: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return latents and the sum of the KL over the batch."""
        noise = torch.randn_like(mean)
        z = mean + torch.exp(0.5 * log_var) * noise
        wu = (self.w * self.u).sum(1, keepdim=True)
        u = self.u + (F.softplus(wu) - 1.0 - wu) * self.w / self.w.square().sum(1, keepdim=True)
        wu = (self.w * u).sum(1)
        log_det = torch.zeros_like(z[:, 0])
        for k in range(len(u)):
            t = torch.tanh(torch.mv(z, self.w[k]) + self.b[k])
            z = z + t[:, None] * u[k]
            log_det = log_det + torch.log1p((1.0 - t.square()) * wu[k])
        return z, 0.5 * (z.square() - log_var - noise.square()).sum() - log_det.sum()


class MaskedConv(nn.Conv2d):
    """Convolution of the pixels before the centre of the window, or with it."""

    def __init__(self, cin: int, cout: int, kernel: int, centre: bool) -> None:
        super().__init__(cin, cout, kernel, padding=kernel // 2)
        mask = (torch.arange(kernel * kernel) < kernel * kernel // 2 + centre).float()
        self.register_buffer("mask", mask.reshape(kernel, kernel))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)


class GatedPixelCNN(nn.Module):
    """Mean negative log-likelihood of codes [B, 7, 7] under one stack of masked convolutions, 5x5 and five times 3x3.

    Two stacks, as of the library's net, cost PyTorch more; one has a blind spot.
    """

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(NUM_CODES, 64)
        self.first = MaskedConv(64, 128, 5, centre=False)
        self.masked = nn.ModuleList(MaskedConv(64, 128, 3, centre=True) for _ in range(5))
        self.out = nn.ModuleList(nn.Conv2d(64, 64, 1) for _ in range(5))
        self.readout = nn.Conv2d(64, NUM_CODES, 1)

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits [B, V, 7, 7]."""
        gate = lambda h: torch.tanh(h[:, :64]) * torch.sigmoid(h[:, 64:])  # noqa: E731
        h = gate(self.first(self.embedding(x).movedim(-1, 1)))
        for masked, out in zip(self.masked, self.out, strict=True):
            h = h + out(gate(masked(h)))
        return self.readout(F.relu(h))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(self.logits(x), x, reduction="sum") / len(x)


class VQVAE(nn.Module):
    """Mean squared error and commitment of images [B, 1, 28, 28] through 7x7 codes by moving averages."""

    def __init__(self, decay: float = 0.99, epsilon: float = 1e-5) -> None:
        super().__init__()
        relu = nn.ReLU()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 32, 4, 2, 1), relu, nn.Conv2d(32, 64, 4, 2, 1), relu, nn.Conv2d(64, 64, 3, 1, 1)
        )
        up = nn.ConvTranspose2d(64, 32, 4, 2, 1), relu, nn.ConvTranspose2d(32, 1, 4, 2, 1)
        self.decoder = nn.Sequential(nn.Conv2d(64, 64, 3, 1, 1), relu, *up)
        self.decay, self.epsilon = decay, epsilon
        self.register_buffer("codes", 0.1 * torch.randn(NUM_CODES, 64))
        self.register_buffer("counts", torch.ones(NUM_CODES))
        self.register_buffer("sums", self.codes.clone())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = self.encoder(x)
        flat = z.movedim(1, -1).reshape(-1, 64)
        with torch.no_grad():
            index = torch.addmm(self.codes.square().sum(1), flat, self.codes.T, alpha=-2.0).argmin(1)
            chosen = self.codes[index]
            counts = torch.zeros_like(self.counts).index_add_(0, index, torch.ones_like(flat[:, 0]))
            sums = torch.zeros_like(self.sums).index_add_(0, index, flat)
            self.counts.lerp_(counts, 1.0 - self.decay)
            self.sums.lerp_(sums, 1.0 - self.decay)
            total = self.counts.sum()
            smoothed = (self.counts + self.epsilon) / (total + NUM_CODES * self.epsilon) * total
            self.codes.copy_(self.sums / smoothed[:, None])
        commitment = F.mse_loss(flat, chosen)
        z_q = chosen.reshape(*z.movedim(1, -1).shape).movedim(-1, 1)
        return F.mse_loss(self.decoder(z + (z_q - z).detach()), x) + 0.25 * commitment


def mlp() -> VAE:
    """784-400-20, 20-400-784, relu."""
    return VAE(*_dense())


def planar() -> VAE:
    """`mlp` with ten planar flows."""
    return PlanarVAE(10, *_dense())


def conv() -> VAE:
    """1-32-64 channels, 16 latents, 64-32-1 channels, 4x4 kernels of stride 2, relu."""
    down = lambda cin, cout: nn.Conv2d(cin, cout, 4, 2, 1)  # noqa: E731
    up = lambda cin, cout: nn.ConvTranspose2d(cin, cout, 4, 2, 1)  # noqa: E731
    encoder = nn.Sequential(down(1, 32), nn.ReLU(), down(32, 64), nn.ReLU(), nn.Flatten())
    dense = (nn.Linear(16, 3136), nn.ReLU(), nn.Unflatten(1, (64, 7, 7)))
    return VAE(encoder, 3136, 16, nn.Sequential(*dense, up(64, 32), nn.ReLU(), up(32, 1)))


def _dense() -> tuple[nn.Module, int, int, nn.Module]:
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(784, 400), nn.ReLU())
    decoder = nn.Sequential(nn.Linear(20, 400), nn.ReLU(), nn.Linear(400, 784), nn.Unflatten(1, (1, 28, 28)))
    return encoder, 400, 20, decoder


MODELS: dict[str, Callable[[], nn.Module]] = {
    "mlp": mlp,
    "planar": planar,
    "conv": conv,
    "vq_vae": VQVAE,
    "gated_pixelcnn": GatedPixelCNN,
}
CONVOLUTIONS = ("conv", "vq_vae", "gated_pixelcnn")


def variants(model: str) -> list[str]:
    """Return the names of a model's loops."""
    return [*LOOPS] if model not in CONVOLUTIONS else [*LOOPS, *(f"{loop} channels_last" for loop in LOOPS)]


class Loop:
    """One training loop: its steps go on where the last chunk ended."""

    def __init__(self, model: str, variant: str, num_images: int, device: str, batch_size: int) -> None:
        torch.manual_seed(0)
        if model == "gated_pixelcnn":
            images = torch.from_numpy(codes(num_images)).long().to(device)
        else:
            images = torch.from_numpy(bumps(num_images)).movedim(-1, 1).contiguous().to(device)
        loop, *layout = variant.split()
        self._images, self._batch_size = images, batch_size
        vae = MODELS[model]().to(images.device)
        if layout:
            vae = vae.to(memory_format=torch.channels_last)
            if images.ndim == 4:
                self._images = images.to(memory_format=torch.channels_last)
        self._optimizer = torch.optim.Adam(vae.parameters(), lr=1e-3, fused=True)
        self._loss: Callable = vae if loop == "eager" else torch.compile(vae)
        self._update = torch.compile(self._optimizer.step) if loop == "compile_step" else self._optimizer.step
        self._order, self._next = torch.randperm(len(images)), 0

    def __call__(self, num_steps: int) -> float:
        """Take steps and return the seconds that they took."""
        began = time.perf_counter()
        total = torch.zeros((), device=self._images.device)
        for _ in range(num_steps):
            if self._next + self._batch_size > len(self._order):
                self._order, self._next = torch.randperm(len(self._order)), 0
            rows = self._order[self._next : self._next + self._batch_size]
            self._next += self._batch_size
            loss = self._loss(self._images[rows.to(self._images.device, non_blocking=True)])
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self._update()
            total += loss.detach()
        if not total.isfinite():  # waits for the device
            raise RuntimeError(f"the loss is {float(total)} after {num_steps} steps")
        return time.perf_counter() - began


def answer(request: dict[str, Any], loops: dict[tuple[str, str], Loop], setting: dict[str, Any]) -> dict[str, Any]:
    """Do what a request asks for: the setting first, then the variants of a model, to prepare one, to run one."""
    if "threads" in request:
        torch.set_num_threads(request["threads"])
        torch.set_float32_matmul_precision("high")  # TF32 on GPUs, as in JAX
        setting |= {name: request[name] for name in ("num_images", "device", "batch_size")}
        return {"version": torch.__version__}
    if "variants_of" in request:
        return {"variants": variants(request["variants_of"])}
    if "prepare" in request:
        key = request["model"], request["prepare"]
        try:
            loops[key] = Loop(*key, **setting)
            return {"seconds": loops[key](2)}
        except Exception as error:  # compilers fail in their own ways; the others are timed without this one
            return {"error": f"{type(error).__name__}: {str(error).splitlines()[0]}"}
    return {"seconds": loops[request["model"], request["run"]](request["num_steps"])}


if __name__ == "__main__":
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever compilers print is no reply
    prepared: dict[tuple[str, str], Loop] = {}
    common: dict[str, Any] = {}
    for line in sys.stdin:
        replies.write(json.dumps(answer(json.loads(line), prepared, common)) + "\n")
        replies.flush()
