"""The drawer's VAE: frames of 64x64 to latents of 8x8 and back (an AutoencoderKL of diffusers).

Most of a frame is plain background, so plain losses sit at its colour for long: objects and edges weigh more.
The log-variance starts low, because at the default the noise is as large as the signal.

Two stages: `whole` trains both halves; `decoder` goes on with the second half alone, so that latents stay
what they are and a drawer can learn on them meanwhile. It sees latents a little off, as drawn ones are.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from torch import Tensor, nn

from gpt4video.shapes.render import frame_times, render
from gpt4video.shapes.world import DRAWN, sample_scene
from gpt4video.training.loop import LoopConfig, Randomness, device, run


@dataclass(frozen=True)
class VaeConfig:
    """Size of the VAE and how it learns."""

    kind: Literal["whole", "decoder"] = "whole"
    """Both halves from nothing, or the decoder of the one that is there."""
    channels: tuple[int, ...] = (16, 32, 64, 64)
    """Width at each resolution; every one but the last halves the frame."""
    latent_channels: int = 8
    """Channels of a latent."""
    kl_weight: float = 1e-5
    """Weight of the KL term, in nats per latent value."""
    l1_weight: float = 0.1
    """Weight of the absolute error beside the squared one."""
    noise: float = 0.0
    """Largest standard deviation of what is added to the latents, which have a variance of 1."""
    passes: float = 0.12
    """Share of two-object scenes in which one passes in front of the other: the hardest to decode."""
    scenes: int = 16
    """Scenes in a batch."""
    frames: int = 1
    """Frames of each scene."""
    loop: LoopConfig = field(default_factory=lambda: LoopConfig(steps=3000, bf16=False, ema=0.995))
    """How long and how fast."""


def make_vae(config: VaeConfig) -> AutoencoderKL:
    """An untrained VAE."""
    levels = len(config.channels)
    vae = AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=config.channels,
        layers_per_block=1,
        latent_channels=config.latent_channels,
        norm_num_groups=8,
        sample_size=64,
    )
    with torch.no_grad():
        vae.quant_conv.bias[config.latent_channels :] = -6.0
    return vae


def to_tensor(frames: NDArray[np.uint8]) -> Tensor:
    """(B, H, W, 3) uint8 to (B, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(frames).permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)


def edges_of(pixels: Tensor) -> Tensor:
    """How much each pixel counts, (B, 1, H, W): 5 in objects, 9 on their edges, 1 on the background."""
    background = pixels.flatten(2).median(-1).values[:, :, None, None]
    objects = ((pixels - background).abs().amax(1, keepdim=True) > 0.1).float()
    wide = nn.functional.max_pool2d(objects, 3, 1, 1)
    narrow = -nn.functional.max_pool2d(-objects, 3, 1, 1)
    return 1 + 4 * wide + 4 * (wide - narrow)


class VaeTask:
    """Reconstruct frames of the canonical look."""

    def __init__(self, config: VaeConfig, trained: Path | None = None) -> None:
        torch.manual_seed(config.loop.seed)
        self.config = config
        if config.kind == "whole":
            self.vae: Any = make_vae(config)
        else:
            self.vae = AutoencoderKL.from_pretrained(trained).float()
            self.vae.encoder.requires_grad_(False)
            self.vae.quant_conv.requires_grad_(False)
        self.vae.to(device())
        self.mix = replace(DRAWN, passes=config.passes)
        self.modules: dict[str, nn.Module] = {"vae": self.vae}

    def batch(self, randomness: Randomness) -> tuple[NDArray[np.uint8], int]:
        """Frames (B, 64, 64, 3), and what the noise begins from."""
        rng, frames = randomness.numpy, []
        for _ in range(self.config.scenes):
            scene = sample_scene(rng, "training", self.mix)
            times = rng.choice(frame_times(scene.duration, 8.0), self.config.frames, replace=False)
            frames.append(render(scene, times=times))
        return np.concatenate(frames), randomness.torch.initial_seed()

    def loss(self, batch: tuple[NDArray[np.uint8], int]) -> tuple[Tensor, dict[str, float]]:
        """Weighted squared and absolute error, and a little KL."""
        frames, seed = batch
        pixels = to_tensor(frames).to(device())
        generator = torch.Generator(pixels.device).manual_seed(seed)
        posterior = self.vae.encode(pixels).latent_dist
        noise = torch.randn(posterior.mean.shape, generator=generator, device=pixels.device)
        spread = posterior.std
        if self.config.noise:
            off = torch.rand(len(pixels), 1, 1, 1, generator=generator, device=pixels.device)
            off = off * self.config.noise
            spread = (spread**2 + (off / self.vae.config.scaling_factor) ** 2).sqrt()
        latents = posterior.mean + spread * noise
        error = self.vae.decode(latents).sample.float() - pixels
        weights = edges_of(pixels)
        squared, absolute = (weights * error**2).mean(), (weights * error.abs()).mean()
        kl = 0.5 * (posterior.mean**2 + posterior.var - 1 - posterior.logvar).mean()
        decibel = float(-10 * torch.log10((error.detach() ** 2).mean() / 4))
        loss = squared + self.config.l1_weight * absolute + self.config.kl_weight * kl
        return loss, {"psnr": decibel, "kl": float(kl.detach())}


def weights_of(latents: Tensor, objects: float) -> Tensor:
    """How much each place counts: `objects` where it differs from the frame's plain background, 1 elsewhere.

    Latents (B, C, h, w) or (B, C, T, h, w) to weights with one channel.
    """
    plain = latents.flatten(-2).median(-1).values[..., None, None]
    differs = (latents - plain).abs().amax(1, keepdim=True) > 1.0  # latents have unit variance
    return torch.where(differs, objects, 1.0)


WHITE_FLOOR = 0.003
"""Share of the whole variance that every direction counts at least: weaker ones tell next to nothing."""


WHITENED = 512
"""Frames that tell how latents spread."""


@torch.no_grad()
def whiten(vae: AutoencoderKL, pixels: Tensor) -> None:
    """Turn the latents so that their directions are independent and spread alike, about zero.

    What a VAE finds is mostly brightness: one direction held five sixths of the variance and colours a few
    hundredths, which the drawer's noise, alike in every direction, hid to the very last step. The change of
    basis goes into the two 1x1 convolutions between the halves, so that what is decoded stays what it was.
    Cells of objects count as much as those of backgrounds. The posterior's spread becomes its average.
    """
    posterior = vae.encode(pixels).latent_dist
    raw = posterior.mean
    objects = (weights_of(raw / raw.std(), 2.0) > 1).flatten().double()
    counts_N = objects / objects.sum() + (1 - objects) / (1 - objects).sum()
    cells_NC = raw.movedim(1, -1).flatten(0, -2).double()
    mean_C = counts_N @ cells_NC / 2
    covariance = torch.cov(cells_NC.T, aweights=counts_N, correction=0)
    variances, directions = torch.linalg.eigh(covariance)
    spread = (variances + WHITE_FLOOR * variances.sum()).sqrt()
    # white = into (raw - mean); raw = back white + mean
    into, back = (directions / spread).T, directions * spread
    count = len(mean_C)
    before, after = vae.quant_conv, vae.post_quant_conv
    weight, bias = before.weight.double().flatten(1), before.bias.double()
    average = into.square() @ posterior.var.mean((0, 2, 3)).double()
    moments = torch.cat((into @ weight[:count], torch.zeros_like(weight[count:])))
    before.weight.copy_(moments.view_as(before.weight))
    before.bias.copy_(torch.cat((into @ (bias[:count] - mean_C), average.log())))
    weight = after.weight.double().flatten(1)
    after.bias.copy_(after.bias.double() + weight @ mean_C)
    after.weight.copy_((weight @ back).view_as(after.weight))
    vae.register_to_config(scaling_factor=1.0)


def train(config: VaeConfig, folder: Path, out: Path, *, resume: bool = True) -> None:
    """Train, whiten the latents of a whole one, and save to `out/pipeline/vae`."""
    path = out / "pipeline" / "vae"
    task = VaeTask(config, path)
    run(task, config.loop, folder, resume=resume)
    vae = task.vae.eval()
    if config.kind == "whole":
        batches = -(-WHITENED // (config.scenes * config.frames))
        frames = np.concatenate([task.batch(Randomness.of(7, i))[0] for i in range(batches)])
        whiten(vae, to_tensor(frames).to(device()))
    vae.register_to_config(_name_or_path="")  # or the file would tell of a folder of this machine
    vae.half().save_pretrained(path, safe_serialization=True)
