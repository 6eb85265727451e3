"""Where an assistant is described: `assistant.yaml` in a checkpoint, or a config file of one's own.

    assistant.yaml                                       a config of your own
        format_version: 1                                    checkpoint: embedded
        understanding: {kind: native, clip: clip, …}         generation: {kind: diffusers, pipeline: org/name}
        generation: {kind: diffusers, pipeline: pipeline}
        safety: {folder: safety}

Both are the same kind of file. `checkpoint` names one whose parts are taken where the file has none of its
own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpt4video.config import read, read_yaml, resolve
from gpt4video.errors import ConfigError

EMBEDDED = Path(__file__).parent / "embedded"
"""The checkpoint inside the package."""
FILE_NAME = "assistant.yaml"
FORMAT_VERSION = 1
PARTS = ("understanding", "generation", "safety")
"""What an assistant is made of, as its description names it."""


@dataclass(frozen=True)
class AssistantConfig:
    """The fields of `assistant.yaml`. A part's own fields are those of its kind."""

    format_version: int = FORMAT_VERSION
    """Version of this file's format."""
    name: str = "gpt4video"
    """What the checkpoint calls itself."""
    checkpoint: str | None = None
    """A checkpoint whose parts are taken where this file has none: a folder, or `embedded`."""
    device: str = "auto"
    """Where everything runs: cpu, cuda, cuda:1, mps …; auto is cuda where there is one, else cpu."""
    understanding: dict[str, Any] | None = None
    """Who reads the conversation and answers: `kind`, and the fields of that kind."""
    generation: dict[str, Any] | None = None
    """Who draws: `kind`, and the fields of that kind."""
    safety: dict[str, Any] | None = None
    """The filter at the four doors."""
    training: dict[str, Any] | None = None
    """What `gpt4video train` reads; serving does not."""
    evaluation: dict[str, Any] | None = None
    """What `gpt4video evaluate` reads; serving does not."""

    def __post_init__(self) -> None:
        if self.format_version != FORMAT_VERSION:
            raise ConfigError(
                f"format_version must be {FORMAT_VERSION}, got {self.format_version}; a newer gpt4video may "
                "know it."
            )

    @classmethod
    def of(cls, file: Path) -> AssistantConfig:
        """Read a description. Raises `ConfigError`."""
        return read(cls, read_yaml(file), where=str(file))

    def fields(self, part: str, file: Path, seen: tuple[Path, ...] = ()) -> tuple[dict[str, Any], Path]:
        """The fields of one part, and the file they stand in: this one, or that of its `checkpoint`.

        `file` is this very file, `seen` those that led to it.
        """
        if (fields := getattr(self, part)) is not None:
            return dict(fields), file
        if self.checkpoint is None:
            if part == "safety":  # leaving it out does not switch it off
                return {}, file
            raise ConfigError(f"{file}: has no {part!r}, and no 'checkpoint' to take it from.")
        beside = file.parent / Path(self.checkpoint).expanduser()
        base = find(beside if beside.is_dir() else self.checkpoint)
        seen = (*seen, file.resolve())
        if base.resolve() in seen:
            raise ConfigError(f"{file}: 'checkpoint' leads back to {base}.")
        return AssistantConfig.of(base).fields(part, base, seen)


def find(path_or_name: str | Path | None = None) -> Path:
    """The file that describes an assistant: of a folder, of a config's path or name, or the embedded one."""
    embedded = path_or_name is None or str(path_or_name) == EMBEDDED.name
    path = EMBEDDED if embedded else resolve(str(Path(str(path_or_name)).expanduser()))
    file = path / FILE_NAME if path.is_dir() or embedded else path
    if not file.is_file():
        raise ConfigError(f"{path} is not a checkpoint: it has no {FILE_NAME}.")
    return file
