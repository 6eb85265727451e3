"""Weights to begin a stage from: those of a finished checkpoint, named as the stage names its modules.

    begin("motion", Path("embedded"), Path("runs/shapes/motion"))     before the stage's first step
    into(task.modules, Path("runs/shapes/motion"))                    what the loop then does
    provide(Path("embedded"), {"clip": Path("runs/checkpoint/clip")})   what other stages would have made

The weights are copied beside the stage's state, so that a run which is killed before its first save begins
from the same ones. Tensors that are not there, or are of another shape, keep their fresh values.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from gpt4video.errors import InputError

START_NAME = "start.safetensors"
PLACES = {
    "language": {"language_model": "language_model"},
    "abstractor": {"abstractor": "abstractor"},
    "instruct": {"abstractor": "abstractor", "language_model": "language_model"},
    "vae": {"vae": "pipeline/vae"},
    "motion": {"unet": "pipeline/unet"},
}
"""Which folder of a checkpoint holds each module of a stage."""
TOKENIZER = ("tokenizer.json", "tokenizer_config.json")


def begin(stage: str, checkpoint: Path, folder: Path) -> None:
    """Copy what `checkpoint` has for a stage into the stage's `folder`. Raises `InputError`."""
    if stage not in PLACES:
        raise InputError(
            f"The stage {stage!r} cannot begin from a checkpoint; {', '.join(PLACES)} can.", param="start"
        )
    found: dict[str, torch.Tensor] = {}
    for module, place in PLACES[stage].items():
        files = sorted((checkpoint / place).glob("*.safetensors"))
        if not files:
            raise InputError(f"{checkpoint / place} holds no weights to begin from.", param="start")
        for file in files:
            found |= {f"{module}/{name}": tensor.contiguous() for name, tensor in load_file(file).items()}
    folder.mkdir(parents=True, exist_ok=True)
    save_file(found, folder / START_NAME)
    if stage == "language":  # its rows of embeddings are that tokenizer's
        (folder / "tokenizer").mkdir(exist_ok=True)
        for name in TOKENIZER:
            shutil.copyfile(checkpoint / PLACES[stage]["language_model"] / name, folder / "tokenizer" / name)


def provide(checkpoint: Path, places: dict[str, Path]) -> None:
    """Copy those parts of a checkpoint, by their place in it, that a run's own stages have not made yet."""
    for place, own in places.items():
        if not own.exists():
            shutil.copytree(checkpoint / place, own)


@torch.no_grad()
def into(modules: dict[str, nn.Module], folder: Path) -> None:
    """Give modules the weights that `begin` left in `folder`, if it did, and say what they lack."""
    path = folder / START_NAME
    if not path.exists():
        return
    found = load_file(path)
    for module, owner in modules.items():
        # Parameters, not the state: two names of one tied tensor are one of them.
        own = dict(owner.named_parameters()) | dict(owner.named_buffers())
        fresh = []
        for name, tensor in own.items():
            given = found.get(f"{module}/{name}")
            if given is not None and given.shape == tensor.shape:
                tensor.copy_(given)
            else:
                fresh.append(name)
        if fresh:
            print(f"{module}: {len(fresh)} of {len(own)} tensors are new, {fresh[0]} first", file=sys.stderr)
