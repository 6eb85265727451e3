"""Teaching the language model to see: what the stages `abstractor` and `instruct` share.

    clips -> CLIP patch tokens (frozen, computed once) -> abstractor -> soft tokens -> language model -> loss

`abstractor`  captions, with CLIP and the language model frozen: soft tokens learn to be a description
`instruct`    whole conversations; the language model learns too, in full: at three million parameters LoRA
              would save no memory worth having, and merged it would be the same matrices
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from gpt4video.errors import InputError
from gpt4video.models.abstractor import Abstractor, AbstractorConfig
from gpt4video.models.backbone import BackboneForCausalLM
from gpt4video.models.clip import ClipEncoder, Layer
from gpt4video.models.tokenizer import VIDEO, load_tokenizer
from gpt4video.shapes import views
from gpt4video.shapes.language.dialogues import Dialogue, sample_dialogue
from gpt4video.shapes.language.notes import LINES
from gpt4video.shapes.language.turns import POSTED_TO_COPY
from gpt4video.shapes.world import FOREIGN, POSTED, Mix, Part, Scene
from gpt4video.training.data import NUM_FRAMES, SHARD, Pool, fingerprint
from gpt4video.training.encode import Example, Rows, encode_dialogue, pack, run_of_soft_tokens, weighted_loss
from gpt4video.training.facts import Facts, FactsHead, facts_of
from gpt4video.training.loop import LoopConfig, Randomness, device, run
from gpt4video.training.notes import Lines, Notes, asked, distance, embed, quiz, read_with

FACTS_NAME = "facts.safetensors"
"""The head that only training needs."""


@dataclass(frozen=True)
class AbstractorStage:
    """Size of the abstractor and how it is aligned."""

    width: int = 192
    """Width inside the abstractor."""
    layers: int = 3
    """How many times its queries attend."""
    heads: int = 6
    """Its attention heads."""
    clips: int = 7000
    """Clips of the pool."""
    batch: int = 40
    """Clips in a step, of which the facts are asked."""
    told: int = 12
    """How many of them are captioned as well: the language model costs as much as the abstractor."""
    events: float = 0.0
    """Share of the others that are chosen because something appears, vanishes or changes its colour."""
    facts: float = 0.5
    """Weight of the facts."""
    notes: float = 10.0
    """Weight of the distance to the notes."""
    row: int = 256
    """Length of a packed row, in tokens."""
    captions: float = 0.5
    """Share of whole captions; the rest are single questions, which say the same in pieces."""
    loop: LoopConfig = field(default_factory=lambda: LoopConfig(steps=800, learning_rate=2e-3, warmup=100))
    """How long and how fast."""


@dataclass(frozen=True)
class InstructStage:
    """How the language model and the abstractor learn conversations together."""

    clips: int = 7000
    """Clips of the pool."""
    foreign: int = 1000
    """Clips beside them that show anything else, where conversations are about such."""
    batch: int = 24
    """Conversations in a step."""
    quiz: int = 24
    """Clips in a step that are each asked some questions more, in conversations of their own: the
    soft tokens are made once, and most of what is read is then an answer."""
    questions: int = 4
    """Conversations about each of them."""
    edits: float = 0.2
    """Share of those in whose place the clip is to be drawn again with a change, where it can be."""
    terse: float = 0.35
    """Share of drills among them, where the clip shows two objects or three."""
    looked: int = 36
    """Clips in a step of which the facts are asked, those of the conversations among them."""
    events: float = 0.0
    """Share of the others that are chosen because something appears, vanishes or changes its colour."""
    row: int = 512
    """Length of a packed row, in tokens."""
    facts: float = 0.4
    """Weight of the facts."""
    notes: float = 2.0
    """Weight of the distance to the notes."""
    kinds: dict[str, float] = field(default_factory=dict)
    """Shares of the kinds of conversation; empty is the world's own mixture."""
    loop: LoopConfig = field(default_factory=lambda: LoopConfig(steps=1200, learning_rate=1e-3, warmup=100))
    """How long and how fast."""

    def __post_init__(self) -> None:
        if self.foreign < 1 and self.asks_of_foreign:
            raise InputError("foreign must be at least 1 where conversations are about foreign videos.")

    @property
    def asks_of_foreign(self) -> bool:
        """Whether any conversation is about a video of anything else."""
        return not self.kinds or self.kinds.get("foreign", 0.0) > 0


@dataclass(frozen=True)
class Parts:
    """Where earlier stages left what these go on from."""

    clip: Path
    language: Path
    """The pre-trained language model."""
    abstractor: Path
    """The aligned abstractor: written by `abstractor`, read by `instruct`."""


@dataclass(frozen=True)
class View:
    """A clip of the pool as it is, in a mirror, backwards, or both, and the scene that it then shows."""

    clip: int
    scene: Scene
    mirrored: bool = False
    reversed: bool = False


def views_of(pool: Pool) -> list[View]:
    """Every view of every clip of the pool that shows a scene of training: up to four for one drawing."""
    found: list[View] = []
    for clip, scene in enumerate(pool.scenes):
        for mirror, plain in ((False, scene), (True, views.mirrored(scene))):
            if plain is None:
                continue
            found.append(View(clip, plain, mirror))
            if backwards := views.reversed(plain):
                found.append(View(clip, backwards, mirror, True))
    return found


@dataclass
class Posting:
    """Where a dialogue takes its posted scenes from: views of a pool, remembering which."""

    views: list[View]
    only: int | None = None
    """The one view that is ever posted, or None for any."""
    indices: list[int] = field(default_factory=list)

    def __call__(self, rng: np.random.Generator, part: Part, mix: Mix) -> Scene:
        """A scene that the mix allows."""
        while True:
            index = int(rng.integers(len(self.views))) if self.only is None else self.only
            scene = self.views[index].scene
            if self.only is not None or allows(mix, scene):
                self.indices.append(index)
                return scene


def allows(mix: Mix, scene: Scene) -> bool:
    """Whether a scene of the pool is one of those that a mix is made of."""
    return (
        mix.foreign == (scene.foreign is not None)
        and (mix.events > 0 or not scene.event)
        and (mix.order > 0 or not scene.order)
        and mix.background in (None, scene.background)
    )


CLIPS = 20
"""Clips that CLIP sees at once."""


@torch.no_grad()
def patch_features(encoder: ClipEncoder, pool: Pool, path: Path, *, mirror: bool = False) -> Tensor:
    """CLIP's patch tokens of the whole pool, or of its mirror image, (N, T, P, C) float16.

    Computed once; memory-mapped, or on the accelerator.
    """
    rows, columns = encoder.grid
    shape = (len(pool), NUM_FRAMES, rows * columns, encoder.width)
    if not path.exists():
        beside = path.with_suffix(".tmp")
        features = np.lib.format.open_memmap(beside, "w+", np.float16, shape)
        starts = [SHARD * i + at for i in range(len(pool) // SHARD) for at in range(0, SHARD, CLIPS)]
        for start, stop in pairwise([*starts, len(pool)]):
            shard = pool.shards[start // SHARD][start % SHARD :][: stop - start]
            frames = shard.reshape(-1, *shard.shape[2:])
            frames = (
                np.ascontiguousarray(frames[:, :, ::-1]) if mirror else frames.copy()
            )  # maps are read-only
            pixels = encoder.preprocess(torch.from_numpy(frames).to(device()))
            tokens = encoder.patch_tokens(pixels)
            features[start:stop] = tokens.reshape(stop - start, *shape[1:]).half().cpu().numpy()
        features.flush()
        beside.replace(path)
    # A map that is copied where it is written to, which it never is: torch takes no read-only ones.
    return torch.from_numpy(np.load(path, mmap_mode="c")).to(device())


@dataclass(frozen=True)
class Films:
    """Views as they are shown: `clips`, `mirrored` (B,); `frames`, `times` in seconds, `mask` (B, T)."""

    clips: Tensor
    mirrored: Tensor
    frames: Tensor
    times: Tensor
    mask: Tensor


@dataclass(frozen=True)
class Lesson:
    """What one step reads and looks at; `places` says which of the films each video of the rows is."""

    rows: Rows
    places: list[int]
    films: Films
    facts: Facts
    lines: Lines


class SeeingTask:
    """Predict the assistant's words, with videos as soft tokens."""

    def __init__(
        self, stage: AbstractorStage | InstructStage, parts: Parts, pool: Pool, cache: Path, layer: Layer
    ) -> None:
        self.stage, self.pool = stage, pool
        torch.manual_seed(stage.loop.seed)
        encoder = ClipEncoder.from_pretrained(parts.clip, layer).float().eval().to(device())
        name = f"features-{pool.name}-{fingerprint(encoder.model.visual)}"
        self.features = (
            patch_features(encoder, pool, cache / f"{name}.npy"),
            patch_features(encoder, pool, cache / f"{name}-mirrored.npy", mirror=True),
        )
        self.views = views_of(pool)
        self.eventful = [i for i, view in enumerate(self.views) if view.scene.event]
        self.askable = [i for i, view in enumerate(self.views) if not view.scene.foreign]
        self.tokenizer: Any = load_tokenizer(parts.language)
        self.notes = Notes(self.tokenizer)
        self.video = self.tokenizer.convert_tokens_to_ids(VIDEO)
        self.model: Any = BackboneForCausalLM.from_pretrained(parts.language).float().to(device())
        if isinstance(stage, AbstractorStage):
            self.abstractor = Abstractor(
                AbstractorConfig(
                    encoder_width=encoder.width,
                    grid=encoder.grid,
                    language_width=self.model.config.hidden_size,
                    width=stage.width,
                    num_layers=stage.layers,
                    num_heads=stage.heads,
                    # With the end vector, a soft token for each line of the notes.
                    num_queries=LINES - 1,
                    mlp_width=stage.width * 8 // 3,
                )
            )
            last = embed(self.model.get_input_embeddings(), self.notes.lines([self.views[0].scene]))[0, -1]
            self.abstractor.end.data.copy_(last)  # it is the same for every video
            self.model.requires_grad_(False)
            self.modules: dict[str, nn.Module] = {"abstractor": self.abstractor}
        else:
            self.abstractor = Abstractor.from_pretrained(parts.abstractor).float()
            self.modules = {"abstractor": self.abstractor, "language_model": self.model}
        self.abstractor.train().to(device())
        self.facts = FactsHead(self.abstractor.num_tokens, self.model.config.hidden_size).to(device())
        # A checkpoint has no head of facts; one that begins anew follows within some hundred steps.
        if isinstance(stage, InstructStage) and (parts.abstractor / FACTS_NAME).exists():
            self.facts.load_state_dict(load_file(parts.abstractor / FACTS_NAME))
        self.modules["facts"] = self.facts

    def dialogue(self, rng: np.random.Generator) -> Example:
        """One conversation, its videos named by their places among the views."""
        posting = Posting(self.views)
        if isinstance(self.stage, AbstractorStage):
            kind = "describe" if rng.random() < self.stage.captions else None
            found = asked(posting(rng, "training", POSTED), [kind], rng)
            assert found is not None, "every scene can be described"
            talk = found
        else:
            talk = sample_dialogue(rng, "training", self.stage.kinds or None, posting)
        return self.encode(talk, posting)

    def encode(self, talk: Dialogue, posting: Posting) -> Example:
        """Its ids, its videos named by their places among the views."""
        soft = run_of_soft_tokens(self.tokenizer, self.abstractor.num_tokens)
        example = encode_dialogue(self.tokenizer, talk, lambda _scene: soft)
        example.videos = [posting.indices[k] for k in example.videos]
        return example

    def quiz(self, stage: InstructStage, rng: np.random.Generator) -> list[Example]:
        """Conversations about one clip: questions, and changes to it."""
        only = int(rng.choice(self.askable))
        scene = self.views[only].scene
        edits = stage.edits if allows(POSTED_TO_COPY, scene) else 0.0
        terse = stage.terse if len(scene.things) > 1 else 0.0
        postings = [Posting(self.views, only) for _ in range(stage.questions)]
        return [self.encode(quiz(rng, posting, edits, terse), posting) for posting in postings]

    def chosen(self, rng: np.random.Generator, count: int) -> list[int]:
        """So many views to be asked for their facts, some of them because something happens there."""
        indices = rng.integers(len(self.views), size=count)
        if self.eventful:
            eventful = rng.choice(self.eventful, size=count)
            indices = np.where(rng.random(count) < self.stage.events, eventful, indices)
        return [int(i) for i in indices]

    def film(self, views: list[View], rng: np.random.Generator) -> Films:
        """The views as they are shown: without a frame or two, those of a reversed one backwards."""
        chosen, times = [], []
        for view in views:
            count = int(self.pool.counts[view.clip])
            shown = np.arange(count)
            if count > 6:
                shown = np.sort(rng.choice(count, count - int(rng.integers(3)), replace=False))
            when = self.pool.times[view.clip][shown]
            if view.reversed:
                shown, when = shown[::-1].copy(), view.scene.duration - when[::-1]
            chosen.append(torch.from_numpy(shown))
            times.append(torch.from_numpy(when).float())
        pad = nn.utils.rnn.pad_sequence
        counts = torch.tensor([len(t) for t in times])
        return Films(
            torch.tensor([view.clip for view in views]),
            torch.tensor([view.mirrored for view in views]),
            pad(chosen, batch_first=True),
            pad(times, batch_first=True),
            torch.arange(int(counts.max()))[None] < counts[:, None],
        )

    def soft_tokens(self, films: Films) -> Tensor:
        """Soft tokens of views, (B, Q + 1, D)."""
        where = self.features[0].device
        clips, mirrored, frames = (t.to(where) for t in (films.clips, films.mirrored, films.frames))
        patches = torch.empty(*frames.shape, *self.features[0].shape[2:], device=where)
        for side, features in enumerate(self.features):
            these = mirrored == bool(side)
            patches[these] = features[clips[these][:, None], frames[these]].float()
        tokens: Tensor = self.abstractor(patches, films.times.to(where), films.mask.to(where))
        return tokens

    def batch(self, randomness: Randomness) -> Lesson:
        """Conversations about some views, and a few views more of which only the facts are asked."""
        rng, stage = randomness.numpy, self.stage
        if isinstance(stage, AbstractorStage):
            count, looked = stage.told, stage.batch
        else:
            count, looked = stage.batch, stage.looked
        examples = [self.dialogue(rng) for _ in range(count)]
        if isinstance(stage, InstructStage):
            for _ in range(stage.quiz):
                examples += self.quiz(stage, rng)
        rows = pack(examples, stage.row, self.tokenizer.pad_token_id)
        videos = list(dict.fromkeys(rows.videos))
        more = max(0, looked - len(videos))
        places = [videos.index(video) for video in rows.videos]
        videos += self.chosen(rng, more)
        views = [self.views[i] for i in videos]
        scenes = [view.scene for view in views]
        return Lesson(rows, places, self.film(views, rng), facts_of(scenes), self.notes.lines(scenes))

    def loss(self, batch: Lesson) -> tuple[Tensor, dict[str, float]]:
        """Cross-entropy on the assistant's words, and how well soft tokens are notes and hold the facts."""
        soft, rows = self.soft_tokens(batch.films), batch.rows
        loss, right = weighted_loss(read_with(self.model, rows, soft[batch.places], self.video), rows)
        facts, known = self.facts.loss(soft, batch.facts)
        with torch.no_grad():
            written = embed(self.model.get_input_embeddings(), batch.lines)
        off = distance(soft, written)
        loss = loss + self.stage.facts * facts + self.stage.notes * off
        return loss, {"right": right, "notes": float(off.detach()), **known}


def train(
    stage: AbstractorStage | InstructStage,
    folder: Path,
    parts: Parts,
    out: Path,
    pools: Path,
    layer: Layer,
    *,
    resume: bool = True,
) -> None:
    """Train and save to `parts.abstractor`, or to `out/abstractor` and `out/language_model`."""
    pool = Pool.make(pools, "training", stage.clips, workers=stage.loop.workers)
    if isinstance(stage, InstructStage) and stage.asks_of_foreign:
        pool += Pool.make(pools, "training", stage.foreign, mix=FOREIGN, workers=stage.loop.workers)
    task = SeeingTask(stage, parts, pool, pools, layer)
    run(task, stage.loop, folder, resume=resume)
    if isinstance(stage, AbstractorStage):
        task.abstractor.half().save_pretrained(parts.abstractor)
        save_file(task.facts.state_dict(), parts.abstractor / FACTS_NAME)
    else:
        task.abstractor.half().save_pretrained(out / "abstractor")
        task.model.half().save_pretrained(out / "language_model", safe_serialization=True)
        task.tokenizer.save_pretrained(out / "language_model")
