"""A checkpoint directory or a config file -> an `Assistant`; the tables of what each part can be.

    load("mine.yaml")     find the description        checkpoint.py
                          each part: kind -> table    UNDERSTANDING, GENERATION, SAFETY
                          its fields -> a dataclass   NativeConfig, DiffusersConfig …
                          open it on the device       ConfigError names the file and the part

A relative name is a folder beside the description; where a pipeline may come from a hub, what is no folder is
taken for a hub id. A new kind of part is a dataclass of its fields, a function that opens it, and a row.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import torch
from safetensors import SafetensorError

from gpt4video.assistant import Assistant
from gpt4video.checkpoint import AssistantConfig, find
from gpt4video.config import read
from gpt4video.errors import ConfigError, InputError
from gpt4video.generation import DiffusersDrawer, DrawerConfig
from gpt4video.interfaces import Drawer, Encoder, LanguageModel, Safety
from gpt4video.models import Abstractor
from gpt4video.models.clip import ClipEncoder
from gpt4video.safety import SafetyFilter
from gpt4video.understanding import NativeEncoder, NativeLanguageModel
from gpt4video.video import Sampling

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
"""Words for the numbers that weights are kept and computed in."""
Dtype = Literal["float32", "float16", "bfloat16"]


@dataclass(frozen=True)
class Place:
    """Where a part's names are looked up, and the device it runs on."""

    file: Path
    device: str

    def folder(self, name: str) -> Path:
        """The folder of that name beside the file, or anywhere by its whole path. Raises `ConfigError`."""
        path = self.file.parent / Path(name).expanduser()
        if not path.is_dir():
            raise ConfigError(f"there is no folder {name!r} in {self.file.parent}.")
        return path

    def folder_or_hub(self, name: str) -> str:
        """The same, but what can be a hub id and is no folder is one."""
        path = self.file.parent / Path(name).expanduser()
        looks_like_hub = name.count("/") == 1 and not name.startswith((".", "/", "~"))
        return name if looks_like_hub and not path.exists() else str(self.folder(name))


@dataclass(frozen=True)
class NativeConfig:
    """`understanding: {kind: native}`: our own CLIP, abstractor and language model."""

    clip: str = "clip"
    """Folder of an open_clip model."""
    clip_layer: Literal["last", "penultimate", "antepenultimate"] = "penultimate"
    """Whose patch tokens are read."""
    clip_norms: Literal["layernorm", "rmsnorm"] = "layernorm"
    """How CLIP's image tower normalises: as it was trained, or rewritten to RMSNorm when it is opened, the
    same function. Paired runs show no gain on a processor: `python -m benchmarks.backbone --only clip`."""
    abstractor: str = "abstractor"
    """Folder of the abstractor."""
    language_model: str = "language_model"
    """Folder of the language model and its tokenizer."""
    sampling: Sampling = field(default_factory=Sampling)
    """Which frames of a posted video are looked at."""
    dtype: Dtype = "float32"
    """Numbers of the language model; CLIP and the abstractor are small and stay in 32 bits."""
    max_batch: int = 8
    """Most conversations that are answered in one forward pass."""
    max_waiting: int = 64
    """Most conversations that wait for that; more are told that there is no room."""
    threads: int | None = None
    """Processor threads of the language model; None: as many as torch takes. A small one is fastest on one:
    two leave no core to the loop of events that brings it work (configs/LOG.md)."""

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise InputError(
                f"threads must be at least 1, got {self.threads}; leave it out for torch's own number.",
                param="threads",
            )


@dataclass(frozen=True)
class DiffusersConfig:
    """`generation: {kind: diffusers}`: any text-to-video pipeline of diffusers."""

    pipeline: str = "pipeline"
    """Folder or hub id of the pipeline."""
    motion_adapter: str | None = None
    """Folder or hub id of a motion adapter, which makes an image pipeline draw videos (AnimateDiff)."""
    options: DrawerConfig | None = None
    """How the pipeline likes to be called; None: what its folder says, or the pipeline's own defaults."""
    dtype: Dtype = "float32"
    """Numbers of all its models."""


@dataclass(frozen=True)
class NothingConfig:
    """`generation: {kind: none}`: this assistant answers questions and draws nothing."""


@dataclass(frozen=True)
class SafetyConfig:
    """`safety`: the policy, and a checker of frames where there is one."""

    folder: str = "safety"
    """Folder of `policy.yaml` and of the checker of frames; each may be missing."""


C = TypeVar("C")
P = TypeVar("P")


@dataclass(frozen=True)
class Kind(Generic[C, P]):
    """One answer to what a part can be: its fields, and how it is opened."""

    config: type[C]
    open: Callable[[C, Place], P]


def open_native(config: NativeConfig, place: Place) -> tuple[Encoder, LanguageModel]:
    """Our own stack. Raises `ConfigError` for what is missing or does not fit together."""
    clip = ClipEncoder.from_pretrained(place.folder(config.clip), config.clip_layer, config.clip_norms)
    abstractor = Abstractor.from_pretrained(place.folder(config.abstractor))
    encoder = NativeEncoder(clip.to(place.device), abstractor.to(place.device), config.sampling)
    language_model = NativeLanguageModel.from_pretrained(
        place.folder(config.language_model),
        device=place.device,
        dtype=DTYPES[config.dtype],
        max_batch=config.max_batch,
        max_waiting=config.max_waiting,
        threads=config.threads,
    )
    if (given := abstractor.config.language_width) != language_model.width:
        raise ConfigError(
            f"the abstractor writes soft tokens of width {given}; the language model reads "
            f"{language_model.width}."
        )
    return encoder, language_model


def open_diffusers(config: DiffusersConfig, place: Place) -> Drawer:
    """A pipeline of diffusers."""
    adapter = config.motion_adapter
    return DiffusersDrawer.from_pretrained(
        place.folder_or_hub(config.pipeline),
        device=place.device,
        dtype=DTYPES[config.dtype],
        config=config.options,
        motion_adapter=None if adapter is None else place.folder_or_hub(adapter),
    )


def open_safety(config: SafetyConfig, place: Place) -> SafetyFilter:
    """The filter of a checkpoint; the package's own policy where the checkpoint has no such folder."""
    if config == SafetyConfig() and not (place.file.parent / config.folder).is_dir():
        return SafetyFilter()
    return SafetyFilter.from_folder(place.folder(config.folder), place.device)


UNDERSTANDING: dict[str, Kind[Any, tuple[Encoder, LanguageModel]]] = {
    "native": Kind(NativeConfig, open_native),
}
"""Who reads the conversation and answers."""

GENERATION: dict[str, Kind[Any, Drawer | None]] = {
    "diffusers": Kind(DiffusersConfig, open_diffusers),
    "none": Kind(NothingConfig, lambda config, place: None),
}
"""Who draws."""

SAFETY: dict[str, Kind[Any, Safety]] = {
    "rules": Kind(SafetyConfig, open_safety),
}
"""Who watches the four doors."""


def load(path_or_name: str | Path | None = None) -> Assistant:
    """The assistant of a checkpoint directory or a config file; None is the embedded checkpoint.

    Raises `ConfigError` that names the file and the part.
    """
    file = find(path_or_name)
    config = AssistantConfig.of(file)
    device = _device(config.device, file)
    encoder, language_model = _open_kind("understanding", UNDERSTANDING, file, config, device)
    drawer = _open_kind("generation", GENERATION, file, config, device)
    safety = _open_kind("safety", SAFETY, file, config, device)
    return Assistant(encoder=encoder, language_model=language_model, drawer=drawer, safety=safety)


def _open_kind(
    part: str, kinds: dict[str, Kind[Any, P]], file: Path, config: AssistantConfig, device: str
) -> P:
    """Open a part by its `kind`, the first of the table unless told; other fields are those of the kind."""
    fields, file = config.fields(part, file)
    where = f"{file}: {part}"
    name = str(fields.pop("kind", next(iter(kinds))))
    if name not in kinds:
        close = difflib.get_close_matches(name, kinds, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else f" There is: {', '.join(kinds)}."
        raise ConfigError(f"{where}: there is no kind {name!r}.{hint}")
    chosen = read(kinds[name].config, fields, where)
    try:
        return kinds[name].open(chosen, Place(file, device))
    except ConfigError as error:
        raise ConfigError(f"{where}: {error.message}") from error
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:  # a file that is cut off, no memory
        raise ConfigError(f"{where}: cannot be opened: {error}") from error


def _device(name: str, file: Path) -> str:
    """The device that a config's word means. Raises `ConfigError` for one that is not here."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"{file}: device {name!r} is not here: {str(error).splitlines()[0]}") from error
    return name
