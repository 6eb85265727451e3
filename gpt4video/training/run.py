"""`gpt4video train`: the stages of a config, each alone or all in order, into one checkpoint directory.

clip, language            know nothing of each other
abstractor, instruct      need both
vae, decoder              need nothing: frames to latents and back, and then the way back alone
frames, motion            need vae, and clip, whose text tower reads the prompts
checkpoint                puts everything into one directory that describes itself
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
import yaml

from gpt4video.checkpoint import EMBEDDED
from gpt4video.config import read, read_yaml, resolve
from gpt4video.errors import ConfigError, InputError
from gpt4video.training import start
from gpt4video.training.data import NUM_FRAMES
from gpt4video.training.stages import clip, drawer, language, seeing, vae
from gpt4video.training.stages.vae import VaeConfig


@dataclass(frozen=True)
class Stages:
    """Every stage's own config."""

    clip: clip.ClipConfig = field(default_factory=clip.ClipConfig)
    """Frames and captions to one space."""
    language: language.LanguageConfig = field(default_factory=language.LanguageConfig)
    """The world's text."""
    abstractor: seeing.AbstractorStage = field(default_factory=seeing.AbstractorStage)
    """Videos to soft tokens."""
    instruct: seeing.InstructStage = field(default_factory=seeing.InstructStage)
    """Whole conversations."""
    vae: vae.VaeConfig = field(default_factory=vae.VaeConfig)
    """Frames to latents."""
    decoder: VaeConfig = field(default_factory=lambda: VaeConfig(kind="decoder"))
    """Latents to frames, better."""
    frames: drawer.DrawerStage = field(default_factory=drawer.DrawerStage)
    """The drawer on single frames."""
    motion: drawer.DrawerStage = field(default_factory=lambda: drawer.DrawerStage(kind="motion"))
    """The drawer on clips."""


@dataclass(frozen=True)
class TrainingConfig:
    """The section `training` of a config."""

    folder: Path = Path("runs/shapes")
    """Where states, pools and latents are kept while training."""
    checkpoint: Path = Path("runs/shapes/checkpoint")
    """Where the finished parts go."""
    threads: int = 0
    """Threads of a stage; 0 leaves it to torch. Two stages side by side want one each."""
    stages: Stages = field(default_factory=Stages)
    """What each stage learns with."""

    def kept(self, stage: str) -> Path:
        """Where a stage leaves what only later stages need."""
        return self.folder / stage / "model"


def _clip(c: TrainingConfig, resume: bool) -> None:
    clip.train(c.stages.clip, c.folder / "clip", c.checkpoint, c.folder / "pool", resume=resume)


def _language(c: TrainingConfig, resume: bool) -> None:
    language.train(c.stages.language, c.folder / "language", c.kept("language"), resume=resume)


def _abstractor(c: TrainingConfig, resume: bool) -> None:
    _see(c, c.stages.abstractor, c.folder / "abstractor", resume)


def _instruct(c: TrainingConfig, resume: bool) -> None:
    _see(c, c.stages.instruct, c.folder / "instruct", resume)


def _see(
    c: TrainingConfig, stage: seeing.AbstractorStage | seeing.InstructStage, folder: Path, resume: bool
) -> None:
    parts = seeing.Parts(c.checkpoint / "clip", c.kept("language"), c.kept("abstractor"))
    layer = c.stages.clip.layer
    seeing.train(stage, folder, parts, c.checkpoint, c.folder / "pool", layer, resume=resume)


def _earlier(c: TrainingConfig, stage: str) -> dict[str, Path]:
    """What a stage reads of earlier ones: its place in a checkpoint, and where this run has it."""
    places = {
        "clip": c.checkpoint / "clip",
        "language_model": c.kept("language"),
        "abstractor": c.kept("abstractor"),
    }
    read = {"abstractor": ("clip", "language_model"), "instruct": tuple(places)}.get(stage, ())
    return {place: places[place] for place in read}


def _vae(c: TrainingConfig, resume: bool) -> None:
    vae.train(c.stages.vae, c.folder / "vae", c.checkpoint, resume=resume)


def _decoder(c: TrainingConfig, resume: bool) -> None:
    vae.train(c.stages.decoder, c.folder / "decoder", c.checkpoint, resume=resume)


def _frames(c: TrainingConfig, resume: bool) -> None:
    _draw(c, c.stages.frames, c.folder / "frames", resume)


def _motion(c: TrainingConfig, resume: bool) -> None:
    _draw(c, c.stages.motion, c.folder / "motion", resume)


def _draw(c: TrainingConfig, stage: drawer.DrawerStage, folder: Path, resume: bool) -> None:
    drawer.train(stage, folder, c.kept("frames"), c.checkpoint, c.folder / "latents", resume=resume)


def _checkpoint(c: TrainingConfig, resume: bool) -> None:
    """Write `assistant.yaml`, the safety policy and, where there is none yet, a model card."""
    description = {
        "format_version": 1,
        "name": "gpt4video-shapes",
        "understanding": {
            "kind": "native",
            "clip_layer": c.stages.clip.layer,
            "sampling": {"kind": "uniform", "num_frames": NUM_FRAMES},
            "threads": 1,
        },
        "generation": {"kind": "diffusers", "pipeline": "pipeline"},
        "safety": {"folder": "safety"},
    }
    text = yaml.safe_dump(description, sort_keys=False)
    (c.checkpoint / "assistant.yaml").write_text(text, encoding="utf-8")
    card = c.checkpoint / "README.md"
    if not card.exists():
        card.write_text(CARD, encoding="utf-8")
    (c.checkpoint / "safety").mkdir(exist_ok=True)
    policy = Path(__file__).parent.parent / "safety" / "policy.yaml"
    shutil.copyfile(policy, c.checkpoint / "safety" / "policy.yaml")


CARD = """---
library_name: gpt4video
pipeline_tag: video-text-to-text
---

# A gpt4video checkpoint

Trained by `gpt4video train` on drawn moving shapes, which is all it knows. `gpt4video.load(folder)` opens it,
`gpt4video evaluate --config folder` measures it.
"""
"""The model card that a checkpoint begins with."""


STAGES: dict[str, Callable[[TrainingConfig, bool], None]] = {
    "clip": _clip,
    "language": _language,
    "abstractor": _abstractor,
    "instruct": _instruct,
    "vae": _vae,
    "decoder": _decoder,
    "frames": _frames,
    "motion": _motion,
    "checkpoint": _checkpoint,
}


def read_training(name: str) -> TrainingConfig:
    """The training section of a config, by path or name. Raises `ConfigError`."""
    path = resolve(name)
    data = read_yaml(path)
    if not isinstance(data, dict) or "training" not in data:
        raise ConfigError(f"{path}: has no section 'training'.")
    return read(TrainingConfig, data["training"], f"{path}: training")


def train_main(args: argparse.Namespace) -> int:
    """Run the stages that are asked for; what is finished is not done again."""
    config = read_training(args.config)
    unknown = [s for s in args.stage if s not in STAGES]
    if unknown:
        raise InputError(f"There is no stage {unknown[0]!r}; there are {', '.join(STAGES)}.", param="stage")
    if args.start and not args.stage:
        raise InputError("--start needs --stage: which stages begin from the checkpoint?", param="start")
    if config.threads:
        torch.set_num_threads(config.threads)
    for name in args.stage or STAGES:
        folder = config.folder / name
        if (folder / "done").exists() and not args.stage:
            print(f"{name}: finished before", file=sys.stderr)
            continue
        if (folder / "state.pt").exists() and not args.resume:
            raise InputError(f"{folder} holds an earlier run: add --resume to go on, or remove it.")
        if not args.resume:
            (folder / start.START_NAME).unlink(missing_ok=True)
        if args.start:
            given = EMBEDDED if args.start == EMBEDDED.name else Path(args.start)
            start.begin(name, given, folder)
            start.provide(given, _earlier(config, name))
        print(f"{name}: begins", file=sys.stderr)
        config.checkpoint.mkdir(parents=True, exist_ok=True)
        STAGES[name](config, args.resume)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "done").touch()
    return 0
