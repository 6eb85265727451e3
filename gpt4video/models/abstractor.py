"""The abstractor: the patch tokens of a video's frames in, a few soft tokens for the language model out.

    patches (B, T, N, C)  --norm, differences-->  project + place(n) + time(t)  -->  memory (B, T*N, D)
    queries = [Q spatial ; Q temporal], learned
    several times:  queries += attend(queries, [queries ; memory]);  queries += mlp(queries)
    out = [ W_s(spatial) + W_t(temporal) ; end vector ]                              (B, Q + 1, L)

After GPT4Video (arXiv 2311.16511), whose spatio-temporal tokens these are, built on mPLUG-Owl's abstractor
(arXiv 2304.14178): keys and values are the queries and all tokens of all frames together. Two things are
ours. Every token is told its true time in seconds, so that frames need not be evenly spaced. And with
`frame_differences` every token also carries what changed at its place since the frame before: where a thing
is can be read from one token, how it moves only from two together, which a few small layers are slow to find.
Suffixes: B batch, T frames, N patches, M = T*N, C encoder width, Q queries, D width, L language model width.
"""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from gpt4video import config as configs
from gpt4video.errors import ConfigError, InputError
from gpt4video.models.mlp import GatedMLP

CONFIG_NAME, WEIGHTS_NAME = "config.json", "model.safetensors"


@dataclass(frozen=True)
class AbstractorConfig:
    """What an `Abstractor` is made of. Saved as `config.json` beside the weights."""

    encoder_width: int = 192
    """C, the width of the encoder's patch tokens."""
    grid: tuple[int, int] = (8, 8)
    """Rows and columns of patches in a frame; N is their product."""
    language_width: int = 256
    """L, the width of the language model's embeddings."""
    width: int = 256
    """D, the width inside."""
    num_layers: int = 3
    """How many times the queries attend."""
    num_heads: int = 4
    """Attention heads of a layer."""
    num_queries: int = 16
    """Q spatial and as many temporal queries; a video becomes Q + 1 soft tokens. The paper has 64."""
    mlp_width: int = 704
    """Width inside each SwiGLU MLP; 8/3 of the width costs what a plain MLP of four widths costs."""
    time_bands: int = 16
    """Sines and cosines a time is written in."""
    shortest_period: float = 0.25
    """Period of the fastest of them, in seconds: about two frames of a fast video."""
    longest_period: float = 256.0
    """Period of the slowest, in seconds: times up to a quarter of it grow steadily in that band."""
    frame_differences: bool = True
    """Whether every token also carries the change since the frame before, and over how many seconds."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int) and not isinstance(value, bool) and value < 1:
                raise ConfigError(f"{field.name} must be at least 1, got {value}.")
        if self.width % self.num_heads:
            fits = max(1, round(self.width / self.num_heads)) * self.num_heads
            raise ConfigError(
                f"width must be a multiple of num_heads, got {self.width} and {self.num_heads}; "
                f"the nearest width that fits is {fits}."
            )
        if not 0 < self.shortest_period < self.longest_period:
            raise ConfigError(
                f"shortest_period must be above 0 and below longest_period, got {self.shortest_period} and "
                f"{self.longest_period}."
            )


class TimeEmbedding(nn.Module):
    """Seconds to vectors: sines and cosines of many periods, then a small MLP."""

    def __init__(self, config: AbstractorConfig) -> None:
        super().__init__()
        self.config = config
        features = 2 * config.time_bands * (2 if config.frame_differences else 1)
        self.up = nn.Linear(features, config.width)
        self.down = nn.Linear(config.width, config.width)

    def forward(self, times_BT: Tensor, steps_BT: Tensor) -> Tensor:
        """Times and seconds since the frame before, each (B, T), to (B, T, D)."""
        features = self.waves(times_BT)
        if self.config.frame_differences:
            # A change says how fast only beside the time it took.
            features = torch.cat((features, self.waves(steps_BT)), dim=-1)
        out: Tensor = self.down(nn.functional.silu(self.up(features.to(self.up.weight.dtype))))
        return out

    def waves(self, seconds_BT: Tensor) -> Tensor:
        """(B, T) seconds to (B, T, 2 * bands) sines and cosines, in 32 bits or more."""
        exact = torch.promote_types(seconds_BT.dtype, torch.float32)
        steps = torch.linspace(0, 1, self.config.time_bands, device=seconds_BT.device, dtype=exact)
        ratio = self.config.longest_period / self.config.shortest_period
        periods = self.config.shortest_period * ratio**steps
        angles = 2 * math.pi * seconds_BT.to(exact)[..., None] / periods
        return torch.cat((angles.sin(), angles.cos()), dim=-1)


class CrossLayer(nn.Module):
    """queries += attend(queries, [queries ; memory]); queries += mlp(queries); both pre-norm."""

    def __init__(self, config: AbstractorConfig) -> None:
        super().__init__()
        width = config.width
        self.num_heads = config.num_heads
        self.query_norm, self.memory_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width, bias=False)  # a bias of the keys cancels in the softmax
        self.v_proj = nn.Linear(width, width)
        self.o_proj = nn.Linear(width, width)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = GatedMLP(width, config.mlp_width)

    def forward(self, queries: Tensor, memory_BMD: Tensor, readable: Tensor | None) -> Tensor:
        """Queries (B, 2Q, D) after reading; `readable` (B, 1, 1, 2Q + M) is True where a key may be read."""
        normed = self.query_norm(queries)
        sources = torch.cat((normed, self.memory_norm(memory_BMD)), dim=1)
        read = nn.functional.scaled_dot_product_attention(
            self.heads(self.q_proj(normed)),
            self.heads(self.k_proj(sources)),
            self.heads(self.v_proj(sources)),
            attn_mask=readable,
        )
        queries = queries + self.o_proj(read.transpose(1, 2).flatten(2))
        out: Tensor = queries + self.mlp(self.mlp_norm(queries))
        return out

    def heads(self, x: Tensor) -> Tensor:
        """(B, S, D) to (B, heads, S, D / heads)."""
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)


class Abstractor(nn.Module):
    """Patch tokens of all frames to Q + 1 soft tokens, whatever the number of frames."""

    def __init__(self, config: AbstractorConfig) -> None:
        super().__init__()
        self.config = config
        rows, columns = config.grid
        self.patch_norm = nn.LayerNorm(config.encoder_width)
        inputs = config.encoder_width * (2 if config.frame_differences else 1)
        self.patch_proj = nn.Linear(inputs, config.width)
        self.row = nn.Parameter(torch.randn(rows, 1, config.width) * 0.5)
        self.column = nn.Parameter(torch.randn(1, columns, config.width) * 0.5)
        self.time = TimeEmbedding(config)
        self.queries = nn.Parameter(torch.randn(2 * config.num_queries, config.width))
        self.layers = nn.ModuleList(CrossLayer(config) for _ in range(config.num_layers))
        self.norm = nn.LayerNorm(config.width)
        self.spatial_proj = nn.Linear(config.width, config.language_width)
        self.temporal_proj = nn.Linear(config.width, config.language_width)
        self.end = nn.Parameter(torch.randn(config.language_width))

    @property
    def num_tokens(self) -> int:
        """Q + 1, how many soft tokens stand for a video."""
        return self.config.num_queries + 1

    def forward(self, patches_BTNC: Tensor, times_BT: Tensor, mask_BT: Tensor | None = None) -> Tensor:
        """(B, T, N, C) patch tokens of frames at `times_BT` seconds to soft tokens (B, Q + 1, L).

        `mask_BT` is True where there is a frame; clips with fewer frames than others of their batch fill up
        with anything at all. Raises `InputError` when the shapes do not fit.
        """
        self._check(patches_BTNC, times_BT, mask_BT)
        memory_BMD = self.memory(patches_BTNC, times_BT, mask_BT)
        count, num_patches = self.queries.shape[0], patches_BTNC.shape[2]
        readable = None
        if mask_BT is not None:
            frames = mask_BT.bool().repeat_interleave(num_patches, dim=1)
            readable = nn.functional.pad(frames, (count, 0), value=True)[:, None, None]
        queries = self.queries.expand(patches_BTNC.shape[0], -1, -1)
        for layer in self.layers:
            queries = layer(queries, memory_BMD, readable)
        spatial, temporal = self.norm(queries).chunk(2, dim=1)
        soft_BQL = self.spatial_proj(spatial) + self.temporal_proj(temporal)
        end_B1L = self.end.to(soft_BQL.dtype).expand(len(soft_BQL), 1, -1)
        return torch.cat((soft_BQL, end_B1L), dim=1)

    def memory(self, patches_BTNC: Tensor, times_BT: Tensor, mask_BT: Tensor | None) -> Tensor:
        """What the queries read: every patch with its place, its time and its change, (B, T * N, D)."""
        x = self.patch_norm(patches_BTNC.to(self.patch_norm.weight.dtype))
        if mask_BT is not None:  # whatever fills a clip up, nan included, must not reach a sum
            x = x.masked_fill(~mask_BT.bool()[..., None, None], 0)
            times_BT = times_BT.masked_fill(~mask_BT.bool(), 0)
        steps_BT = nn.functional.pad(times_BT.diff(dim=1), (1, 0))
        if self.config.frame_differences:
            changes = nn.functional.pad(x.diff(dim=1), (0, 0, 0, 0, 1, 0))
            if mask_BT is not None:  # a frame after a gap has nothing before it
                follows = nn.functional.pad(mask_BT[:, 1:].bool() & mask_BT[:, :-1].bool(), (1, 0))
                changes = changes * follows[..., None, None]
                steps_BT = steps_BT * follows
            x = torch.cat((x, changes), dim=-1)
        place_ND = (self.row + self.column).flatten(0, 1)
        tokens_BTND = self.patch_proj(x) + place_ND + self.time(times_BT, steps_BT)[:, :, None]
        return tokens_BTND.flatten(1, 2)

    def _check(self, patches_BTNC: Tensor, times_BT: Tensor, mask_BT: Tensor | None) -> None:
        num_patches = math.prod(self.config.grid)
        shape = tuple(patches_BTNC.shape)
        if len(shape) != 4 or shape[2:] != (num_patches, self.config.encoder_width):
            raise InputError(
                f"patches must be (B, T, {num_patches}, {self.config.encoder_width}), got {shape}."
            )
        for name, value in (("times", times_BT), ("mask", mask_BT)):
            if value is not None and value.shape != shape[:2]:
                raise InputError(f"{name} must be (B, T) = {shape[:2]}, got {tuple(value.shape)}.")

    def save_pretrained(self, path: str | Path) -> None:
        """Write `config.json` and `model.safetensors` into a folder."""
        path = Path(path)
        path.mkdir(parents=True, exist_ok=True)
        text = json.dumps(dataclasses.asdict(self.config), indent=2)
        (path / CONFIG_NAME).write_text(text + "\n", encoding="utf-8")
        weights = {name: value.detach().contiguous().cpu() for name, value in self.state_dict().items()}
        save_file(weights, path / WEIGHTS_NAME, metadata={"format": "pt"})

    @classmethod
    def from_pretrained(cls, path: str | Path) -> Abstractor:
        """Open such a folder, ready for inference. Raises `ConfigError` where it is incomplete."""
        path = Path(path)
        for name in (CONFIG_NAME, WEIGHTS_NAME):
            if not (path / name).is_file():
                raise ConfigError(f"{path} is not an abstractor: it has no {name}.")
        try:
            fields: Any = json.loads((path / CONFIG_NAME).read_text(encoding="utf-8"))
        except ValueError as error:
            raise ConfigError(f"{path / CONFIG_NAME} is not JSON: {error}") from error
        abstractor = cls(configs.read(AbstractorConfig, fields, where=str(path / CONFIG_NAME)))
        try:
            abstractor.load_state_dict(load_file(path / WEIGHTS_NAME))
        except RuntimeError as error:
            raise ConfigError(f"{path / WEIGHTS_NAME} does not fit its config: {error}") from error
        return abstractor.eval()
