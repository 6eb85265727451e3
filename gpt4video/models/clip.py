"""The CLIP encoder: frames to patch tokens, and frames and words to one space.

Any open_clip ViT or ResNet will do; a ResNet's patches are the cells of one of its stages.

    frames (T, H, W, 3) uint8 -> preprocess -> pixels (T, 3, S, S) -> patch_tokens   (T, N, C)
                                                                   -> image_features (T, E), of length one
    words -> tokenizer -> ids (B, K)                               -> text_features  (B, E), of length one

A CLIP lives in an open_clip local directory: open_clip_config.json, open_clip_model.safetensors and the
tokenizer's own files. `open_clip.create_model_and_transforms("local-dir:PATH")` and
`open_clip.get_tokenizer("local-dir:PATH")` open the same directory, without a network.
Suffixes: B batch, T frames, N patches, C encoder width, E shared width, S pixels a side, K text context.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from open_clip.modified_resnet import ModifiedResNet
from open_clip.transform import PreprocessCfg
from safetensors.torch import save_file
from torch import Tensor, nn

from gpt4video.errors import ConfigError, InputError
from gpt4video.models.crmsnorm import convert_norms

CONFIG_NAME, WEIGHTS_NAME = "open_clip_config.json", "open_clip_model.safetensors"

Layer = Literal["last", "penultimate", "antepenultimate"]
Norms = Literal["layernorm", "rmsnorm"]

LAYERS: dict[str, int] = {"last": 1, "penultimate": 2, "antepenultimate": 3}
"""Which block's tokens are read, counted from the end. The last one serves the pooled vector; the one before
still says more of each place, which is why LLaVA reads it (Liu et al. 2023, arXiv 2304.08485). A ResNet's
blocks are its four stages, each of half the grid of the one before."""


class ClipEncoder(nn.Module):
    """An open_clip model as the eyes of the assistant.

    `image_size` is S, `num_layers` counts its blocks, `width` is C, and `grid` holds the rows and columns of
    patches, whose product is N.
    """

    def __init__(self, model: nn.Module, layer: Layer = "penultimate", path: Path | None = None) -> None:
        super().__init__()
        if layer not in LAYERS:
            raise ConfigError(f"layer must be one of {', '.join(LAYERS)}, got {layer!r}.")
        self.model, self.layer, self.path = model, layer, path
        visual: Any = model.visual
        self.image_size, self.num_layers, self.width, self.grid = _anatomy(visual, LAYERS[layer])
        if self.num_layers < LAYERS[layer]:
            raise ConfigError(
                f"layer {layer!r} needs {LAYERS[layer]} blocks, this CLIP has {self.num_layers}."
            )
        self.register_buffer("mean", torch.tensor(visual.image_mean), persistent=False)
        self.register_buffer("std", torch.tensor(visual.image_std), persistent=False)

    @classmethod
    def from_pretrained(
        cls, path: str | Path, layer: Layer = "penultimate", norms: Norms = "layernorm"
    ) -> ClipEncoder:
        """Open an open_clip local directory. Raises `ConfigError` when it is not one.

        `norms` "rmsnorm" rewrites the image tower, a vision transformer, to Pre-RMSNorm: the same function
        (`crmsnorm.py`), for inference.
        """
        path = Path(path)
        if not (path / CONFIG_NAME).is_file():
            raise ConfigError(f"{path} is not an open_clip directory: it has no {CONFIG_NAME}.")
        if not any(path.glob("*.safetensors")):
            # open_clip would go on with random weights, or with a pickle.
            raise ConfigError(f"{path} has no weights: {WEIGHTS_NAME} is missing.")
        try:
            model = open_clip.create_model(f"local-dir:{path}")
        except (RuntimeError, ValueError, TypeError) as error:
            raise ConfigError(f"{path} cannot be opened by open_clip: {error}") from error
        if norms == "rmsnorm":
            convert_norms(model.visual, norms)
        return cls(model.eval(), layer, path)

    def preprocess(self, frames: NDArray[np.uint8] | Tensor) -> Tensor:
        """(T, H, W, 3) uint8 frames to (T, 3, S, S) normalised pixels.

        The whole picture is squeezed to S x S with anti-aliasing: a crop would lose what moves at the edge.
        """
        pixels = torch.as_tensor(frames, device=self.mean.device)
        if pixels.ndim != 4 or pixels.shape[-1] != 3 or pixels.dtype != torch.uint8:
            raise InputError(
                f"frames must be uint8 of shape (T, H, W, 3), got {pixels.dtype} {tuple(pixels.shape)}."
            )
        pixels = pixels.permute(0, 3, 1, 2).to(self.mean.dtype)
        size = (self.image_size, self.image_size)
        if pixels.shape[-2:] != size:
            pixels = nn.functional.interpolate(pixels, size=size, mode="bilinear", antialias=True)
        return (pixels / 255 - self.mean[:, None, None]) / self.std[:, None, None]

    def patch_tokens(self, pixels_T3SS: Tensor) -> Tensor:
        """(T, 3, S, S) pixels to (T, N, C): one token a patch, row by row, no class token."""
        visual: Any = self.model.visual
        if isinstance(visual, ModifiedResNet):
            return self._cells(pixels_T3SS).flatten(2).transpose(1, 2)
        found = self._intermediates(pixels_T3SS, stop_early=True, intermediates_only=True)
        tokens_TNC: Tensor = found["image_intermediates"][0]
        return tokens_TNC

    def look(self, pixels_T3SS: Tensor) -> tuple[Tensor, Tensor]:
        """Patch tokens (T, N, C) and image features (T, E) in one pass."""
        visual: Any = self.model.visual
        if isinstance(visual, ModifiedResNet):
            cells = whole = self._cells(pixels_T3SS)
            for stage in _stages(visual)[self.depth :]:
                whole = stage(whole)
            tokens_TNC, features = cells.flatten(2).transpose(1, 2), visual.attnpool(whole)
        else:
            found = self._intermediates(pixels_T3SS)
            tokens_TNC, features = found["image_intermediates"][0], found["image_features"]
        return tokens_TNC, nn.functional.normalize(features, dim=-1)

    @property
    def depth(self) -> int:
        """How many blocks a patch token has been through."""
        return self.num_layers - LAYERS[self.layer] + 1

    def _cells(self, pixels_T3SS: Tensor) -> Tensor:
        """A ResNet's pixels to (T, C, rows, columns) after `depth` stages."""
        visual: Any = self.model.visual
        cells: Tensor = visual.stem(pixels_T3SS)
        for stage in _stages(visual)[: self.depth]:
            cells = stage(cells)
        return cells

    def _intermediates(self, pixels_T3SS: Tensor, **only: bool) -> dict[str, Any]:
        """A transformer's tokens after `depth` blocks and, unless only they are asked for, its features."""
        visual: Any = self.model.visual
        found: dict[str, Any] = visual.forward_intermediates(
            pixels_T3SS, indices=[self.depth - 1], normalize_intermediates=True, output_fmt="NLC", **only
        )
        return found

    def image_features(self, pixels_T3SS: Tensor) -> Tensor:
        """(T, 3, S, S) pixels to (T, E) vectors of length one."""
        features: Tensor = self.model.encode_image(pixels_T3SS, normalize=True)
        return features

    def text_features(self, texts: Sequence[str] | Tensor) -> Tensor:
        """Texts, or their ids (B, K), to (B, E) vectors of length one."""
        ids = texts if isinstance(texts, Tensor) else self.tokenizer(list(texts)).to(self.mean.device)
        features: Tensor = self.model.encode_text(ids, normalize=True)
        return features

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer beside the weights: a list of texts to ids (B, K), padded."""
        if self.path is None:
            raise InputError("This CLIP was not opened from a directory, so it has no tokenizer; give ids.")
        return open_clip.get_tokenizer(f"local-dir:{self.path}")


def _stages(visual: ModifiedResNet) -> list[nn.Module]:
    """A ResNet's four stages, in order."""
    return [visual.layer1, visual.layer2, visual.layer3, visual.layer4]


def _anatomy(visual: Any, from_end: int) -> tuple[int, int, int, tuple[int, int]]:
    """S, the number of blocks, and C and the grid of the block so many from the end, of an image tower."""
    size = visual.image_size
    height, breadth = (size, size) if isinstance(size, int) else size
    if height != breadth:
        raise ConfigError(f"Only CLIPs of square pictures can be read, got {height} x {breadth}.")
    if isinstance(visual, ModifiedResNet):
        blocks = _stages(visual)
        cells = height // (2 ** (len(blocks) + 2 - from_end))  # the stem quarters, later stages halve
        return height, len(blocks), blocks[-from_end][-1].conv3.out_channels, (cells, cells)
    if hasattr(visual, "transformer"):
        return height, len(visual.transformer.resblocks), visual.conv1.out_channels, tuple(visual.grid_size)
    trunk: Any = getattr(visual, "trunk", None)
    if hasattr(trunk, "blocks"):
        return height, len(trunk.blocks), trunk.num_features, tuple(trunk.patch_embed.grid_size)
    raise ConfigError("This CLIP's image tower is no vision transformer and no ResNet, so it has no patches.")


def make_clip(config: Mapping[str, Any]) -> nn.Module:
    """A fresh open_clip model from a `model_cfg` mapping: embed_dim, vision_cfg, text_cfg, quick_gelu.

    For instance

        embed_dim: 128
        vision_cfg: {image_size: 64, patch_size: 8, width: 192, layers: 4, head_width: 48}
        text_cfg: {context_length: 48, vocab_size: 512, width: 128, heads: 4, layers: 3,
                   pool_type: eos, eos_id: 3, hf_tokenizer_name: tokenizer}

    Any `hf_tokenizer_name` makes open_clip read the tokenizer of the model's own directory.
    """
    fields = deepcopy(dict(config))
    cls = open_clip.CustomTextCLIP if fields.pop("custom_text", False) else open_clip.CLIP
    try:
        model: nn.Module = cls(**fields)
    except (TypeError, KeyError) as error:
        raise ConfigError(f"clip: {error}") from error
    squeezed = {"size": model.visual.image_size, "interpolation": "bilinear", "resize_mode": "squash"}
    open_clip.model.set_model_preprocess_cfg(model, {**dataclasses.asdict(PreprocessCfg()), **squeezed})
    return model


def save_clip(model: nn.Module, config: Mapping[str, Any], path: str | Path, tokenizer: Any = None) -> None:
    """Write an open_clip local directory: config, weights and, where one is given, the tokenizer's files.

    `tokenizer` is a transformers tokenizer that itself adds what opens and closes a text; `text_tokenizer`
    makes one of any other.
    """
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    written = {"model_cfg": dict(config), "preprocess_cfg": _preprocess(model)}
    (path / CONFIG_NAME).write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
    weights = {name: value.detach().contiguous().cpu() for name, value in model.state_dict().items()}
    save_file(weights, path / WEIGHTS_NAME, metadata={"format": "pt"})
    if tokenizer is not None:
        tokenizer.save_pretrained(path)


def _preprocess(model: nn.Module) -> dict[str, Any]:
    """open_clip's words for what `ClipEncoder.preprocess` does."""
    visual: Any = model.visual
    mean, std = list(visual.image_mean), list(visual.image_std)
    return {"mean": mean, "std": std, "interpolation": "bilinear", "resize_mode": "squash"}


def text_tokenizer(tokenizer: Any, bos_id: int, eos_id: int) -> Any:
    """A copy of a fast transformers tokenizer that puts `bos_id` before and `eos_id` after every text.

    A language model's tokenizer adds nothing; CLIP's text tower reads its vector at the end token.
    """
    from tokenizers.processors import TemplateProcessing

    copy = deepcopy(tokenizer)
    bos, eos = copy.convert_ids_to_tokens([bos_id, eos_id])
    copy.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{bos} $A {eos}",
        pair=f"{bos} $A {eos} $B {eos}",
        special_tokens=[(bos, bos_id), (eos, eos_id)],
    )
    copy.bos_token, copy.eos_token = bos, eos
    copy.padding_side = copy.truncation_side = "right"
    copy.chat_template = None
    return copy
