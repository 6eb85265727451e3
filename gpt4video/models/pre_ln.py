"""Who reads and writes the residual streams of the Pre-LN models we know, for `crmsnorm.py`.

`FAMILIES` is the table: a class -> a function that finds its streams, or says why they cannot be converted.
A model of a subclass is of its parent's family. What is converted has other numbers on its raw stream
(centred, perhaps a channel short), so ways to read that stream are closed: `guard`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from types import MethodType
from typing import Any, NoReturn

from torch import nn

from gpt4video.errors import ConfigError
from gpt4video.models.maps import Linear, Map, Packed, Transposed


@dataclass(frozen=True)
class Read:
    """A norm, `owner.name`, and the maps that read it; `damp` multiplies what it gives on the way."""

    owner: nn.Module
    name: str
    maps: tuple[Map, ...]
    damp: float = 1.0


@dataclass(frozen=True)
class Write:
    """A map that writes to the stream, and the `owner.name` of the LayerScale behind it, if there is one."""

    map: Map
    scale: tuple[nn.Module, str] | None = None


@dataclass(frozen=True)
class Stream:
    """One residual stream: the block it enters, who reads and writes it, and the last norm."""

    first: nn.Module
    reads: tuple[Read, ...]
    writes: tuple[Write, ...]
    last: tuple[nn.Module, str]


RAW = (
    "reads the raw residual stream, whose mean a converted model no longer carries. Read what comes after "
    "the last norm, or keep the original model."
)


def streams_of(model: nn.Module) -> tuple[Stream, ...]:
    """The residual streams of a model. Raises `ConfigError` with the reason where it cannot be converted."""
    _no_raw_taps(model)
    for cls in type(model).__mro__:
        name = f"{cls.__module__.partition('.')[0]}.{cls.__name__}"
        if name in FAMILIES:
            return FAMILIES[name](model)
    raise ConfigError(
        f"{type(model).__name__} is no Pre-LN model that is known here. Known are: {', '.join(FAMILIES)}."
    )


def _open_clip_image(visual: Any) -> tuple[Stream, ...]:
    if visual.attn_pool is not None:
        _refuse("the image tower pools by attention, which is not a linear map")
    if visual.final_ln_after_pool and visual.output_tokens:
        raise ConfigError(f"final_ln_after_pool with output_tokens {RAW}")
    return (_open_clip(visual.transformer, (visual, "ln_post")),)


def _open_clip_text(text: Any) -> tuple[Stream, ...]:
    if getattr(text, "cls_emb", None) is not None and text.output_tokens:
        raise ConfigError(f"output_tokens of a text tower with a class token {RAW}")
    return (_open_clip(text.transformer, (text, "ln_final")),)


def _open_clip(transformer: Any, last: tuple[nn.Module, str]) -> Stream:
    """The stream of an open_clip `Transformer`."""
    reads: list[Read] = []
    writes: list[Write] = []
    for block in transformer.resblocks:
        if not isinstance(getattr(block, "ln_attn", nn.Identity()), nn.Identity):
            _refuse("its branches end in a norm (Peri-LN, NormFormer), which has no rows to centre")
        if not isinstance(block.attn, nn.MultiheadAttention) or hasattr(block, "ln_1_kv"):
            _refuse(f"{type(block).__name__} with {type(block.attn).__name__} is not a block known here")
        reads.append(Read(block, "ln_1", (Packed(block),)))
        reads.append(Read(block, "ln_2", (Linear(block.mlp.c_fc),)))
        writes.append(Write(Linear(block.attn.out_proj), _scale(block, "ls_1")))
        writes.append(Write(Linear(block.mlp.c_proj), _scale(block, "ls_2")))
    return Stream(transformer.resblocks[0], tuple(reads), tuple(writes), last)


def _scale(block: nn.Module, name: str) -> tuple[nn.Module, str] | None:
    """Where a block's LayerScale hangs, if it has one."""
    return None if isinstance(getattr(block, name), nn.Identity) else (block, name)


def _open_clip_both(model: Any) -> tuple[Stream, ...]:
    text = getattr(model, "text", model)  # `CLIP` holds the parts of its text tower itself
    return (*streams_of(model.visual), *(_open_clip_text(model) if text is model else streams_of(text)))


def _clip(tower: Any, last: str) -> tuple[Stream, ...]:
    """A tower of transformers' CLIP."""
    reads: list[Read] = []
    writes: list[Write] = []
    for layer in tower.encoder.layers:
        attention = layer.self_attn
        reads.append(Read(layer, "layer_norm1", _linears(attention, "q_proj", "k_proj", "v_proj")))
        reads.append(Read(layer, "layer_norm2", _linears(layer.mlp, "fc1")))
        writes += [Write(Linear(attention.out_proj)), Write(Linear(layer.mlp.fc2))]
    return (Stream(tower.encoder.layers[0], tuple(reads), tuple(writes), (tower, last)),)


def _gpt2(model: Any) -> tuple[Stream, ...]:
    reads: list[Read] = []
    writes: list[Write] = []
    for block in model.h:
        if hasattr(block, "crossattention"):
            _refuse("GPT-2 with cross-attention is not known here")
        _no_dropout("resid_pdrop", block.attn.resid_dropout, block.mlp.dropout)
        reads.append(Read(block, "ln_1", (Transposed(block.attn.c_attn),)))
        reads.append(Read(block, "ln_2", (Transposed(block.mlp.c_fc),)))
        writes += [Write(Transposed(block.attn.c_proj)), Write(Transposed(block.mlp.c_proj))]
    return (Stream(model.h[0], tuple(reads), tuple(writes), (model, "ln_f")),)


def _vit(model: Any) -> tuple[Stream, ...]:
    reads: list[Read] = []
    writes: list[Write] = []
    for layer in model.layers:
        _no_dropout("hidden_dropout_prob", layer.dropout)
        attention = layer.attention
        reads.append(Read(layer, "layernorm_before", _linears(attention, "q_proj", "k_proj", "v_proj")))
        reads.append(Read(layer, "layernorm_after", _linears(layer.mlp, "fc1")))
        writes += [Write(Linear(attention.o_proj)), Write(Linear(layer.mlp.fc2))]
    return (Stream(model.layers[0], tuple(reads), tuple(writes), (model, "layernorm")),)


PRE = ("pre", "lns")
"""Our own placements in which the stream is read through norms only and branches end in linear maps."""


def _backbone(model: Any) -> tuple[Stream, ...]:
    config = model.config
    if config.norm_kind != "layernorm":
        _refuse(f"norm_kind is {config.norm_kind}: there is nothing to convert")
    if config.norm_placement not in PRE:
        _refuse(
            f"with norm_placement {config.norm_placement} a norm's own output is added to the stream or is "
            f"the stream, so that no linear map is left to centre; only {' and '.join(PRE)} can be converted"
        )
    reads: list[Read] = []
    writes: list[Write] = []
    for block in model.layers:
        for norms, branch, out in (
            (block.attention_norms, block.self_attn, block.self_attn.o_proj),
            (block.mlp_norms, block.mlp, block.mlp.down_proj),
        ):
            readers = _linears(branch, "q_proj", "k_proj", "v_proj", "gate_proj", "up_proj")
            reads.append(Read(norms, "inner", readers, norms.damp))
            writes.append(Write(Linear(out)))
    return (Stream(model.layers[0], tuple(reads), tuple(writes), (model, "norm")),)


FAMILIES: dict[str, Callable[[Any], tuple[Stream, ...]]] = {
    "open_clip.CLIP": _open_clip_both,
    "open_clip.CustomTextCLIP": _open_clip_both,
    "open_clip.VisionTransformer": _open_clip_image,
    "open_clip.TextTransformer": _open_clip_text,
    "transformers.CLIPModel": lambda m: (*streams_of(m.vision_model), *streams_of(m.text_model)),
    "transformers.CLIPVisionModel": lambda m: _clip(m, "post_layernorm"),
    "transformers.CLIPVisionModelWithProjection": lambda m: streams_of(m.vision_model),
    "transformers.CLIPTextModel": lambda m: _clip(m, "final_layer_norm"),
    "transformers.CLIPTextModelWithProjection": lambda m: streams_of(m.text_model),
    "transformers.GPT2Model": _gpt2,
    "transformers.GPT2LMHeadModel": lambda m: streams_of(m.transformer),
    "transformers.ViTModel": _vit,
    "transformers.ViTForImageClassification": lambda m: streams_of(m.vit),
    "gpt4video.BackboneModel": _backbone,
    "gpt4video.BackboneForCausalLM": lambda m: streams_of(m.model),
}
"""The Pre-LN models we know: package and class -> its streams."""


def _linears(owner: nn.Module, *names: str) -> tuple[Map, ...]:
    """Those of the named linear maps that there are."""
    return tuple(Linear(getattr(owner, name)) for name in names if hasattr(owner, name))


def _refuse(reason: str) -> NoReturn:
    raise ConfigError(f"This model has no equal with RMSNorm that is made by rewriting weights: {reason}.")


def _no_dropout(field: str, *dropouts: Any) -> None:
    """Raise `ConfigError` for dropout between a branch and the stream."""
    if any(dropout.p > 0 for dropout in dropouts):
        _refuse(
            f"{field} is {dropouts[0].p}, and what is left of a branch after dropout no longer sums to zero; "
            "a model that is not trained any more does without: open it with 0"
        )


def _no_raw_taps(model: Any) -> None:
    """Raise `ConfigError` for a model that is set up to read its raw stream."""
    config = getattr(model, "config", None)
    if (layer := getattr(config, "vision_feature_layer", None)) is not None:
        raise ConfigError(f"vision_feature_layer {layer}, hidden_states[{layer}], {RAW}")
    if getattr(config, "output_hidden_states", False):
        raise ConfigError(f"output_hidden_states {RAW}")


def guard(model: nn.Module) -> None:
    """From now on asking a converted model for its raw stream is a `ConfigError`, not other numbers."""
    for module in model.modules():
        name = f"{type(module).__module__.partition('.')[0]}.{type(module).__name__}"
        if name not in FAMILIES:
            continue
        module.register_forward_pre_hook(_no_hidden_states, with_kwargs=True)
        if name == "transformers.CLIPVisionModel":
            module.register_forward_hook(_no_last_stream)
        if hasattr(module, "forward_intermediates"):
            module.forward_intermediates = MethodType(_only_normalised, module)


def _no_hidden_states(module: nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
    """A forward pre-hook that refuses `output_hidden_states`."""
    config = getattr(module, "config", None)
    if kwargs.get("output_hidden_states", getattr(config, "output_hidden_states", False)):
        raise ConfigError(f"output_hidden_states {RAW}")


def _no_last_stream(module: nn.Module, args: Any, output: Any) -> Any:
    """A forward hook: CLIP's image tower gives its raw stream as `last_hidden_state`; converted, None."""
    if isinstance(output, tuple):
        return (None, *output[1:])
    output.last_hidden_state = None
    return output


def _only_normalised(self: Any, *args: Any, **options: Any) -> Any:
    """open_clip's `forward_intermediates`, with the last norm on what it gives."""
    method = type(self).forward_intermediates
    if not signature(method).bind(self, *args, **options).arguments.get("normalize_intermediates", False):
        raise ConfigError(f"forward_intermediates without normalize_intermediates=True {RAW}")
    return method(self, *args, **options)
