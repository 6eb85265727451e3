"""Stable Diffusion's own frame checker (CLIP against concept vectors) as a `FrameChecker`.

    margin = max over concepts of cos(image, concept) - its threshold (+ 0.01 in special-care pictures)
    score  = 1 / (1 + exp(-margin / 0.02)); 0.5 is the checker's own threshold

Opens what `StableDiffusionSafetyChecker.save_pretrained` wrote, with its image processor's file beside it.
Its concepts are sexual content only. (Schramowski et al. 2022; Rando et al. 2022 on what it knows.)
Its own `forward` is not used: it blackens pictures in place and gives no scores.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from numpy.typing import NDArray
from torch.nn.functional import normalize
from transformers import CLIPImageProcessor

from gpt4video.errors import ConfigError

MARGIN = 0.02
"""Difference of cosines that moves a score from 0.5 to 0.73."""
SPECIAL_CARE = 0.01
"""What the checker adds to every concept of a picture that a special-care concept flags."""


class StableDiffusionFrameChecker:
    """Scores frames by the margin over Stable Diffusion's thresholds."""

    categories = ("sexual",)

    def __init__(self, model: Any, processor: Any, device: str = "cpu") -> None:
        self._model, self._processor, self._device = model.to(device).eval(), processor, device

    @classmethod
    def from_folder(cls, folder: Path, device: str = "cpu") -> StableDiffusionFrameChecker:
        """Open a saved checker; safetensors only. Raises `ConfigError`."""
        try:
            model = StableDiffusionSafetyChecker.from_pretrained(folder, use_safetensors=True)
            return cls(model, CLIPImageProcessor.from_pretrained(folder), device)
        except (OSError, ValueError) as error:
            raise ConfigError(f"Cannot open the frame checker {folder}: {error}") from error

    @torch.inference_mode()
    def scores(self, frames: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Scores from 0 to 1, (T, 1), for frames (T, H, W, 3)."""
        model = self._model
        pixels_T3HW = self._processor(list(frames), return_tensors="pt").pixel_values.to(self._device)
        images_TD = _unit(model.visual_projection(model.vision_model(pixels_T3HW)[1]))
        special_TS = (
            images_TD @ normalize(model.special_care_embeds.float()).T - model.special_care_embeds_weights
        )
        margin_TC = images_TD @ normalize(model.concept_embeds.float()).T - model.concept_embeds_weights
        margin_T = margin_TC.max(1).values + SPECIAL_CARE * (special_TS > 0).any(1)
        scores_T1: NDArray[np.float64] = (margin_T[:, None] / MARGIN).sigmoid().double().cpu().numpy()
        return scores_T1


def _unit(vectors: torch.Tensor) -> torch.Tensor:
    return normalize(vectors.float(), dim=-1)
