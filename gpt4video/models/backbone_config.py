"""The shape of the language model: every number of `backbone.py`, checked once.

BackboneConfig(hidden_size=250, num_attention_heads=6)
-> ConfigError: hidden_size must be a multiple of num_attention_heads, got 250 and 6;
   the nearest width that fits is 252.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Collection
from typing import Any, ClassVar

from transformers import PreTrainedConfig
from transformers.activations import ACT2FN

from gpt4video.errors import ConfigError
from gpt4video.models.mlp import MLPS
from gpt4video.models.norms import NORMS, PLACEMENTS, POST_SHARES, count_of_post_layers, placement_of
from gpt4video.models.positions import ROPE_TYPES

FULL, SLIDING = "full_attention", "sliding_attention"
"""Kinds of layers, in transformers' words: one sees everything before it, the other only a window."""


class BackboneConfig(PreTrainedConfig):
    """What `BackboneForCausalLM` is made of. Saved as `config.json` beside the weights.

    Relations between fields are checked when it is made; a misfit is a `ConfigError` that names what fits.
    The fields after `tie_word_embeddings` are what other families' checkpoints need; `convert` fills them in.
    """

    model_type = "gpt4video_backbone"
    keys_to_ignore_at_inference = ["past_key_values"]  # noqa: RUF012 (transformers' own spelling)

    base_model_tp_plan: ClassVar[Any] = {
        "layers.*.self_attn.q_proj": "colwise",
        "layers.*.self_attn.k_proj": "colwise",
        "layers.*.self_attn.v_proj": "colwise",
        "layers.*.self_attn.q_norm": "replicated_with_grad_allreduce",
        "layers.*.self_attn.k_norm": "replicated_with_grad_allreduce",
        "layers.*.self_attn.o_proj": "rowwise",
        "layers.*.mlp.gate_proj": "colwise",
        "layers.*.mlp.up_proj": "colwise",
        "layers.*.mlp.down_proj": "rowwise",
    }
    base_model_pp_plan: ClassVar[Any] = {
        "embed_tokens": (["input_ids"], ["inputs_embeds"]),
        "embed_positions": (["inputs_embeds", "position_ids"], ["inputs_embeds"]),
        "embedding_norm": (["inputs_embeds"], ["hidden_states"]),
        "layers": (["hidden_states", "attention_mask"], ["hidden_states"]),
        "norm": (["hidden_states"], ["hidden_states"]),
    }

    vocab_size: int = 8192
    """How many tokens it knows."""
    hidden_size: int = 256
    """Width of the residual stream."""
    num_hidden_layers: int = 6
    """How many blocks, each attention then MLP."""
    num_attention_heads: int = 4
    """Query heads of a block."""
    num_key_value_heads: int | None = None
    """Key and value heads, each shared by a group of query heads; None: one for each query head."""
    head_dim: int | None = None
    """Width of one head, even where positions are rotary; None: hidden_size / num_attention_heads."""
    intermediate_size: int | None = None
    """Width inside the MLP; None: four hidden_size in a plain one, and in a gated one 8/3 of it, rounded up
    to a multiple of 32, which costs the same (Shazeer 2020, arXiv 2002.05202)."""
    max_position_embeddings: int = 1024
    """Longest context it is made for, in tokens."""
    rope_theta: float = 10000.0
    """Base of the rotary position angles (Su et al. 2021, arXiv 2104.09864); what `rope_parameters` says
    goes before it."""
    norm_placement: str = "peri"
    """Where each block normalises: pre, post, mix, peri, output, deepnorm or lns; `norms.py` has the
    formulas."""
    norm_kind: str = "rmsnorm"
    """Which norm: rmsnorm, layernorm or crmsnorm."""
    norm_eps: float = 1e-6
    """Added to the mean square before the root. Small branches of small models need it this small."""
    mix_alpha: float = 0.25
    """Share of the layers that are post when the placement is mix; 0.25 is best up to 1B in the paper."""
    num_post_layers: int | None = None
    """How many of the first layers are post; None: floor(mix_alpha * num_hidden_layers) for mix, and what
    follows from the word for the others. Once set it is what counts, so that a saved model does not depend on
    the rounding of a fraction."""
    embedding_norm: bool | None = None
    """Whether what enters the first block is normalised; None: as the placement has it, with peri alone. A
    fair comparison of placements gives it to all or to none."""
    qk_norm: bool | str = False
    """Normalise queries and keys (RMSNorm) before they are rotated: head, each head by itself (Qwen 3, Gemma
    3), which is also what True means; projection, all heads together (OLMo 2)."""
    tie_word_embeddings: bool = True
    """Whether the head that scores the next token is the embedding matrix itself."""
    mlp_kind: str = "gated"
    """gated, down(act(gate(x)) * up(x)); or plain, down(act(up(x))), as GPT-2 has it."""
    hidden_act: str = "silu"
    """Activation in the MLP, a word of transformers' table: silu (SwiGLU), gelu_pytorch_tanh (Gemma's GeGLU),
    gelu_new (GPT-2) and others."""
    qkv_bias: bool = False
    """Whether queries, keys and values have biases (Qwen 2.5, GPT-2)."""
    attention_out_bias: bool = False
    """Whether the attention's output has a bias (GPT-2)."""
    mlp_bias: bool = False
    """Whether the MLP's linear maps have biases (GPT-2)."""
    positions: str = "rope"
    """How places enter: rope, angles that turn queries and keys; or learned, a row for each (GPT-2)."""
    rope_parameters: dict[str, Any] | None = None
    """Rotary positions made for longer contexts, in transformers' words: `rope_type` (default, linear, llama3
    or yarn), `rope_theta` and what the type needs (Llama 3, Qwen 2.5); or one such mapping for each kind of
    layer (Gemma 3). None: `rope_theta` as it stands."""
    layer_types: list[str] | None = None
    """The kind of each layer, full_attention or sliding_attention; None: all slide where there is a
    `sliding_window` (Mistral), and none does otherwise."""
    sliding_window: int | None = None
    """How many tokens a sliding layer sees, itself included (Mistral, Gemma)."""
    attention_scale: float | None = None
    """What scores of queries and keys are multiplied by; None: head_dim^-1/2. Gemma has its own."""
    attn_logit_softcapping: float | None = None
    """Scores s become cap * tanh(s / cap) before the softmax (Gemma 2). torch's fused attention cannot; then
    eager or flex attention runs."""
    final_logit_softcapping: float | None = None
    """The same for the logits of the next token (Gemma 2)."""
    embedding_scale: float = 1.0
    """What embeddings of ids are multiplied by, though not in a tied head: hidden_size^1/2 in Gemma."""
    norms_in_float32: bool = False
    """Keep the norms' weights in 32 bits when the model is opened in 16. Gemma stores w and multiplies by
    1 + w; 16 bits hold the one exactly and not the other."""
    initializer_range: float = 0.02
    """Standard deviation of fresh linear weights."""
    embedding_std: float = 0.02
    """Standard deviation of fresh embeddings. Without an embedding norm a stream that starts this small is
    soon drowned by the first branches; sqrt(2/5) = 0.632 is what the Mix-LN code uses for every placement,
    and a fair comparison fixes it. With a tied head keep it small."""
    attention_dropout: float = 0.0
    """Share of attention weights dropped while training."""
    use_cache: bool = True
    """Whether keys and values are kept from one step to the next."""
    pad_token_id: int | None = None
    """The token that fills batches up."""
    bos_token_id: int | None = None
    """The token that opens a conversation."""
    eos_token_id: int | list[int] | None = None
    """The token (or tokens) that close a turn."""

    def __post_init__(self, **kwargs: Any) -> None:
        _no_misspelt(kwargs)
        for field in ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads"):
            _at_least_one(field, getattr(self, field))
        for field, words in _WORDS.items():
            _one_of(field, getattr(self, field), words)
        self._fill_in()
        self._check_widths()
        self._check_placement()
        self._check_layers()
        given = self.rope_parameters is not None or "rope_scaling" in kwargs
        self.rope_parameters = copy.deepcopy(self.rope_parameters)  # transformers writes into it
        super().__post_init__(**kwargs)
        if not given:
            self.rope_parameters = None
            return
        if self.rope_differs:  # some versions put a rope_theta beside the kinds
            said = self.rope_parameters or {}
            self.rope_parameters = {kind: said[kind] for kind in (FULL, SLIDING) if kind in said}
        self._check_rope()

    @property
    def rope_differs(self) -> bool:
        """Whether each kind of layer has rotary positions of its own."""
        return any(kind in (self.rope_parameters or {}) for kind in (FULL, SLIDING))

    def slides(self, layer: int) -> bool:
        """Whether `layer` sees a window only."""
        return self.layer_types is not None and self.layer_types[layer] == SLIDING

    def _fill_in(self) -> None:
        """Give every None that follows from other fields its number."""
        width, heads = self.hidden_size, self.num_attention_heads
        if self.head_dim is None:
            if width % heads:
                step = 2 * heads  # an even head_dim, as RoPE turns pairs
                fits = max(step, round(width / step) * step)
                raise ConfigError(
                    f"hidden_size must be a multiple of num_attention_heads, got {width} and {heads}; "
                    f"the nearest width that fits is {fits}."
                )
            self.head_dim = width // heads
        if self.num_key_value_heads is None:
            self.num_key_value_heads = heads
        if self.intermediate_size is None:
            self.intermediate_size = 4 * width if self.mlp_kind == "plain" else -(-width * 8 // (3 * 32)) * 32
        if self.num_post_layers is None:
            self.num_post_layers = self._post_layers_of_the_placement()
        if self.embedding_norm is None:
            self.embedding_norm = placement_of(self, 0).embedding
        if self.qk_norm is True:
            self.qk_norm = "head"
        if self.layer_types is None:
            kind = FULL if self.sliding_window is None else SLIDING
            self.layer_types = [kind] * self.num_hidden_layers

    def _post_layers_of_the_placement(self) -> int:
        share = POST_SHARES.get(self.norm_placement, 0.0)
        return count_of_post_layers(self.mix_alpha if share is None else share, self.num_hidden_layers)

    def _check_widths(self) -> None:
        """Raise `ConfigError` where heads and widths do not fit each other."""
        assert self.head_dim is not None and self.num_key_value_heads is not None, "filled in above"
        for field in ("head_dim", "num_key_value_heads", "intermediate_size", "max_position_embeddings"):
            _at_least_one(field, getattr(self, field))
        if self.head_dim % 2 and self.positions == "rope":
            raise ConfigError(
                f"head_dim must be even, as rotary positions turn pairs of numbers, got {self.head_dim}; "
                f"the nearest that fits is {self.head_dim + 1}."
            )
        if self.num_attention_heads % self.num_key_value_heads:
            heads = self.num_attention_heads
            fits = [n for n in range(1, heads + 1) if heads % n == 0]
            raise ConfigError(
                f"num_key_value_heads must divide num_attention_heads, got {self.num_key_value_heads} and "
                f"{heads}; what fits is {', '.join(map(str, fits))}."
            )

    def _check_placement(self) -> None:
        """Raise `ConfigError` where the count of post layers does not fit the placement."""
        assert self.num_post_layers is not None, "filled in above"
        if not 0 <= self.mix_alpha <= 1:
            raise ConfigError(f"mix_alpha is a share of the layers, from 0 to 1, got {self.mix_alpha}.")
        if not 0 <= self.num_post_layers <= self.num_hidden_layers:
            raise ConfigError(
                f"num_post_layers must lie between 0 and num_hidden_layers, got {self.num_post_layers} and "
                f"{self.num_hidden_layers}."
            )
        follows = self._post_layers_of_the_placement()
        if self.norm_placement != "mix" and self.num_post_layers != follows:
            raise ConfigError(
                f"num_post_layers is chosen for norm_placement 'mix' only; {self.norm_placement!r} has "
                f"{follows}, got {self.num_post_layers}."
            )

    def _check_layers(self) -> None:
        """Raise `ConfigError` where the kinds of layers and the window do not fit each other."""
        assert self.layer_types is not None, "filled in above"
        for kind in self.layer_types:
            _one_of("layer_types", kind, (FULL, SLIDING))
        if len(self.layer_types) != self.num_hidden_layers:
            raise ConfigError(
                f"layer_types must name each of the {self.num_hidden_layers} layers (num_hidden_layers), got "
                f"{len(self.layer_types)} names."
            )
        if (SLIDING in self.layer_types) != (self.sliding_window is not None):
            raise ConfigError(
                f"Layers that slide and a sliding_window go together, got sliding_window "
                f"{self.sliding_window} and layer_types {', '.join(dict.fromkeys(self.layer_types))}."
            )

    def _check_rope(self) -> None:
        """Raise `ConfigError` for rotary positions that are not known or said twice."""
        rope: dict[str, Any] = self.rope_parameters or {}
        kinds = dict.fromkeys(self.layer_types or ())
        given = [rope.get(kind) for kind in kinds] if self.rope_differs else [rope]
        if None in given:
            raise ConfigError(
                f"rope_parameters must have an entry for each kind of layer: {', '.join(kinds)}."
            )
        for parameters in filter(None, given):
            _one_of("rope_type", parameters["rope_type"], ROPE_TYPES)
            if parameters.get("partial_rotary_factor", 1.0) != 1.0:
                raise ConfigError("partial_rotary_factor must be 1: whole heads are turned.")
        if not self.rope_differs:
            default, said = BackboneConfig.rope_theta, float(rope["rope_theta"])
            if self.rope_theta not in (default, said):
                raise ConfigError(
                    f"rope_theta is {self.rope_theta} and in rope_parameters {said}; give it in one place."
                )
            self.rope_theta = said


_WORDS: dict[str, Collection[Any]] = {
    "norm_placement": PLACEMENTS,
    "norm_kind": NORMS,
    "qk_norm": (False, True, "head", "projection"),
    "mlp_kind": MLPS,
    "hidden_act": ACT2FN,
    "positions": ("rope", "learned"),
}
"""The fields that are a word of a list, and the lists."""


def _at_least_one(field: str, value: int) -> None:
    if value < 1:
        raise ConfigError(f"{field} must be at least 1, got {value}.")


def _one_of(field: str, value: Any, words: Collection[Any]) -> None:
    if value not in words:
        close = difflib.get_close_matches(str(value), map(str, words), n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ConfigError(f"{field} must be one of {', '.join(map(str, words))}, got {value!r}.{hint}")


def _no_misspelt(given: Collection[str]) -> None:
    """Raise `ConfigError` for a name that is nearly a field; transformers lets all others pass."""
    fields = list(BackboneConfig.__annotations__)
    for name in given:
        known = hasattr(PreTrainedConfig, name) or name.endswith(
            "token_id"
        )  # of those there are many, all alike
        if not known and (close := difflib.get_close_matches(name, fields, n=1, cutoff=0.85)):
            raise ConfigError(f"The language model has no field {name!r}. Did you mean {close[0]!r}?")
