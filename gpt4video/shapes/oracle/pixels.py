"""From pixels to coverage: which palette colours a clip holds, and how much of every pixel each one covers.

A pixel on an anti-aliased edge is a mix, p = background + a (color - background). So colours are compared
along that line, not by nearness alone: the edge of a red object on white looks pink, but lies on red's line.

Suffixes: T frames, H and W pixels, K colours present, N pixels of a list.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpt4video.shapes.world import BACKGROUNDS, COLORS

SIDE = 64
"""Every clip is read at this length of the shorter side."""
FOREIGN = "?"
"""The colour of an object that no palette colour fits."""

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

_BACKGROUND_GATE = 42.0
_COLOR_GATE = 62.0
_FAR = 36.0
"""Distance in RGB from the background at which a pixel may belong to an object; purple on gray is 102."""
_GREY = np.full(3, 3**-0.5, np.float32)
_LUMA = 8.0
"""How much more brightness says of where an edge is than colour does: codecs halve the size of colour."""
_MIN_CORE = 8
"""Pixels well inside an object that a frame must hold before its colour counts."""


def reduced(frames: NDArray[np.uint8]) -> Floats:
    """Frames (T, H, W, 3) as float32 with a shorter side of SIDE, by area means."""
    height, width = frames.shape[1:3]
    factor, rest = divmod(min(height, width), SIDE)
    if rest == 0 and factor > 0 and height % factor == 0 and width % factor == 0:
        if factor == 1:
            return frames.astype(np.float32)
        h, w = height // factor, width // factor
        rows = frames.reshape(len(frames), h, factor, width * 3).sum(2, dtype=np.uint32)
        blocks = rows.reshape(len(frames), h, w, factor, 3)
        total = sum(blocks[:, :, :, i] for i in range(factor))
        return np.asarray(total, np.float32) / np.float32(factor**2)
    scale = SIDE / min(height, width)
    down, across = _areas(height, round(height * scale)), _areas(width, round(width * scale))
    return np.einsum("ah,thwc,bw->tabc", down, frames.astype(np.float32), across, optimize=True)


def _areas(source: int, target: int) -> Floats:
    """The (target, source) matrix of area means."""
    edges = np.arange(target + 1) * source / target
    cells = np.arange(source)
    overlap = np.minimum(edges[1:, None], cells + 1) - np.maximum(edges[:-1, None], cells)
    return (np.clip(overlap, 0, None) * target / source).astype(np.float32)


def background_of(frames: Floats) -> tuple[str | None, Floats]:
    """The background's name, None where no plain one shows, and its colour in each frame (T, 3)."""
    rim = np.concatenate(
        [
            frames[:, :2].reshape(len(frames), -1, 3),
            frames[:, -2:].reshape(len(frames), -1, 3),
            frames[:, 2:-2, :2].reshape(len(frames), -1, 3),
            frames[:, 2:-2, -2:].reshape(len(frames), -1, 3),
        ],
        axis=1,
    )
    per_frame = np.median(rim, axis=1).astype(np.float32)
    overall = np.median(per_frame, axis=0)
    names = list(BACKGROUNDS)
    distances = np.linalg.norm(np.array([BACKGROUNDS[n] for n in names]) - overall, axis=1)
    plain = np.mean(np.linalg.norm(rim - per_frame[:, None], axis=2) < 45) > 0.8
    steady = np.linalg.norm(per_frame - overall, axis=1).max() < _BACKGROUND_GATE
    nearest = int(np.argmin(distances))
    known = plain and steady and distances[nearest] < _BACKGROUND_GATE
    return (names[nearest] if known else None), per_frame


def grow(mask: Bools, by: int) -> Bools:
    """The mask (..., H, W) widened by `by` pixels on every side."""
    for _ in range(by):
        wide = mask.copy()
        wide[..., 1:, :] |= mask[..., :-1, :]
        wide[..., :-1, :] |= mask[..., 1:, :]
        mask = wide.copy()
        mask[..., :, 1:] |= wide[..., :, :-1]
        mask[..., :, :-1] |= wide[..., :, 1:]
    return mask


def _inside(mask: Bools) -> Bools:
    """Pixels whose four neighbours are in the mask too."""
    core = mask.copy()
    core[..., 1:, :] &= mask[..., :-1, :]
    core[..., :-1, :] &= mask[..., 1:, :]
    core[..., :, 1:] &= mask[..., :, :-1]
    core[..., :, :-1] &= mask[..., :, 1:]
    core[..., 0, :] = core[..., -1, :] = False
    core[..., :, 0] = core[..., :, -1] = False
    return core


def _costs(offset_N3: Floats, lines_K3: Floats, pale: float = 0.35) -> Floats:
    """How badly each colour explains each pixel (N, K), in RGB distance; both relative to the background.

    A pale pixel says less for a colour than a full one: `pale` is what it costs to be all background.
    """
    length = np.maximum((lines_K3**2).sum(1), 1.0)
    dot = offset_N3 @ lines_K3.T
    share = np.clip(dot / length, 0, 1)
    miss = ((offset_N3**2).sum(1)[:, None] - 2 * share * dot + share**2 * length).clip(0)
    costs: Floats = np.sqrt(miss + (pale * (1 - share)) ** 2 * length)
    return costs


def _full_shade(offset_N3: Floats) -> Floats:
    """The colour (3,) that pixels are mixed from with the background: their direction, and their fuller ones'
    distance; in thin and blurred objects most pixels are pale."""
    direction = offset_N3.sum(0, dtype=np.float64)
    direction /= max(float(np.linalg.norm(direction)), 1e-6)
    along = offset_N3 @ direction
    shade: Floats = (direction * np.quantile(along[along > 0.3 * along.max()], 0.8)).astype(np.float32)
    return shade


def color_of(offset: Floats, coverage: Floats, background: Floats) -> str:
    """The palette colour of one object, from all its pixels; FOREIGN where none fits or two do.

    Blur and chroma subsampling move colour about but lose none, so the sum over an object and its rim points
    from the background to the true colour even where no single pixel of a thin ring shows it.
    """
    where = grow(coverage > 0.3, 1)
    picked = offset[where]
    shade = _full_shade(picked)
    names = list(COLORS)
    palette = np.array([COLORS[n] for n in names], np.float32) - background
    costs = _costs(shade[None], palette, pale=0.15)[0]
    best, second = np.argsort(costs)[:2]
    strength = float(shade @ palette[best]) / max(float(palette[best] @ palette[best]), 1.0)
    fits = costs[best] < min(_COLOR_GATE, 0.85 * costs[second]) and strength > 0.55
    return names[best] if fits else FOREIGN


def layers_of(offset: Floats, background: Floats) -> Floats:
    """What each of the K colours of a clip covers, (K, T, H, W), 0 to 1; `offset` is frames less background.

    Pixels well inside objects vote; a colour that shows only on the rim of another is none.
    """
    far = np.einsum("thwc,thwc->thw", offset, offset) > _FAR**2
    core = _inside(far)
    picked = offset[core]
    if len(picked) == 0:
        return np.zeros((0, *core.shape), np.float32)
    palette = np.array(list(COLORS.values()), np.float32) - background
    costs = _costs(picked, palette)
    label = np.where(costs.min(1) < _COLOR_GATE, costs.argmin(1), len(palette))
    volume = np.full(core.shape, -1, np.int8)
    volume[core] = label
    totals = np.bincount(label, minlength=len(palette) + 1)
    free = core.copy()
    found: list[tuple[Floats, Bools]] = []
    for k in np.argsort(-totals):
        if totals[k] < _MIN_CORE:
            break
        own = volume == k
        left = own & free
        if np.sort(left.sum((1, 2)))[-2:].min() < _MIN_CORE:
            continue
        found.append((_full_shade(offset[left]), own))
        free &= ~grow(own, 2)
    return _unmixed(offset, found)


def _unmixed(offset: Floats, found: list[tuple[Floats, Bools]]) -> Floats:
    """Coverage of the colours found, each near its own core; where two are near, they share the pixel."""
    shape = offset.shape[:3]
    coverage = np.zeros((len(found), *shape), np.float32)
    near = np.stack([grow(own, 4) for _, own in found]) if found else np.zeros((0, *shape), np.bool_)
    lines = np.array([shade for shade, _ in found], np.float32).reshape(-1, 3)
    for k, line in enumerate(lines):
        sharp = line + _LUMA * (line @ _GREY) * _GREY
        coverage[k][near[k]] = np.clip(offset[near[k]] @ (sharp / max(float(line @ sharp), 1.0)), 0, 1)
    crowd = near.sum(0)
    if (crowd > 1).any():
        for i in range(len(lines)):
            for j in range(i + 1, len(lines)):
                both = near[i] & near[j] & (crowd == 2)
                coverage[i][both], coverage[j][both] = _shared(offset[both], lines[i], lines[j])
        many = crowd > 2
        winner = np.where(near[:, many].T, _costs(offset[many], lines), np.inf).argmin(1)
        for k in range(len(lines)):
            coverage[k][many] *= winner == k
    coverage[coverage < 0.08] = 0
    return coverage


def _shared(offset_N3: Floats, one: Floats, other: Floats) -> tuple[Floats, Floats]:
    """Shares of two colours in each pixel, least squares with both at least 0 and together at most 1."""
    aa, bb, ab = float(one @ one), float(other @ other), float(one @ other)
    pa, pb = offset_N3 @ one, offset_N3 @ other
    determinant = max(aa * bb - ab * ab, 1e-3)
    a, b = (bb * pa - ab * pb) / determinant, (aa * pb - ab * pa) / determinant
    a, b = np.where(b < 0, pa / aa, a), np.where(a < 0, pb / bb, b)
    a, b = a.clip(0, 1), b.clip(0, 1)
    full = a + b > 1
    edge = one - other
    on_edge = ((offset_N3 - other) @ edge / max(float(edge @ edge), 1.0)).clip(0, 1)
    return np.where(full, on_edge, a).astype(np.float32), np.where(full, 1 - on_edge, b).astype(np.float32)
