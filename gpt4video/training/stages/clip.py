"""CLIP, tiny: frames and captions to one space by contrast (Radford et al. 2021, arXiv 2103.00020).

Half of the captions tell of the one frame and where things are in it, half of the whole video: the text tower
is also what the drawer reads, so it has to meet the words for motions too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import normalizers
from torch import Tensor, nn

from gpt4video.models.clip import ClipEncoder, Layer, make_clip, save_clip, text_tokenizer
from gpt4video.models.tokenizer import train_tokenizer
from gpt4video.shapes.language.describe import Request, caption, frame_caption, paraphrase, prompt, request_of
from gpt4video.shapes.world import Scene, sample_scene
from gpt4video.training.data import Pool
from gpt4video.training.facts import Cells, CellsHead, RecallHead, ToldHead, cells_of, told_of
from gpt4video.training.loop import LoopConfig, Randomness, device, run


@dataclass(frozen=True)
class ClipConfig:
    """Size of CLIP and how it learns."""

    embed_dim: int = 128
    """Width of the shared space."""
    width: int = 24
    """Width of the image tower, a ResNet: its stages are 4, 8, 16 and 32 times as wide."""
    layers: tuple[int, int, int, int] = (2, 4, 2, 1)
    """Blocks of each of its stages."""
    layer: Layer = "antepenultimate"
    """Whose cells are the patches: of a frame of 64x64, the second stage has 8x8."""
    text_width: int = 128
    """Width of the text tower."""
    text_layers: int = 3
    """Layers of the text tower."""
    context: int = 64
    """Longest caption, in tokens."""
    vocab_size: int = 800
    """Tokens of the captions' tokenizer."""
    batch: int = 96
    """Frames and captions in a step."""
    family: int = 12
    """Most frames of a step that share their colours and background, so that only shape, size and place tell
    them apart. With 1, colours alone win the contrast and shapes are never learned: measured, see LOG.md."""
    cells: float = 1.0
    """Weight of telling from each patch what covers it, beside the contrast."""
    told: float = 0.5
    """Weight of telling from the words of a request what they say."""
    recall: float = 1.0
    """Weight of recalling at each word the last few words."""
    clips: int = 5000
    """Clips of the pool."""
    loop: LoopConfig = field(default_factory=lambda: LoopConfig(steps=900, learning_rate=1.5e-3, warmup=150))
    """How long and how fast."""

    def model(self, vocab_size: int, eos_id: int) -> dict[str, Any]:
        """open_clip's description of the model."""
        return {
            "embed_dim": self.embed_dim,
            "vision_cfg": {
                "image_size": 64,
                "width": self.width,
                "layers": list(self.layers),
                "head_width": 32,
            },
            "text_cfg": {
                "context_length": self.context,
                "vocab_size": vocab_size,
                "width": self.text_width,
                "heads": self.text_width // 32,
                "layers": self.text_layers,
                "pool_type": "eos",
                "eos_id": eos_id,
                "hf_tokenizer_name": "tokenizer",
            },
        }


def caption_tokenizer(config: ClipConfig) -> Any:
    """A lower-case tokenizer of the world's captions, which opens and closes every text."""
    rng = np.random.default_rng(config.loop.seed)
    texts = []
    for _ in range(4000):
        scene = sample_scene(rng)
        texts += [caption(scene, rng), frame_caption(scene, 0.0, rng)]
    base = train_tokenizer((t.lower() for t in texts), config.vocab_size)
    base.backend_tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer = text_tokenizer(base, base.bos_token_id, base.eos_token_id)
    tokenizer.model_max_length = config.context
    return tokenizer


def _look(scene: Scene) -> tuple[str, frozenset[str]]:
    """What a glance tells: the background and the colours."""
    return scene.background, frozenset(t.color for t in scene.things)


def _families(pool: Pool) -> dict[tuple[str, frozenset[str]], list[int]]:
    """Clips that look alike at a glance."""
    families: dict[tuple[str, frozenset[str]], list[int]] = {}
    for index, scene in enumerate(pool.scenes):
        families.setdefault(_look(scene), []).append(index)
    return families


class ClipTask:
    """Tell which caption belongs to which frame."""

    def __init__(self, config: ClipConfig, pool: Pool) -> None:
        torch.manual_seed(config.loop.seed)
        self.config, self.pool = config, pool
        self.families = _families(pool)
        self.tokenizer = caption_tokenizer(config)
        self.description = config.model(len(self.tokenizer), self.tokenizer.eos_token_id)
        self.model: Any = make_clip(self.description).to(device())
        self.encoder = ClipEncoder(self.model, config.layer).to(device())
        self.cells = CellsHead(self.encoder.width).to(device())
        self.told = ToldHead(config.embed_dim).to(device())
        self.modules: dict[str, nn.Module] = {"clip": self.model, "cells": self.cells, "told": self.told}
        self.recall = RecallHead(config.text_width, len(self.tokenizer)).to(device())
        self.modules["recall"] = self.recall
        self.states: Tensor = torch.empty(0)
        self.model.ln_final.register_forward_hook(self._keep)

    def _keep(self, _module: nn.Module, _inputs: object, states: Tensor) -> None:
        """Remember the text tower's states, which open_clip pools and drops."""
        self.states = states

    def say(self, index: int, frame: int, rng: np.random.Generator) -> tuple[str, Request | None]:
        """A caption of one frame of one clip, and what it says if it is a request."""
        scene = self.pool.scenes[index]
        kind = rng.random()
        if kind < 0.4:
            return frame_caption(scene, float(self.pool.times[index, frame]), rng), None
        if kind < 0.55:
            return caption(scene, rng), None
        request = request_of(scene, rng)
        return (prompt(request) if kind < 0.8 else paraphrase(request, rng, "training")), request

    def choose(self, rng: np.random.Generator) -> list[int]:
        """Clips of a batch: some of a family, then some of another."""
        chosen: dict[int, None] = {}
        while len(chosen) < self.config.batch:
            family = self.families[_look(self.pool.scenes[int(rng.integers(len(self.pool)))])]
            some = rng.permutation(family)[: self.config.family]
            chosen.update(dict.fromkeys(int(i) for i in some))
        return list(chosen)[: self.config.batch]

    def batch(self, randomness: Randomness) -> tuple[Tensor, Tensor, Cells, list[Request | None]]:
        """Frames (B, 64, 64, 3) uint8, caption ids (B, K), what covers the patches, and what is requested."""
        rng = randomness.numpy
        frames, texts, requests, scenes, times, aspects = [], [], [], [], [], []
        for index in self.choose(rng):
            frame = int(rng.integers(self.pool.counts[index]))
            frames.append(self.pool.frames(index)[frame])
            text, request = self.say(index, frame, rng)
            texts.append(text)
            requests.append(request)
            scenes.append(self.pool.scenes[index])
            times.append(float(self.pool.times[index, frame]))
            aspects.append(float(self.pool.aspects[index]))
        ids = self.tokenizer(
            texts, padding="max_length", truncation=True, max_length=self.config.context, return_tensors="pt"
        ).input_ids
        cells = cells_of(scenes, times, aspects, self.encoder.grid)
        return torch.from_numpy(np.stack(frames)), ids, cells, requests

    def loss(
        self, batch: tuple[Tensor, Tensor, Cells, list[Request | None]]
    ) -> tuple[Tensor, dict[str, float]]:
        """Symmetric cross-entropy over the batch, and what the patches and the words say."""
        frames, ids, cells, requests = batch
        frames, ids = frames.to(device()), ids.to(device())
        patches, image = self.encoder.look(self.encoder.preprocess(frames))
        text = self.encoder.text_features(ids)
        scale = self.model.logit_scale.clamp(max=4.6052).exp()  # 100, as in the paper
        logits = scale * image.float() @ text.float().T
        target = torch.arange(len(ids), device=logits.device)
        loss = (
            nn.functional.cross_entropy(logits, target) + nn.functional.cross_entropy(logits.T, target)
        ) / 2
        right = float((logits.argmax(1) == target).float().mean())
        extra, known = self.cells.loss(patches, cells)
        figures = {"top1": right, "contrast": float(loss.detach()), **known}
        recalled, figures["recall"] = self.recall.loss(self.states, ids, self.tokenizer.pad_token_id)
        loss = loss + self.config.cells * extra + self.config.recall * recalled
        if asked := [i for i, request in enumerate(requests) if request]:
            spoken, heard = self.told.loss(text[asked].float(), told_of([r for r in requests if r]))
            figures |= {f"told_{name}": share for name, share in heard.items()}
            loss = loss + self.config.told * spoken
        return loss, figures


def train(config: ClipConfig, folder: Path, out: Path, pools: Path, *, resume: bool = True) -> None:
    """Train and save an open_clip directory to `out/clip`."""
    task = ClipTask(config, Pool.make(pools, "training", config.clips, workers=config.loop.workers))
    run(task, config.loop, folder, resume=resume)
    save_clip(task.model.half(), task.description, out / "clip", task.tokenizer)
