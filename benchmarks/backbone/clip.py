"""CLIP's image tower of ViT-B/16's size: as it was made, and rewritten to RMSNorm and to CRMSNorm."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import torch

from gpt4video.models.clip import make_clip
from gpt4video.models.crmsnorm import convert_norms
from gpt4video.training.norms.speed import paired

VISION = {"image_size": 224, "patch_size": 16, "width": 768, "layers": 12, "head_width": 64}
TEXT = {"context_length": 8, "vocab_size": 8, "width": 32, "heads": 2, "layers": 1}


def tower(rounds: int, clock: Callable[[], float], pictures: int) -> dict[str, dict[str, dict[str, float]]]:
    """Seconds for so many pictures, and ratios to LayerNorm."""
    torch.manual_seed(0)
    made = make_clip({"embed_dim": 512, "vision_cfg": VISION, "text_cfg": TEXT}).visual.eval()
    towers = {"LayerNorm": made}
    towers |= {kind: convert_norms(deepcopy(made), kind) for kind in ("rmsnorm", "crmsnorm")}
    pixels = torch.randn(pictures, 3, 224, 224)
    with torch.inference_mode():
        expected = made(pixels)
        for converted in towers.values():
            torch.testing.assert_close(converted(pixels), expected, rtol=1e-4, atol=1e-4)
        runs = {name: (lambda model=model: model(pixels)) for name, model in towers.items()}
        return {f"ViT-B/16 tower, {pictures} pictures": paired(runs, rounds, clock=clock)}
