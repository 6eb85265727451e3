"""What other families call the fields and tensors of the one language model.

    family           placement   beside Llama's RMSNorm, SwiGLU and rotary positions
    llama            pre         rotary positions scaled for long contexts (3.1 and later)
    qwen2, qwen3     pre         biases of queries, keys and values; queries and keys normed per head
    mistral          pre         all layers slide (the first version)
    gemma2, gemma3   peri        GeGLU, scaled embeddings, 1 + w norms; soft-caps; two kinds of layers
    olmo2            output      queries and keys normed over all heads
    gpt2             pre         LayerNorm, learned positions, plain GELU MLP, biases everywhere

Fields are pairs of names with what turns one value into the other. What a family fixes is written once, and
is checked on the way back: a model that a family cannot say is refused with the field that does not fit.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers import CONFIG_MAPPING, PreTrainedConfig

from gpt4video.errors import ConfigError
from gpt4video.models.backbone import BackboneForCausalLM
from gpt4video.models.backbone_config import SLIDING, BackboneConfig

NATIVE = BackboneConfig.model_type
"""The word for this package's own language model."""


@dataclass(frozen=True)
class Field:
    """One field under its two names; `there` and `back` turn their value into ours and ours into theirs."""

    theirs: str
    ours: str
    there: Callable[[Any], Any] | None = copy.deepcopy
    """None: theirs follows from ours and is not read."""
    back: Callable[[Any], Any] | None = copy.deepcopy
    """None: ours follows from theirs and is not read."""


@dataclass(frozen=True)
class Rule:
    """One tensor of theirs and those of ours that hold its numbers."""

    theirs: str
    ours: tuple[str, ...]
    there: Callable[[Tensor], tuple[Tensor, ...]] = lambda tensor: (tensor,)
    back: Callable[[tuple[Tensor, ...]], Tensor] = lambda tensors: tensors[0]


@dataclass(frozen=True)
class Family:
    """A family of checkpoints as transformers has it."""

    model_type: str
    """The word of its `config.json`."""
    architecture: str
    """The class that its `config.json` names."""
    fixed: Mapping[str, Any]
    """Fields of ours that are the same in all its models."""
    fields: tuple[Field, ...]
    """Fields that differ from model to model."""
    rename: Callable[[str], str]
    """Our name of a tensor -> theirs; of a tensor that holds several of ours, for each of them."""
    shape: Callable[[str], Rule | None] = lambda ours: None
    """A rule for tensors that are not merely renamed."""
    only: Mapping[str, Any] = field(default_factory=dict)
    """Fields of theirs for which only this value can be said."""
    ignored: str = r".*rotary_emb\.inv_freq"
    """Tensors that old files hold beside the weights: they follow from the config."""


def same(*names: str) -> tuple[Field, ...]:
    """Fields with the same name and value on both sides."""
    return tuple(Field(name, name) for name in names)


SHARED = same(
    "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "max_position_embeddings",
    "tie_word_embeddings", "initializer_range", "use_cache", "pad_token_id", "bos_token_id", "eos_token_id",
)  # fmt: skip
"""What all families have."""

LLAMA = (
    *SHARED,
    *same("num_key_value_heads", "head_dim", "intermediate_size", "rope_parameters", "attention_dropout"),
    Field("rms_norm_eps", "norm_eps"),
)
"""What all families after Llama have."""

ACT = same("hidden_act")
BIAS = (Field("attention_bias", "qkv_bias"), Field("attention_bias", "attention_out_bias"))
WINDOWS = same("sliding_window", "layer_types")
QWEN_WINDOWS = (*WINDOWS, Field("use_sliding_window", "sliding_window", None, lambda size: size is not None))

GEMMA = (
    *LLAMA,
    *BIAS,
    *WINDOWS,
    *same("attn_logit_softcapping", "final_logit_softcapping"),
    Field("hidden_activation", "hidden_act"),
    Field("hidden_size", "embedding_scale", lambda width: width**0.5, None),
    Field("query_pre_attn_scalar", "attention_scale", lambda n: n**-0.5, lambda scale: round(scale**-2)),
)
GEMMA_FIXED = {"norm_placement": "peri", "embedding_norm": False, "norms_in_float32": True}

GPT2 = (
    *SHARED,
    Field("n_inner", "intermediate_size"),
    Field("activation_function", "hidden_act"),
    Field("layer_norm_epsilon", "norm_eps"),
    Field("attn_pdrop", "attention_dropout"),
    Field(
        "scale_attn_weights", "attention_scale", lambda on: None if on else 1.0, lambda scale: scale is None
    ),
)


def renamed(names: Mapping[str, str]) -> Callable[[str], str]:
    """Our name of a tensor -> theirs, where parts of it are called otherwise."""

    def rename(ours: str) -> str:
        for part, theirs in names.items():
            ours = re.sub(rf"(^|\.){re.escape(part)}(?=\.|$)", rf"\g<1>{theirs}", ours)
        return ours

    return rename


PRE_NAMES = renamed(
    {"attention_norms.inner": "input_layernorm", "mlp_norms.inner": "post_attention_layernorm"}
)
PERI_NAMES = renamed(
    {
        "attention_norms.inner": "input_layernorm",
        "attention_norms.branch": "post_attention_layernorm",
        "mlp_norms.inner": "pre_feedforward_layernorm",
        "mlp_norms.branch": "post_feedforward_layernorm",
    }
)
OUTPUT_NAMES = renamed(
    {"attention_norms.branch": "post_attention_layernorm", "mlp_norms.branch": "post_feedforward_layernorm"}
)
GPT2_NAMES = renamed(
    {
        "model.embed_tokens": "transformer.wte",
        "model.embed_positions": "transformer.wpe",
        "model.layers": "transformer.h",
        "model.norm": "transformer.ln_f",
        "attention_norms.inner": "ln_1",
        "mlp_norms.inner": "ln_2",
        "self_attn.o_proj": "attn.c_proj",
        "self_attn.q_proj": "attn.c_attn",
        "self_attn.k_proj": "attn.c_attn",
        "self_attn.v_proj": "attn.c_attn",
        "mlp.up_proj": "mlp.c_fc",
        "mlp.down_proj": "mlp.c_proj",
    }
)


def one_plus(ours: str) -> Rule | None:
    """Gemma stores w and multiplies by 1 + w. The sum is kept in 32 bits, which hold that of 16-bit ones."""
    if "norm" not in ours:
        return None
    return Rule(PERI_NAMES(ours), (ours,), lambda w: (1 + w.float(),), lambda tensors: tensors[0].float() - 1)


def transposed(ours: str) -> Rule | None:
    """GPT-2 stores linear weights the other way round, and queries, keys and values in one."""
    theirs = GPT2_NAMES(ours)
    if theirs.endswith(("c_attn.bias", "c_attn.weight")):
        three = tuple(re.sub("[qkv]_proj", f"{name}_proj", ours) for name in "qkv")
        return Rule(theirs, three, lambda t: t.t().chunk(3), lambda ts: torch.cat(ts).t())
    if ours.endswith("_proj.weight"):
        return Rule(theirs, (ours,), lambda t: (t.t(),), lambda ts: ts[0].t())
    return None


FAMILIES = {
    family.model_type: family
    for family in (
        Family(
            "llama",
            "LlamaForCausalLM",
            {"norm_placement": "pre"},
            (*LLAMA, *ACT, *BIAS, *same("mlp_bias")),
            PRE_NAMES,
        ),
        Family(
            "qwen2",
            "Qwen2ForCausalLM",
            {"norm_placement": "pre", "qkv_bias": True},
            (*LLAMA, *ACT, *QWEN_WINDOWS),
            PRE_NAMES,
        ),
        Family(
            "qwen3",
            "Qwen3ForCausalLM",
            {"norm_placement": "pre", "qk_norm": "head"},
            (*LLAMA, *ACT, *BIAS, *QWEN_WINDOWS),
            PRE_NAMES,
        ),
        Family(
            "mistral",
            "MistralForCausalLM",
            {"norm_placement": "pre"},
            (*LLAMA, *ACT, *same("sliding_window")),
            PRE_NAMES,
        ),
        Family(
            "gemma2",
            "Gemma2ForCausalLM",
            GEMMA_FIXED,
            GEMMA,
            PERI_NAMES,
            one_plus,
            only={"use_bidirectional_attention": (None, False)},
        ),
        Family(
            "gemma3_text",
            "Gemma3ForCausalLM",
            {**GEMMA_FIXED, "qk_norm": "head"},
            GEMMA,
            PERI_NAMES,
            one_plus,
            only={"use_bidirectional_attention": (None, False)},
        ),
        Family(
            "olmo2",
            "Olmo2ForCausalLM",
            {"norm_placement": "output", "qk_norm": "projection"},
            (*LLAMA, *ACT, *BIAS),
            OUTPUT_NAMES,
        ),
        Family(
            "gpt2",
            "GPT2LMHeadModel",
            {
                "norm_placement": "pre",
                "norm_kind": "layernorm",
                "positions": "learned",
                "mlp_kind": "plain",
                "qkv_bias": True,
                "attention_out_bias": True,
                "mlp_bias": True,
            },
            GPT2,
            GPT2_NAMES,
            transposed,
            only={"scale_attn_by_inverse_layer_idx": (False,), "add_cross_attention": (False,)},
            ignored=r".*\.attn\.(masked_)?bias",
        ),
    )
}
"""Every family by the `model_type` of its config."""


def family_of(model_type: str) -> Family:
    """The family of a config, or a `ConfigError` that names those there are."""
    if model_type not in FAMILIES:
        raise ConfigError(f"There is no conversion for {model_type!r}; there is for {', '.join(FAMILIES)}.")
    return FAMILIES[model_type]


def to_ours(theirs: PreTrainedConfig) -> BackboneConfig:
    """Another family's config as ours. Raises `ConfigError` for what ours cannot say."""
    family = family_of(theirs.model_type)
    for name, values in family.only.items():
        if (value := getattr(theirs, name, values[0])) not in values:
            raise ConfigError(f"A {family.model_type} with {name} {value!r} cannot be converted.")
    fields = dict(family.fixed)
    for pair in family.fields:
        if pair.there is not None and hasattr(theirs, pair.theirs):
            fields[pair.ours] = pair.there(getattr(theirs, pair.theirs))
    if SLIDING not in (fields.get("layer_types") or (SLIDING,)):
        fields["sliding_window"] = None  # a window that no layer looks through
    return BackboneConfig(**fields, architectures=[BackboneForCausalLM.__name__], dtype=theirs.dtype)


def to_theirs(ours: BackboneConfig, model_type: str) -> PreTrainedConfig:
    """Our config as another family's. Raises `ConfigError` with the field that the family cannot say."""
    family = family_of(model_type)
    fields = {
        pair.theirs: pair.back(getattr(ours, pair.ours)) for pair in family.fields if pair.back is not None
    }
    if "rope_parameters" in fields:
        fields["rope_parameters"] = _rope_of(ours)
    theirs = CONFIG_MAPPING[model_type](**fields, architectures=[family.architecture], dtype=ours.dtype)
    said, meant = ({**c.to_dict(), "rope_parameters": _rope_of(c)} for c in (to_ours(theirs), ours))
    for name in sorted(BackboneConfig.__annotations__.keys() - FREE):
        if name in meant and said[name] != meant[name]:
            raise ConfigError(
                f"A {model_type} cannot say {name} {meant[name]!r}; what it says there is {said[name]!r}."
            )
    return theirs


def _rope_of(ours: BackboneConfig) -> dict[str, Any] | None:
    """The rotary positions in transformers' words, whichever way they are said; None where there are none."""
    if ours.positions != "rope":
        return None
    return copy.deepcopy(ours.rope_parameters) or {"rope_type": "default", "rope_theta": ours.rope_theta}


FREE = {"mix_alpha", "embedding_std", "initializer_range", "norms_in_float32", "use_cache", "rope_theta"}
"""Fields of ours that change nothing of what a trained model says, or are said by another field."""


def rules_of(family: Family, config: BackboneConfig) -> dict[str, Rule]:
    """Every tensor of theirs by its name, in the order of our layers."""
    rules: dict[str, Rule] = {}
    for ours in shapes_of(config):
        rule = family.shape(ours) or Rule(family.rename(ours), (ours,))
        rules.setdefault(rule.theirs, rule)
    return rules


def shapes_of(config: BackboneConfig) -> dict[str, tuple[int, ...]]:
    """The names and shapes of what our files hold: every weight, a tied head left out."""
    with torch.device("meta"):
        model = BackboneForCausalLM(config)
    tied = {"lm_head.weight"} if config.tie_word_embeddings else set()
    return {name: tuple(weight.shape) for name, weight in model.named_parameters() if name not in tied}
