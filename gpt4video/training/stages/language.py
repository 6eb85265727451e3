"""The language model, pre-trained on conversations in which notes stand in the place of each video.

So it learns what people say, what to answer and what to instruct before any frame is seen; the abstractor
then only has to write the notes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gpt4video.models.backbone import BackboneForCausalLM
from gpt4video.models.backbone_config import BackboneConfig
from gpt4video.models.tokenizer import VIDEO, load_tokenizer, train_tokenizer
from gpt4video.shapes.language.corpus import corpus
from gpt4video.shapes.language.dialogues import sample_dialogue
from gpt4video.shapes.language.notes import LINES
from gpt4video.shapes.world import Scene, sample_scene
from gpt4video.training.encode import Example, Rows, encode_dialogue, pack, run_of_soft_tokens, weighted_loss
from gpt4video.training.loop import LoopConfig, Randomness, device, run
from gpt4video.training.notes import Lines, Notes, embed, quiz, read_with


@dataclass(frozen=True)
class LanguageConfig:
    """Size of the language model and how it learns."""

    width: int = 192
    """Width of the residual stream."""
    layers: int = 6
    """Blocks."""
    heads: int = 6
    """Attention heads; half as many keys and values."""
    mlp_width: int = 512
    """Width inside each SwiGLU MLP."""
    norm_placement: str = "peri"
    """Where each block normalises; `models/norms.py` has the pictures."""
    context: int = 2048
    """Longest conversation, in tokens."""
    vocab_size: int = 2048
    """Tokens, the special ones and the bytes included."""
    texts: int = 12000
    """Texts that the tokenizer is made from."""
    dialogues: int = 16
    """Conversations in a step."""
    quiz: int = 64
    """Conversations of questions about one scene, or of a change to it, in a step."""
    edits: float = 0.2
    """Share of changes among them."""
    terse: float = 0.4
    """Share of drills among them."""
    noise: float = 0.2
    """Standard deviation of what is added to notes of unit mean square: an abstractor's are never exact."""
    row: int = 512
    """Length of a packed row, in tokens."""
    kinds: dict[str, float] = field(default_factory=dict)
    """Shares of the kinds of conversation; empty is the world's own mixture."""
    others: float = 0.1
    """Weight of words that are not the assistant's."""
    loop: LoopConfig = field(default_factory=lambda: LoopConfig(steps=1500, learning_rate=2e-3, warmup=100))
    """How long and how fast."""

    def backbone(self, vocab_size: int, eos_id: int, pad_id: int, bos_id: int) -> BackboneConfig:
        """The model's own config."""
        return BackboneConfig(
            vocab_size=vocab_size,
            hidden_size=self.width,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.heads // 2,
            intermediate_size=self.mlp_width,
            max_position_embeddings=self.context,
            norm_placement=self.norm_placement,
            tie_word_embeddings=True,
            bos_token_id=bos_id,
            eos_token_id=eos_id,
            pad_token_id=pad_id,
        )


def make_tokenizer(config: LanguageConfig, folder: Path) -> Any:
    """The tokenizer of the world's text, made once in `folder`."""
    if not (folder / "tokenizer.json").exists():
        texts = corpus(np.random.default_rng([config.loop.seed, 1]), "training", config.texts)
        tokenizer = train_tokenizer(texts, config.vocab_size)
        tokenizer.model_max_length = config.context
        tokenizer.save_pretrained(folder)
    return load_tokenizer(folder)


class LanguageTask:
    """Predict the assistant's words, and a little of everybody else's."""

    def __init__(self, config: LanguageConfig, folder: Path) -> None:
        self.config = config
        self.tokenizer = make_tokenizer(config, folder / "tokenizer")
        torch.manual_seed(config.loop.seed)
        ids = self.tokenizer.convert_tokens_to_ids("<|end|>"), self.tokenizer.pad_token_id
        self.model = BackboneForCausalLM(
            config.backbone(len(self.tokenizer), ids[0], ids[1], self.tokenizer.bos_token_id)
        ).to(device())
        self.modules: dict[str, nn.Module] = {"language_model": self.model}
        self.notes = Notes(self.tokenizer)
        self.video = self.tokenizer.convert_tokens_to_ids(VIDEO)
        self.run = run_of_soft_tokens(self.tokenizer, LINES)

    def batch(self, randomness: Randomness) -> tuple[Rows, Lines, Tensor]:
        """Fresh conversations, the notes that their videos stand for, and noise (V, LINES, D) for these."""
        rng, config = randomness.numpy, self.config
        talks = [sample_dialogue(rng, "training", config.kinds or None) for _ in range(config.dialogues)]
        talks += [quiz(rng, sample_scene, config.edits, config.terse) for _ in range(config.quiz)]
        scenes: list[Scene] = []
        examples: list[Example] = []
        for talk in talks:
            example = encode_dialogue(self.tokenizer, talk, lambda _scene: self.run, others=config.others)
            example.videos = [len(scenes) + k for k in example.videos]
            examples.append(example)
            scenes += talk.scenes
        rows = pack(examples, config.row, self.tokenizer.pad_token_id)
        lines = self.notes.lines([scenes[i] for i in rows.videos])
        noise = torch.randn(len(rows.videos), LINES, config.width, generator=randomness.torch)
        return rows, lines, noise

    def loss(self, batch: tuple[Rows, Lines, Tensor]) -> tuple[Tensor, dict[str, float]]:
        """Weighted cross-entropy."""
        rows, lines, noise = batch
        soft = None
        if rows.videos:
            soft = embed(self.model.get_input_embeddings(), lines)
            soft = soft + self.config.noise * noise.to(soft.device)
        loss, right = weighted_loss(read_with(self.model, rows, soft, self.video), rows)
        return loss, {"right": right, "rows": float(len(rows.ids))}


def train(config: LanguageConfig, folder: Path, out: Path, *, resume: bool = True) -> None:
    """Train and save to `out`."""
    task = LanguageTask(config, folder)
    run(task, config.loop, folder, resume=resume)
    task.model.half().save_pretrained(out, safe_serialization=True)
    task.tokenizer.save_pretrained(out)
