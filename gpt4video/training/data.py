"""Posted videos to learn from: a pool of clips on disk, made once from a seed, in shards.

    pool = Pool.make(folder, "training", count)     fills what is missing; safe to stop and start again
    pool.frames(i)  (T, 64, 64, 3) uint8   pool.times[i]  (T,) seconds   pool.counts[i]   pool.scenes[i]

Each clip is drawn at a size, frame rate and length of its own, in a style of its own, and is sampled and
resized as the service does with what people post.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import pickle
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from gpt4video.shapes.render import frame_times, render, sample_format, sample_style
from gpt4video.shapes.world import POSTED, Mix, Part, Scene, sample_scene
from gpt4video.video import Sampling
from gpt4video.video.timeline import Timeline, choose

Made = TypeVar("Made")
SHARD = 500
"""Clips in a file."""
SIDE = 64
"""Side of the pooled frames, in pixels: what the CLIP encoder reads."""
NUM_FRAMES = 12
"""Most frames of a clip, as in the embedded model's `assistant.yaml`."""


def post(scene: Scene, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.float64], float]:
    """A scene as some other program might have drawn it.

    Frames (T, 64, 64, 3), times (T,), and width over height of the picture before it was squeezed.
    """
    fps, width, height = sample_format(rng)
    times = frame_times(scene.duration, fps)
    timeline = Timeline(times, np.arange(len(times)), scene.duration)
    times = times[choose(timeline, Sampling(num_frames=NUM_FRAMES))]
    frames = render(scene, width=width, height=height, times=times, style=sample_style(rng), rng=rng)
    if (width, height) != (SIDE, SIDE):
        small = [Image.fromarray(f).resize((SIDE, SIDE), Image.Resampling.BILINEAR) for f in frames]
        frames = np.stack([np.asarray(f) for f in small])
    return frames, times, width / height


def spread(work: Callable[..., Made], given: Sequence[tuple[Any, ...]], workers: int) -> Iterator[Made]:
    """The results of `work` for each of `given`, in their order, made by as many processes; 0 uses none."""
    if not workers or not given:
        yield from (work(*these) for these in given)
        return
    with ProcessPoolExecutor(workers, multiprocessing.get_context("fork")) as pool:
        yield from pool.map(work, *zip(*given, strict=True))


def fingerprint(*modules: nn.Module) -> str:
    """A short name of weights: what was computed with others is not to be taken for theirs."""
    digest = hashlib.sha256()
    for module in modules:
        for name, value in module.state_dict().items():
            digest.update(name.encode() + value.detach().cpu().float().numpy().tobytes())
    return digest.hexdigest()[:8]


@dataclass(frozen=True)
class Pool:
    """Clips of one part of the world, memory-mapped."""

    shards: Sequence[NDArray[np.uint8]]
    times: NDArray[np.float64]
    """(N, T) seconds, padded with zeros."""
    counts: NDArray[np.int64]
    """(N,) frames that each clip really has."""
    aspects: NDArray[np.float64]
    """(N,) width over height of each picture before it was squeezed to a square."""
    scenes: Sequence[Scene]
    name: str
    """Part, seed and number of clips, of each of the pools that it was made of."""

    def __len__(self) -> int:
        return len(self.scenes)

    def __add__(self, other: Pool) -> Pool:
        """The clips of both, whose shards are whole."""
        return Pool(
            [*self.shards, *other.shards],
            np.concatenate([self.times, other.times]),
            np.concatenate([self.counts, other.counts]),
            np.concatenate([self.aspects, other.aspects]),
            [*self.scenes, *other.scenes],
            f"{self.name}-{other.name}",
        )

    def frames(self, index: int) -> NDArray[np.uint8]:
        """(T, 64, 64, 3), zeros after the last frame."""
        return self.shards[index // SHARD][index % SHARD]

    @classmethod
    def make(
        cls, folder: Path, part: Part, count: int, *, seed: int = 0, mix: Mix = POSTED, workers: int = 0
    ) -> Pool:
        """The first `count` clips of a part (rounded up to whole shards), made where they are missing."""
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{'foreign-' * mix.foreign}{part}-{seed}"
        paths = [folder / f"{name}-{i:04d}" for i in range(-(-count // SHARD))]
        missing = [
            (path, part, np.random.default_rng([seed, len(part), i]), mix)
            for i, path in enumerate(paths)
            if not path.with_suffix(".pickle").exists()
        ]
        list(spread(_make_shard, missing, workers))
        facts = [pickle.loads(p.with_suffix(".pickle").read_bytes()) for p in paths]
        return cls(
            [np.load(p.with_suffix(".npy"), mmap_mode="r") for p in paths],
            np.concatenate([f["times"] for f in facts]),
            np.concatenate([f["counts"] for f in facts]),
            np.concatenate([f["aspects"] for f in facts]),
            [scene for f in facts for scene in f["scenes"]],
            f"{name}-{SHARD * len(paths)}",
        )


def _make_shard(path: Path, part: Part, rng: np.random.Generator, mix: Mix) -> None:
    frames = np.zeros((SHARD, NUM_FRAMES, SIDE, SIDE, 3), np.uint8)
    times, counts, aspects = np.zeros((SHARD, NUM_FRAMES)), np.zeros(SHARD, np.int64), np.ones(SHARD)
    scenes = []
    for i in range(SHARD):
        scene = sample_scene(rng, part, mix)
        clip, when, aspects[i] = post(scene, rng)
        frames[i, : len(clip)], times[i, : len(when)], counts[i] = clip, when, len(clip)
        scenes.append(scene)
    np.save(path.with_suffix(".npy"), frames)
    facts = path.with_suffix(".tmp")
    facts.write_bytes(pickle.dumps({"times": times, "counts": counts, "aspects": aspects, "scenes": scenes}))
    facts.replace(path.with_suffix(".pickle"))  # a shard is there once its facts are
