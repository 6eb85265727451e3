"""Which settings are studied: blocks of a grid, each the product of its lists.

    norms:
      folder: runs/norms-quick
      blocks:
        - {placements: [pre, post, mix, peri], layers: [12], rates: [1e-3, 1e-2], seeds: [0, 1, 2]}

Everything an arm depends on is in its `Setting`, which names the file of its result.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from gpt4video.errors import InputError
from gpt4video.models.backbone_config import BackboneConfig

Embedding = Literal["norm", "small", "scaled", "unit"]

EMBEDDINGS: dict[str, tuple[float, bool]] = {
    "norm": (0.02, True),
    "small": (0.02, False),
    "scaled": (0.4**0.5, False),
    "unit": (1.0, False),
}
"""How the stream starts: (standard deviation of fresh embeddings, whether they are normalised). `small` is
what transformers does unless told, `scaled` is what the code published with Mix-LN does for every placement.
Which placement is best depends on this word, so that it stands beside every number."""


@dataclass(frozen=True)
class TextConfig:
    """What the decoders read."""

    kind: Literal["stdlib", "shapes"] = "stdlib"
    """stdlib: the source of Python's standard library, as bytes; shapes: the drawn world's conversations."""
    megabytes: float = 0.0
    """Of the standard library, only so much, files in a fixed random order; 0: all."""
    dialogues: int = 0
    """Of the shapes world, so many conversations to train on; a twentieth as many to validate."""


@dataclass(frozen=True)
class ModelConfig:
    """The size of every decoder; depth is the blocks' to say."""

    width: int = 64
    """Width of the residual stream."""
    heads: int = 2
    """Attention heads."""
    key_heads: int | None = None
    """Heads of keys and values; None: as many."""
    mlp_width: int | None = None
    """Width inside the gated MLP; None: 8/3 of the stream's."""
    context: int = 128
    """Tokens of a training sequence."""
    tied: bool = False
    """Whether the head is the embedding matrix."""
    norm_kind: Literal["rmsnorm", "layernorm"] = "rmsnorm"
    """Which norm, in all places."""
    mix_alpha: float = 0.25
    """Share of post layers in mix."""


@dataclass(frozen=True)
class TrainingConfig:
    """How every decoder is trained: Adam without weight decay and clipping, warm-up, cosine to a tenth."""

    steps: int = 200
    """Optimizer steps."""
    batch: int = 8
    """Sequences in a step."""
    warmup: float = 0.1
    """Share of the steps in which the rate rises."""
    validation: int = 16
    """Sequences that are validated on, the same for every arm."""
    moments: tuple[float, ...] = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
    """Shares of the training after which a model is looked into."""
    bf16: bool = False
    """Forward passes in bfloat16 autocast; the weights stay in 32 bits."""

    def __post_init__(self) -> None:
        if self.steps < 1 or {0.0, 1.0} - set(self.moments) or list(self.moments) != sorted(self.moments):
            raise InputError("steps must be at least 1 and moments rise from 0.0 to 1.0.")


@dataclass(frozen=True)
class Block:
    """A part of the grid: all combinations of its lists."""

    placements: tuple[str, ...] = ("pre", "post", "mix", "peri")
    """Where the blocks normalise; `models/norms.py` has the formulas."""
    layers: tuple[int, ...] = (12,)
    """Depths."""
    rates: tuple[float, ...] = (3e-3,)
    """Peak learning rates."""
    embeddings: tuple[Embedding, ...] = ("norm",)
    """How the stream starts."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of the weights and of the order of the text."""


@dataclass(frozen=True)
class SpeedConfig:
    """What is timed: one norm, and an image tower of CLIP's kind with each of them."""

    width: int = 768
    """Channels."""
    rows: int = 1576
    """Tokens; 8 pictures of 197 unless told."""
    layers: int = 4
    """Blocks of the tower."""
    rounds: int = 10
    """Paired rounds; medians are reported."""
    bf16: bool = False
    """In bfloat16."""


@dataclass(frozen=True)
class Setting:
    """One arm, and everything that its result depends on."""

    placement: str
    layers: int
    rate: float
    embedding: Embedding
    seed: int
    model: ModelConfig
    training: TrainingConfig
    text: TextConfig

    @property
    def name(self) -> str:
        """A file name: what differs between arms in words, the rest in a digest."""
        rest = json.dumps(asdict(self), sort_keys=True)
        digest = hashlib.sha256(rest.encode()).hexdigest()[:8]
        return f"{self.placement}-L{self.layers}-lr{self.rate:g}-{self.embedding}-s{self.seed}-{digest}"

    def backbone(self, vocabulary: int) -> BackboneConfig:
        """The decoder's own config. Raises `ConfigError` for one that does not fit."""
        std, normed = EMBEDDINGS[self.embedding]
        model = self.model
        return BackboneConfig(
            vocab_size=vocabulary,
            hidden_size=model.width,
            num_hidden_layers=self.layers,
            num_attention_heads=model.heads,
            num_key_value_heads=model.key_heads,
            intermediate_size=model.mlp_width,
            max_position_embeddings=model.context,
            norm_placement=self.placement,
            norm_kind=model.norm_kind,
            mix_alpha=model.mix_alpha,
            embedding_norm=normed,
            embedding_std=std,
            tie_word_embeddings=model.tied,
        )


@dataclass(frozen=True)
class StudyConfig:
    """The section `norms` of a config."""

    folder: Path = Path("runs/norms")
    """Where finished arms, tables and plots are kept."""
    text: TextConfig = field(default_factory=TextConfig)
    """What is read."""
    model: ModelConfig = field(default_factory=ModelConfig)
    """How large."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    """How long."""
    blocks: tuple[Block, ...] = (Block(),)
    """The settings, the more important first: that is the order in which they run."""
    speed: SpeedConfig = field(default_factory=SpeedConfig)
    """What is timed."""
    workers: int = 1
    """Arms at a time, each in a process of its own; 1: in this one."""
    threads: int = 1
    """Threads of each."""

    def settings(self) -> list[Setting]:
        """Every arm once; what is compared with each other first, seed by seed.

        Raises `ConfigError` for one that no decoder can have.
        """
        arms = {
            Setting(placement, layers, rate, embedding, seed, self.model, self.training, self.text): None
            for block in self.blocks
            for layers, rate, embedding, seed, placement in itertools.product(
                block.layers, block.rates, block.embeddings, block.seeds, block.placements
            )
        }
        for setting in arms:
            setting.backbone(256)
        return list(arms)
