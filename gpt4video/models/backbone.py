"""The language model: a decoder-only transformer whose blocks normalise where the config says.

    ids -> embed -> [embedding norm] -> L x ( x = out(x + branch(attention(inner(x))));
                                              x = out(x + branch(mlp(inner(x)))) ) -> norm -> head

Where positions are learned, their rows are added to the embeddings; otherwise they turn queries and keys.

It is a transformers model like any other: `generate`, `save_pretrained`, `from_pretrained`, PEFT and the
Auto classes work, and it is written to the interface of vLLM's Transformers backend. Soft tokens of videos
enter as `inputs_embeds`; they pass the same embedding norm as words do.
Suffixes: B batch, L positions, D width, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import GenerationMixin, PreTrainedModel
from transformers import initialization as init
from transformers.cache_utils import DynamicCache
from transformers.masking_utils import create_causal_mask, create_sliding_window_causal_mask
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast

from gpt4video.errors import ConfigError, InputError
from gpt4video.models.attention import Attention
from gpt4video.models.backbone_config import FULL, SLIDING, BackboneConfig
from gpt4video.models.mlp import MLPS
from gpt4video.models.norms import CompressedNorm, Residual, make_norm, placement_of
from gpt4video.models.positions import Angles, LearnedPositions, RotaryEmbedding, ScaledEmbedding

MASKS = {FULL: create_causal_mask, SLIDING: create_sliding_window_causal_mask}
"""How the mask of each kind of layer is made."""


NORMED_TOGETHER = {
    "layers.*.self_attn.q_proj": "colwise_gather_output",
    "layers.*.self_attn.k_proj": "colwise_gather_output",
    "layers.*.self_attn.v_proj": "colwise_gather_output",
    "layers.*.self_attn.o_proj": "rowwise_split_input",
}
"""How weights are split over devices where a norm reads all heads together, as in OLMo 2."""


class Block(GradientCheckpointingLayer):
    """Attention, then the MLP, each one residual step."""

    def __init__(self, config: BackboneConfig, layer: int) -> None:
        super().__init__()
        assert config.intermediate_size is not None, "the config fills it in"
        self.self_attn = Attention(config, layer)
        self.mlp = MLPS[config.mlp_kind](
            config.hidden_size, config.intermediate_size, config.hidden_act, config.mlp_bias
        )
        self.attention_norms = Residual(config, layer)
        self.mlp_norms = Residual(config, layer)
        for module in (self.self_attn.v_proj, self.self_attn.o_proj, *self.mlp.children()):
            if isinstance(module, nn.Linear):
                module.gain = placement_of(config, layer).gain  # read when fresh weights are drawn

    def forward(
        self,
        hidden_states: Tensor,
        angles: Angles | None,
        attention_mask: Tensor | None = None,
        past_key_values: Any = None,
        **kwargs: Any,
    ) -> Tensor:
        """The stream (B, L, D) after this block."""

        def attend(x: Tensor) -> Tensor:
            mixed: Tensor = self.self_attn(x, angles, attention_mask, past_key_values, **kwargs)[0]
            return mixed

        hidden_states = self.attention_norms(hidden_states, attend)
        out: Tensor = self.mlp_norms(hidden_states, self.mlp)
        return out


class BackbonePreTrainedModel(PreTrainedModel):
    """What transformers needs to know of the family."""

    config_class = BackboneConfig
    config: BackboneConfig
    base_model_prefix = "model"
    supports_gradient_checkpointing = True
    _no_split_modules = ["Block"]  # noqa: RUF012
    _skip_keys_device_placement = ["past_key_values"]  # noqa: RUF012
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True

    def __init__(self, config: BackboneConfig) -> None:
        # torch's fused attention has no soft-cap; without the flag transformers runs the written-out one.
        self._supports_sdpa = config.attn_logit_softcapping is None
        super().__init__(config)
        if config.norms_in_float32:
            self._keep_in_fp32_modules_strict = ["norm"]  # in the name; vLLM takes no wildcards

    @classmethod
    def from_pretrained(
        cls,
        *args: Any,
        output_loading_info: bool = False,
        ignore_mismatched_sizes: bool = False,
        **kwargs: Any,
    ) -> Any:
        """As in transformers, but a tensor of another shape is a `ConfigError` with its name and both."""
        model, info = super().from_pretrained(
            *args, output_loading_info=True, ignore_mismatched_sizes=True, **kwargs
        )
        if info["mismatched_keys"] and not ignore_mismatched_sizes:
            name, found, expected = min(info["mismatched_keys"])
            raise ConfigError(
                f"Tensor {name} is of shape {tuple(found)} in the checkpoint, and by the config "
                f"{tuple(expected)}."
            )
        return (model, info) if output_loading_info else model

    def _init_weights(self, module: nn.Module) -> None:
        """Fresh weights. transformers sets every norm to weight 1, bias 0, whatever its constructor did."""
        if isinstance(module, LearnedPositions):
            init.normal_(module.weight, mean=0.0, std=self.config.initializer_range)
        elif isinstance(module, nn.Embedding):
            init.normal_(module.weight, mean=0.0, std=self.config.embedding_std)
        elif isinstance(module, CompressedNorm):  # transformers knows norms by their names
            init.ones_(module.weight)
        elif isinstance(module, nn.Linear):
            std = self.config.initializer_range * getattr(module, "gain", 1.0)
            init.normal_(module.weight, mean=0.0, std=std)
            if module.bias is not None:
                init.zeros_(module.bias)
        else:
            super()._init_weights(module)


class BackboneModel(BackbonePreTrainedModel):
    """The stack without a head: ids or embeddings to the normalised stream."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__(config)
        size = (config.vocab_size, config.hidden_size)
        scale = config.embedding_scale
        self.embed_tokens = nn.Embedding(*size) if scale == 1 else ScaledEmbedding(*size, embed_scale=scale)
        learned = config.positions == "learned"
        self.embed_positions = (
            LearnedPositions(config.max_position_embeddings, config.hidden_size) if learned else None
        )
        self.rotary = None if learned else RotaryEmbedding(config)
        self.embedding_norm = make_norm(config) if config.embedding_norm else nn.Identity()
        self.kinds = list(config.layer_types or ())
        self.layers = nn.ModuleList(Block(config, layer) for layer in range(config.num_hidden_layers))
        self.norm = make_norm(config)
        self.gradient_checkpointing = False
        self.post_init()
        there = dict(self.named_modules())
        plan = {
            **BackboneConfig.base_model_tp_plan,
            **(NORMED_TOGETHER if config.qk_norm == "projection" else {}),
        }
        self._tp_plan = {name: style for name, style in plan.items() if name.replace("*", "0") in there}

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Any = None,
        inputs_embeds: Tensor | None = None,
        use_cache: bool | None = None,
        output_hidden_states: bool | None = None,
        output_attentions: bool | None = None,
        return_dict: bool | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPast:
        """The stream after the final norm, (B, L, D).

        Give `input_ids` (B, L) or `inputs_embeds` (B, L, D). `attention_mask` (B, S) is 1 where a token is
        real; positions count real tokens only, so that padding on the left changes nothing. A mapping from
        kinds of layers to masks of four dimensions, as `generate` makes it, is taken as it is.
        Without a mask, `position_ids` (B, L) that start again at 0 keep packed texts apart.
        `hidden_states`, where asked for, holds what enters each block and what leaves the last, raw.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise InputError("Give either input_ids or inputs_embeds, and not both.")
        if output_attentions:
            raise InputError(
                "Attention weights are not collected; with attn_implementation='eager' a forward hook "
                "on each block's self_attn sees them."
            )
        if inputs_embeds is None:
            inputs_embeds = self.embed_tokens(input_ids)
        if use_cache is None:  # a training step has no next one that would read the cache
            use_cache = self.config.use_cache and not self.training
        if use_cache and past_key_values is None:
            past_key_values = DynamicCache(config=self.config)
        masks = _masks(
            self.config,
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            past_key_values=past_key_values,
            position_ids=position_ids,  # the caller's: looking for packed texts in our own waits for a GPU
        )
        if position_ids is None:
            seen = past_key_values.get_seq_length() if past_key_values is not None else 0
            position_ids = _positions(inputs_embeds, attention_mask, seen)
        x_BLD = inputs_embeds
        if self.embed_positions is not None:
            x_BLD = self.embed_positions(x_BLD, position_ids)
        x_BLD = self.embedding_norm(x_BLD)
        angles = self._angles(position_ids, x_BLD.dtype)
        streams = []
        for kind, block in zip(self.kinds, self.layers, strict=True):
            streams.append(x_BLD)
            x_BLD = block(
                x_BLD,
                angles=angles[kind],
                attention_mask=masks[kind],
                past_key_values=past_key_values,
                **kwargs,
            )
        streams.append(x_BLD)
        result = BaseModelOutputWithPast(
            last_hidden_state=self.norm(x_BLD),
            past_key_values=past_key_values,
            hidden_states=tuple(streams) if output_hidden_states else None,
        )
        return result if return_dict is not False else result.to_tuple()

    def _angles(self, position_ids: Tensor, dtype: torch.dtype) -> dict[str, Angles | None]:
        """The rotary angles for each kind of layer, made once where the kinds do not differ."""
        kinds: dict[str, Angles | None] = dict.fromkeys(self.kinds)
        if self.rotary is None:
            return kinds
        if self.config.rope_differs:
            return {kind: self.rotary(position_ids, dtype, kind) for kind in kinds}
        return dict.fromkeys(kinds, self.rotary(position_ids, dtype))


class BackboneForCausalLM(BackbonePreTrainedModel, GenerationMixin):
    """The stack and the head that scores the next token."""

    _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}  # noqa: RUF012
    _tp_plan = {"lm_head": "colwise_gather_output"}  # noqa: RUF012
    _pp_plan = {"lm_head": (["hidden_states"], ["logits"])}  # noqa: RUF012

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__(config)
        self.model = BackboneModel(config)
        self.vocab_size = config.vocab_size
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Any = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Scores of the next token, (B, L, V), and the mean loss where `labels` (B, L) are given.

        Label -100 is not scored; labels are shifted here, position i is scored on label i + 1.
        `logits_to_keep` keeps only the last so many positions (0: all), or the positions of an index tensor.
        """
        outputs = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            use_cache=use_cache,
            output_hidden_states=output_hidden_states,
            **{k: v for k, v in kwargs.items() if k != "num_items_in_batch"},
        )
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits_BLV = self.lm_head(outputs.last_hidden_state[:, kept])
        if (cap := self.config.final_logit_softcapping) is not None:
            logits_BLV = cap * torch.tanh(logits_BLV / cap)
        loss = None
        if labels is not None:
            loss = self.loss_function(
                logits=logits_BLV,
                labels=labels,
                vocab_size=self.config.vocab_size,
                num_items_in_batch=kwargs.get("num_items_in_batch"),
            )
        result = CausalLMOutputWithPast(
            loss=loss,
            logits=logits_BLV,
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
        )
        return result if return_dict is not False else result.to_tuple()


def _masks(config: BackboneConfig, attention_mask: Any, **seen: Any) -> dict[str, Tensor | None]:
    """The mask of each kind of layer."""
    if isinstance(attention_mask, dict):
        return attention_mask
    kinds = dict.fromkeys(config.layer_types or ())
    if len(kinds) > 1 and attention_mask is not None and attention_mask.dim() == 4:
        raise InputError(
            "Some layers see a window and some everything: a mask of four dimensions fits one kind only. "
            f"Give a mapping with one for each of {', '.join(kinds)}, or a mask of two dimensions."
        )
    return {kind: MASKS[kind](config=config, attention_mask=attention_mask, **seen) for kind in kinds}


def _positions(embeds: Tensor, attention_mask: Any, seen: int) -> Tensor:
    """(B or 1, L) positions of the new tokens, real tokens counted from 0."""
    length = embeds.shape[1]
    if isinstance(attention_mask, Tensor) and attention_mask.dim() == 2:
        return (attention_mask.long().cumsum(-1) - 1).clamp(min=0)[:, -length:]
    return torch.arange(seen, seen + length, device=embeds.device)[None]
