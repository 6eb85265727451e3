"""The VAE of a checkpoint's pipeline, alone: frames -> latents -> frames."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray

from gpt4video.checkpoint import AssistantConfig, find
from gpt4video.evaluation.play import Reconstruct


def open_reconstruction(checkpoint: str | None) -> Reconstruct | None:
    """Frames through the VAE and back; None where the checkpoint has no folder of a VAE of images."""
    file = find(checkpoint)
    fields, file = AssistantConfig.of(file).fields("generation", file)
    folder = file.parent / Path(str(fields.get("pipeline", "pipeline"))) / "vae"
    if fields.get("kind", "diffusers") != "diffusers" or not (folder / "config.json").is_file():
        return None
    if AutoencoderKL.load_config(folder).get("_class_name") != "AutoencoderKL":
        return None
    vae = AutoencoderKL.from_pretrained(folder, use_safetensors=True).eval().float()
    return partial(reconstruction, vae.to("cuda" if torch.cuda.is_available() else "cpu"))


def reconstruction(vae: AutoencoderKL, frames_THWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Frames (T, H, W, 3) through the VAE and back, without its noise."""
    with torch.inference_mode():
        pixels = torch.from_numpy(frames_THWC).permute(0, 3, 1, 2).to(vae.device).float() / 127.5 - 1
        decoded = vae.decode(vae.encode(pixels).latent_dist.mean).sample
    levels = ((decoded.clamp(-1, 1) + 1) * 127.5).round().byte()
    result: NDArray[np.uint8] = levels.permute(0, 2, 3, 1).cpu().numpy()
    return result
