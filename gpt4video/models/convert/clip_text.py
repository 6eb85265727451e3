"""Checkpoints of one family as another: open_clip's text tower as transformers' CLIPTextModel.

Stable Diffusion pipelines read their prompt through a `CLIPTextModel`; the embedded drawer's is the text
tower that CLIP's contrastive training made. The conversion copies numbers and changes none:

    open_clip                                   transformers
    token_embedding, positional_embedding       embeddings.token_embedding, .position_embedding
    resblocks.i.attn.in_proj_{weight,bias}      layers.i.self_attn.{q,k,v}_proj  (three equal slices)
    resblocks.i.attn.out_proj                   layers.i.self_attn.out_proj
    resblocks.i.mlp.c_fc, .c_proj               layers.i.mlp.fc1, .fc2
    resblocks.i.ln_1, .ln_2; ln_final           layers.i.layer_norm1, .layer_norm2; final_layer_norm
"""

from __future__ import annotations

from typing import Any

import torch
from open_clip.transformer import QuickGELU
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from gpt4video.errors import ConfigError

ACTIVATIONS: dict[type[nn.Module], str] = {nn.GELU: "gelu", QuickGELU: "quick_gelu"}
"""transformers' word for each activation open_clip builds."""

BLOCK_NAMES = {
    "ln_1": "layer_norm1",
    "attn.out_proj": "self_attn.out_proj",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}


def to_hf_text_model(
    model: nn.Module, eos_id: int, bos_id: int | None = None, pad_id: int | None = None
) -> CLIPTextModel:
    """The text tower of an open_clip `CLIP` or `CustomTextCLIP` as a transformers `CLIPTextModel`.

    `last_hidden_state` is the tower's output after its final norm, at every position; `pooler_output` is that
    at the first `eos_id`. Ids are padded on the right, with no attention mask, as Stable Diffusion does.
    Raises `ConfigError` for towers it cannot say exactly.
    """
    tower: Any = getattr(model, "text", model)
    _check(tower, eos_id)
    first = tower.transformer.resblocks[0]
    config = CLIPTextConfig(
        vocab_size=tower.token_embedding.num_embeddings,
        hidden_size=tower.token_embedding.embedding_dim,
        intermediate_size=first.mlp.c_fc.out_features,
        projection_dim=_projection_width(tower),
        num_hidden_layers=len(tower.transformer.resblocks),
        num_attention_heads=first.attn.num_heads,
        max_position_embeddings=tower.positional_embedding.shape[0],
        hidden_act=ACTIVATIONS[type(first.mlp.gelu)],
        layer_norm_eps=tower.ln_final.eps,
        bos_token_id=bos_id,
        eos_token_id=eos_id,
        pad_token_id=eos_id if pad_id is None else pad_id,
    )
    converted = CLIPTextModel(config)
    # Newer transformers keep the tower's parts on the model itself, older ones under `text_model`.
    getattr(converted, "text_model", converted).load_state_dict(_weights(tower))
    return converted.to(tower.ln_final.weight.dtype).eval()


def _check(tower: Any, eos_id: int) -> None:
    """Raise `ConfigError` for a tower that a `CLIPTextModel` cannot say exactly."""
    if not all(hasattr(tower, name) for name in ("token_embedding", "positional_embedding", "transformer")):
        raise ConfigError("The text tower is not open_clip's own; there is nothing to convert.")
    first = tower.transformer.resblocks[0]
    if not isinstance(first.attn, nn.MultiheadAttention) or not isinstance(first.ls_1, nn.Identity):
        raise ConfigError(
            "Only open_clip's plain text blocks can be converted (no qk_norm, scales or LayerScale)."
        )
    if tower.attn_mask is None or getattr(tower, "cls_emb", None) is not None:
        raise ConfigError("Only causal text towers without a class token can be converted.")
    if type(first.mlp.gelu) not in ACTIVATIONS:
        raise ConfigError(f"The activation {type(first.mlp.gelu).__name__} has no name in transformers.")
    pool = getattr(tower, "text_pool_type", getattr(tower, "pool_type", None))
    expected = {
        "eos": getattr(tower, "text_eos_id", getattr(tower, "eos_id", None)),
        "argmax": tower.token_embedding.num_embeddings - 1,
    }
    if pool not in expected:
        raise ConfigError(f"The tower pools {pool!r}; transformers reads the end token (pool_type 'eos').")
    if eos_id != expected[pool]:
        raise ConfigError(f"eos_id must be {expected[pool]}, which the tower pools at, got {eos_id}.")
    if eos_id == 2 and pool == "eos":
        raise ConfigError(
            "eos_id must not be 2: transformers takes a CLIPTextModel with that end token for an old one and "
            "pools at the highest id instead. Give the end token another id."
        )


def _projection_width(tower: Any) -> int:
    """How wide the shared space is; transformers only writes it down."""
    projection = tower.text_projection
    if projection is None:
        return int(tower.token_embedding.embedding_dim)
    return int(projection.out_features if isinstance(projection, nn.Linear) else projection.shape[1])


def _weights(tower: Any) -> dict[str, Tensor]:
    """The tower's numbers under transformers' names."""
    weights: dict[str, Tensor] = {
        "embeddings.token_embedding.weight": tower.token_embedding.weight,
        "embeddings.position_embedding.weight": tower.positional_embedding,
        "final_layer_norm.weight": tower.ln_final.weight,
        "final_layer_norm.bias": tower.ln_final.bias,
    }
    for i, block in enumerate(tower.transformer.resblocks):
        layer = f"encoder.layers.{i}"
        for part in ("weight", "bias"):
            slices = getattr(block.attn, f"in_proj_{part}").chunk(3)
            for name, value in zip("qkv", slices, strict=True):
                weights[f"{layer}.self_attn.{name}_proj.{part}"] = value
            for ours, theirs in BLOCK_NAMES.items():
                weights[f"{layer}.{theirs}.{part}"] = getattr(block.get_submodule(ours), part)
    return {
        name: value.detach().clone(memory_format=torch.contiguous_format) for name, value in weights.items()
    }
