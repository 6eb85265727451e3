"""What the decoders read: ids, split into a part to train on and a part to validate on, the same everywhere.

stdlib    every .py file of this Python's standard library as bytes. Identical files count once; whole files
          are split 95 to 5, since neighbours in one file are near-copies. It differs a little from one Python
          to the next, so that a report names the version, the size and a digest.
shapes    conversations about the drawn world, in the tokens of the embedded model.
"""

from __future__ import annotations

import hashlib
import platform
import sysconfig
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gpt4video.checkpoint import find
from gpt4video.errors import InputError
from gpt4video.models.tokenizer import VIDEO, encode_text, load_tokenizer
from gpt4video.shapes.language.corpus import shown
from gpt4video.shapes.language.dialogues import sample_dialogue
from gpt4video.shapes.world import Part
from gpt4video.training.encode import encode_dialogue
from gpt4video.training.norms.config import TextConfig

VALIDATION_SHARE = 0.05


@dataclass(frozen=True)
class Text:
    """Ids to train and to validate on, how many kinds of them there are, and what they are."""

    training: NDArray[np.uint16]
    validation: NDArray[np.uint16]
    vocabulary: int
    source: str

    @property
    def unigram_entropy(self) -> float:
        """The loss in nats of knowing how frequent each id is, and no more: where a collapsed model is."""
        counts = np.bincount(self.training, minlength=self.vocabulary).astype(float)
        shares = counts[counts > 0] / counts.sum()
        return float(-(shares * np.log(shares)).sum())

    def batch(self, seed: int, step: int, size: int, length: int) -> Tensor:
        """(size, length) ids of the training part; the same for the same numbers."""
        starts = np.random.default_rng([seed, step]).integers(0, len(self.training) - length, size)
        return _rows(self.training, starts, length)

    def held_out(self, size: int, length: int) -> Tensor:
        """(size, length) ids of the validation part, evenly spread; the same for every arm."""
        starts = np.linspace(0, len(self.validation) - length, size).astype(int)
        return _rows(self.validation, starts, length)


def _rows(ids: NDArray[np.uint16], starts: NDArray[np.int64], length: int) -> Tensor:
    return torch.from_numpy(np.stack([ids[s : s + length] for s in starts]).astype(np.int64))


@lru_cache(maxsize=2)
def read_text(config: TextConfig) -> Text:
    """The text that a config names."""
    return {"stdlib": _stdlib, "shapes": _shapes}[config.kind](config)


def _stdlib(config: TextConfig) -> Text:
    folder = Path(sysconfig.get_paths()["stdlib"])
    files = {
        path.read_bytes(): None
        for path in sorted(folder.rglob("*.py"))
        if not {"site-packages", "dist-packages", "__pycache__"} & set(path.relative_to(folder).parts)
    }
    if not files:
        raise InputError(f"There is no source of the standard library in {folder}.")
    distinct = list(files)
    order = np.random.default_rng(0).permutation(len(distinct))
    parts: tuple[list[bytes], list[bytes]] = ([], [])
    held = max(1, round(VALIDATION_SHARE * len(distinct)))
    room = config.megabytes * 1e6 or float("inf")
    for place, index in enumerate(order):
        if sum(map(len, parts[0])) > room:
            break
        parts[place < held].append(distinct[index])
    training, validation = (np.frombuffer(b"\n".join(p), np.uint8).astype(np.uint16) for p in parts)
    digest = hashlib.sha256(training.tobytes() + validation.tobytes()).hexdigest()[:12]
    size = (len(training) + len(validation)) / 1e6
    count = sum(map(len, parts))
    source = f"standard library of Python {platform.python_version()}: {count} files, {size:.1f} MB, {digest}"
    return Text(training, validation, 256, source)


def _shapes(config: TextConfig) -> Text:
    size = config.dialogues or 20000
    tokenizer = load_tokenizer(find(None).parent / "language_model")
    video = tokenizer.convert_tokens_to_ids(VIDEO)

    def ids(part: Part, count: int) -> NDArray[np.uint16]:
        rng = np.random.default_rng([0, part == "validation"])
        found: list[int] = []
        for _ in range(count):
            talk = sample_dialogue(rng, part)
            told = [[video, *encode_text(tokenizer, shown(scene))] for scene in talk.scenes]
            found += encode_dialogue(tokenizer, talk, told.__getitem__).ids
        return np.array(found, np.uint16)

    training, validation = ids("training", size), ids("validation", max(50, size // 20))
    digest = hashlib.sha256(training.tobytes() + validation.tobytes()).hexdigest()[:12]
    source = f"{size} conversations about the shapes world, {len(training)} tokens, {digest}"
    return Text(training, validation, len(tokenizer), source)
