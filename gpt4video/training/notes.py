"""Notes as embeddings, and the many small conversations that teach to read them.

Notes.lines(scenes)    the words of the scenes' notes, as ids
embed(table, lines)    (B, LINES, D): the sum of the embeddings of each line's words, of unit mean square
quiz(rng, source)      a few questions about one video, or a wish to have it changed
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gpt4video.models.backbone import BackboneForCausalLM
from gpt4video.models.tokenizer import encode_text
from gpt4video.shapes.language.dialogues import Dialogue, Turn, sample_dialogue
from gpt4video.shapes.language.drills import drills
from gpt4video.shapes.language.notes import LINES, notes
from gpt4video.shapes.language.questions import KINDS, sample_question
from gpt4video.shapes.language.rough import rough
from gpt4video.shapes.language.systems import system
from gpt4video.shapes.world import POSTED, Mix, Part, Scene
from gpt4video.training.encode import Rows

Source = Callable[[np.random.Generator, Part, Mix], Scene]


@dataclass(frozen=True)
class Lines:
    """Notes of some scenes: the ids of all words one after the other, and where each line starts."""

    ids: Tensor
    starts: Tensor


class Notes:
    """Writes notes in the words of one language model."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._ids: dict[str, list[int]] = {}

    def ids(self, word: str) -> list[int]:
        """A word within a sentence, as ids."""
        if word not in self._ids:
            self._ids[word] = encode_text(self._tokenizer, f" {word}")
        return self._ids[word]

    def lines(self, scenes: list[Scene]) -> Lines:
        """The notes of scenes."""
        lines = [[i for word in line for i in self.ids(word)] for scene in scenes for line in notes(scene)]
        starts = torch.tensor([0, *(len(line) for line in lines[:-1])]).cumsum(0)
        return Lines(torch.tensor([i for line in lines for i in line]), starts)


def embed(table: nn.Embedding, lines: Lines) -> Tensor:
    """Notes as soft tokens (B, LINES, D), each of unit mean square as an embedding norm gives it."""
    device = table.weight.device
    sums = nn.functional.embedding_bag(
        lines.ids.to(device), table.weight, lines.starts.to(device), mode="sum"
    )
    return nn.functional.rms_norm(sums, sums.shape[-1:]).unflatten(0, (-1, LINES))


def distance(soft_BSD: Tensor, notes_BSD: Tensor) -> Tensor:
    """How far soft tokens are from notes, as a model that normalises its embeddings sees them: 0 to 4."""
    normed = nn.functional.rms_norm(soft_BSD.float(), soft_BSD.shape[-1:])
    return nn.functional.mse_loss(normed, notes_BSD)


def read_with(model: BackboneForCausalLM, rows: Rows, soft_BSD: Tensor | None, video: int) -> Tensor:
    """Logits (R, L, V) of packed rows whose runs of the id `video` are soft tokens."""
    table = model.get_input_embeddings()
    ids = rows.ids.to(table.weight.device)
    embeddings = table(ids)
    if soft_BSD is not None:
        flat = soft_BSD.flatten(0, 1).to(embeddings.dtype)
        embeddings = embeddings.masked_scatter((ids == video)[..., None], flat)
    positions = rows.positions.to(ids.device)
    logits: Tensor = model(inputs_embeds=embeddings, position_ids=positions, use_cache=False).logits
    return logits


def asked(scene: Scene, kinds: Sequence[str | None], rng: np.random.Generator) -> Dialogue | None:
    """A conversation of questions of these kinds about a posted scene; None where it has none of them."""
    found = [qa for kind in kinds if (qa := sample_question(scene, rng, "training", kind))]
    if not found:
        return None
    turns: list[Turn] = []
    for qa in found:
        said = rough(rng, qa.question)
        turns += [Turn("user", said, () if turns else (0,)), Turn("assistant", qa.answer)]
    return Dialogue((scene,), tuple(turns), "qa", system=system(rng, "training"))


QUIZ = {
    "yesno": 3.5,
    "relation": 4.0,
    "order": 1.5,
    "color": 1.5,
    "shape": 1.5,
    "motion": 1.5,
    "event": 2.5,
    "describe": 1.5,
    "double": 2.0,
}
"""How much more often kinds are asked than others: what takes two facts has to be seen more often."""
_P = np.array([QUIZ.get(kind, 0.7) for kind in KINDS])
LENGTHS = (1, 1, 2, 3, 4, 5)
"""Questions in one conversation: the notes are then read once for all of them."""


def quiz(rng: np.random.Generator, source: Source, edits: float, terse: float = 0.0) -> Dialogue:
    """A few questions about one scene; in a share of `edits`, a change to it, and of `terse`, drills."""
    toss = rng.random()
    if toss < edits:
        return sample_dialogue(rng, "training", {"edit_posted": 1.0}, source)
    if toss < edits + terse:
        while len((scene := source(rng, "training", POSTED)).things) < 2:
            pass
        return Dialogue((scene,), drills(scene, rng, int(rng.integers(6, 13))), "qa")
    scene, found = source(rng, "training", POSTED), None
    while found is None:
        kinds = rng.choice(list(KINDS), int(rng.choice(LENGTHS)), p=_P / _P.sum())
        found = asked(scene, [str(kind) for kind in kinds], rng)
    return found
