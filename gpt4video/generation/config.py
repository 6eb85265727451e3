"""What a pipeline draws best, as its makers write it down: `gpt4video.json` in the pipeline's folder.

Every field may be left out; what is left out is read from the pipeline's own defaults (`pipelines.py`).
Sizes here are those of the drawing; the file that people get is `enlarge` times as large.
"""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpt4video.config import read
from gpt4video.errors import ConfigError, InputError

SIDECAR = "gpt4video.json"


@dataclass(frozen=True)
class PreviewMap:
    """A linear map from a latent pixel to a colour: rgb = latent @ weights + bias, with rgb in 0 to 1."""

    weights: tuple[tuple[float, float, float], ...]
    """One row (red, green, blue) for each of the C latent channels."""
    bias: tuple[float, float, float] = (0.5, 0.5, 0.5)
    """The colour of a latent of zeros."""

    @classmethod
    def fit(cls, latents_NC: NDArray[np.floating], colours_N3: NDArray[np.floating]) -> PreviewMap:
        """The least-squares map over N latent pixels and the colours (0 to 1) they stand for."""
        ones_N1 = np.ones((len(latents_NC), 1))
        solution = np.linalg.lstsq(np.hstack([latents_NC, ones_N1]), colours_N3, rcond=None)[0]
        rows: list[tuple[float, float, float]] = [
            (round(float(r), 5), round(float(g), 5), round(float(b), 5)) for r, g, b in solution
        ]
        return cls(weights=tuple(rows[:-1]), bias=rows[-1])


@dataclass(frozen=True)
class DrawerConfig:
    """How one pipeline likes to be called. None means the pipeline's own default."""

    width: int | None = None
    """Native width of the drawing, in pixels."""
    height: int | None = None
    """Native height of the drawing, in pixels."""
    num_frames: int | None = None
    """Native number of frames."""
    fps: float | None = None
    """Frames a second."""
    steps: int | None = None
    """Denoising steps unless told."""
    max_steps: int = 100
    """Most denoising steps it will take."""
    stuck_seconds: float = 120.0
    """A drawing that is told to stop and has not by then counts as hanging, and the drawer as broken: longer
    than any step takes, the decoding at the end among them."""
    guidance: float | None = None
    """Classifier-free guidance scale unless told."""
    negative_prompt: str | None = None
    """What the drawing should keep away from."""
    enlarge: int = 1
    """Files are this many times as wide and as high as the drawing; every pixel is repeated."""
    sizes: tuple[tuple[int, int], ...] = ()
    """Other (width, height) it draws well, in pixels of the drawing."""
    lengths: tuple[int, ...] = ()
    """Other numbers of frames it draws well."""
    call: dict[str, Any] = field(default_factory=dict)
    """Other arguments of the pipeline's call, as they are (LTX: `decode_timestep`)."""
    preview: PreviewMap | None = None
    """From latents to colours, for the pictures shown while it draws; None shows none."""

    def __post_init__(self) -> None:
        for name in (
            "width",
            "height",
            "num_frames",
            "fps",
            "steps",
            "max_steps",
            "enlarge",
            "stuck_seconds",
        ):
            value = getattr(self, name)
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise InputError(f"{name} must be above 0, got {value}.", param=name)
        if (self.width is None) != (self.height is None):
            raise InputError(f"width and height come together, got {self.width} and {self.height}.")
        if any(n < 1 for n in self.lengths) or any(min(size) < 1 for size in self.sizes):
            raise InputError(f"lengths and sizes must be above 0, got {self.lengths} and {self.sizes}.")
        if self.steps is not None and self.steps > self.max_steps:
            raise InputError(f"steps must be at most max_steps, got {self.steps} and {self.max_steps}.")

    @classmethod
    def of_folder(cls, folder: Path) -> DrawerConfig:
        """The sidecar of a pipeline's folder; all defaults where it has none. Raises `ConfigError`."""
        path = folder / SIDECAR
        if not path.is_file():
            return cls()
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ConfigError(f"{path} is not JSON: {error}") from error
        return read(cls, data, where=str(path))

    def write(self, folder: Path) -> None:
        """Write the sidecar, without the fields that are left to the pipeline."""
        fields = {
            name: value for name, value in dataclasses.asdict(self).items() if value not in (None, (), {})
        }
        (folder / SIDECAR).write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")
