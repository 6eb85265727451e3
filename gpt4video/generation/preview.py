"""A small picture of unfinished latents: one frame, through a linear map, enlarged so that people can see it.

Suffixes: B batch, T latent frames, C latent channels, h and w latent height and width.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpt4video.generation.config import PreviewMap

SIDE = 64
"""Pixels that the longer side of a preview should reach."""


def preview(latents: Any, colours: PreviewMap | None) -> NDArray[np.uint8] | None:
    """The middle frame of latents as (H, W, 3); None without a map, or where no frame can be told apart.

    Takes (B, C, T, h, w) as most pipelines have them, (B, T, C, h, w) as CogVideoX, (T, C, h, w) as
    ModelScope. Packed latents (LTX) have no height and width, hence no preview.
    """
    if colours is None or latents.ndim not in (4, 5):
        return None
    channels = len(colours.weights)
    if latents.ndim == 5:
        latents = latents[0].movedim(0, 1) if latents.shape[1] == channels else latents[0]
    if latents.shape[1] != channels:
        return None
    frame_Chw = latents[len(latents) // 2].float().cpu().numpy()
    rgb_hw3 = np.moveaxis(frame_Chw, 0, -1) @ np.array(colours.weights) + np.array(colours.bias)
    pixels_hw3 = (np.nan_to_num(rgb_hw3).clip(0, 1) * 255).round().astype(np.uint8)
    return enlarge(pixels_hw3[None], max(1, SIDE // max(pixels_hw3.shape)))[0]


def enlarge(frames: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Frames (T, H, W, 3) with every pixel repeated `factor` times in both directions."""
    return frames.repeat(factor, axis=1).repeat(factor, axis=2) if factor > 1 else frames
