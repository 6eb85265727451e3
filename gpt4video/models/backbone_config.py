"""The shape of the language model: every number of `backbone.py`, checked once.

BackboneConfig(hidden_size=250, num_attention_heads=6)
-> ConfigError: hidden_size must be a multiple of num_attention_heads, got 250 and 6;
   the nearest width that fits is 252.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection
from typing import Any

from transformers import PreTrainedConfig

from gpt4video.errors import ConfigError
from gpt4video.models.norms import NORMS, PLACEMENTS, POST_SHARES, count_of_post_layers, placement_of


class BackboneConfig(PreTrainedConfig):
    """What `BackboneForCausalLM` is made of. Saved as `config.json` beside the weights.

    Relations between fields are checked when it is made; a misfit is a `ConfigError` that names what fits.
    """

    model_type = "gpt4video_backbone"
    keys_to_ignore_at_inference = ["past_key_values"]  # noqa: RUF012 (transformers' own spelling)

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
    """Width of one head, even; None: hidden_size / num_attention_heads."""
    intermediate_size: int | None = None
    """Width inside the SwiGLU MLP; None: 8/3 of hidden_size, rounded up to a multiple of 32, which costs
    what a plain MLP of four widths costs (Shazeer 2020, arXiv 2002.05202)."""
    max_position_embeddings: int = 1024
    """Longest context it is made for, in tokens."""
    rope_theta: float = 10000.0
    """Base of the rotary position angles (Su et al. 2021, arXiv 2104.09864)."""
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
    qk_norm: bool = False
    """Normalise each head's queries and keys (RMSNorm over head_dim) before they are rotated."""
    tie_word_embeddings: bool = True
    """Whether the head that scores the next token is the embedding matrix itself."""
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
        for field in ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads"):
            _at_least_one(field, getattr(self, field))
        _one_of("norm_placement", self.norm_placement, PLACEMENTS)
        _one_of("norm_kind", self.norm_kind, NORMS)
        self._fill_in()
        self._check()
        super().__post_init__(**kwargs)

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
            self.intermediate_size = -(-width * 8 // (3 * 32)) * 32
        if self.num_post_layers is None:
            self.num_post_layers = self._post_layers_of_the_placement()
        if self.embedding_norm is None:
            self.embedding_norm = placement_of(self, 0).embedding

    def _post_layers_of_the_placement(self) -> int:
        share = POST_SHARES.get(self.norm_placement, 0.0)
        return count_of_post_layers(self.mix_alpha if share is None else share, self.num_hidden_layers)

    def _check(self) -> None:
        """Raise `ConfigError` where two fields contradict each other."""
        assert self.head_dim is not None and self.num_key_value_heads is not None, "filled in above"
        assert self.intermediate_size is not None and self.num_post_layers is not None, "filled in above"
        for field in ("head_dim", "num_key_value_heads", "intermediate_size", "max_position_embeddings"):
            _at_least_one(field, getattr(self, field))
        if self.head_dim % 2:
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


def _at_least_one(field: str, value: int) -> None:
    if value < 1:
        raise ConfigError(f"{field} must be at least 1, got {value}.")


def _one_of(field: str, value: str, words: Collection[str]) -> None:
    if value not in words:
        close = difflib.get_close_matches(str(value), words, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ConfigError(f"{field} must be one of {', '.join(words)}, got {value!r}.{hint}")
