"""Videos of anything else: what people post to a model that knows shapes, and it must not describe.

    sample_foreign(rng, part)                     which kind, and a seed
    paint(foreign, times, width, height)          its frames, (T, height, width, 3) floats from 0 to 255

No pictures of the real world are at hand, so these have what such pictures have and shapes on a plain ground
have not: texture everywhere, many things, soft light, a camera that moves. As with triples, some kinds are
seen in validation alone and others in test alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Rng = np.random.Generator
Array = NDArray[np.floating[Any]]

SIDE = 72
"""Shorter side at which a kind is painted before it is enlarged, in pixels."""
RATE = 8.0
"""Changes a second of what has no motion between two of them."""


@dataclass(frozen=True)
class Foreign:
    """A kind of video and the seed of one."""

    kind: str
    seed: int


def _colors(rng: Rng, count: int) -> Array:
    """Colours (count, 3), from a narrow range of brightness or from a wide one."""
    low = rng.uniform(0, 120)
    return rng.uniform(low, rng.uniform(low + 60, 256), (count, 3))


def _octaves(rng: Rng, height: int, width: int, rough: float) -> Array:
    """Fractal noise (height, width) of zero mean and unit range: the sum of random fields, coarse to fine."""
    total = np.zeros((height, width))
    cells, weight = 2, 1.0
    while cells <= max(height, width):
        grid = rng.standard_normal((cells + 1, cells + 1)).astype(np.float32)
        field = Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC)
        total += weight * np.asarray(field)
        cells, weight = cells * 2, weight * rough
    total -= total.mean()
    scaled: Array = total / (np.abs(total).max() + 1e-6)
    return scaled


def _ramp(field: Array, colors: Array) -> Array:
    """Colours (..., 3) of a field from -1 to 1, between those given."""
    places = np.linspace(-1, 1, len(colors))
    return np.stack([np.interp(field, places, colors[:, c]) for c in range(3)], -1)


def _pan(rng: Rng, picture: Array, seconds: Array, height: int, width: int) -> Array:
    """A camera that glides over a picture which is larger than the frame."""
    free_y, free_x = picture.shape[0] - height, picture.shape[1] - width
    start, speed = rng.uniform(0, 1, 2), rng.uniform(-0.35, 0.35, 2)
    frames = []
    for t in seconds:
        y, x = (abs((p + v * t + 1) % 2 - 1) for p, v in zip(start, speed, strict=True))
        top, left = round(y * free_y), round(x * free_x)
        frames.append(picture[top : top + height, left : left + width])
    return np.stack(frames)


def clouds(rng: Rng, seconds: Array, height: int, width: int) -> Array:
    """Smoke, marble, foliage, by roughness."""
    field = _octaves(rng, 2 * height, 2 * width, rng.uniform(0.4, 0.95))
    return _pan(rng, _ramp(field, _colors(rng, int(rng.integers(2, 6)))), seconds, height, width)


def landscape(rng: Rng, seconds: Array, height: int, width: int) -> Array:
    """Light above, a rough skyline, texture below."""
    tall, wide = round(1.2 * height), 2 * width
    sky, ground = _colors(rng, 2), _colors(rng, 3)
    picture = sky[0] + (sky[1] - sky[0]) * np.linspace(0, 1, tall)[:, None, None] + np.zeros((1, wide, 1))
    for layer in range(int(rng.integers(1, 4))):
        line = tall * (0.35 + 0.2 * layer) + tall * 0.2 * _octaves(rng, 2, wide, 0.6)[0]
        below = np.arange(tall)[:, None] > line[None]
        texture = _ramp(_octaves(rng, tall, wide, rng.uniform(0.5, 0.9)), ground) * rng.uniform(0.5, 1)
        picture = np.where(below[..., None], texture, picture)
    return _pan(rng, picture, seconds, height, width)


def static(rng: Rng, seconds: Array, height: int, width: int) -> Array:
    """Noise of a screen without a programme, in grains of any size, gray or coloured."""
    grain = int(rng.integers(1, 9))
    channels = 1 if rng.random() < 0.5 else 3
    base, spread, seed = rng.uniform(60, 200), rng.uniform(40, 120), int(rng.integers(2**31))
    frames = []
    for t in seconds:
        frame = np.random.default_rng([seed, round(t * RATE)])
        cells = frame.normal(base, spread, (-(-height // grain), -(-width // grain), channels))
        frames.append(cells.repeat(grain, 0).repeat(grain, 1)[:height, :width] + np.zeros(3))
    return np.stack(frames)


def collage(rng: Rng, seconds: Array, height: int, width: int) -> Array:
    """Many overlapping things that drift: a crowd, a desk, traffic."""
    y, x = np.mgrid[:height, :width] / height
    ratio, count = width / height, int(rng.integers(6, 26))
    ground = _colors(rng, count + 2)
    first = _ramp(_octaves(rng, height, width, 0.7), ground[:2]) if rng.random() < 0.6 else ground[0]
    frames = np.zeros((len(seconds), height, width, 3)) + first
    for color in ground[2:]:
        cx, cy, turn = rng.uniform(0, ratio), rng.uniform(0, 1), rng.uniform(0, np.pi)
        vx, vy = rng.normal(0, 0.12, 2)
        a, b, power = rng.uniform(0.04, 0.3), rng.uniform(0.04, 0.3), rng.choice([1.0, 2.0, 8.0])
        for frame, t in zip(frames, seconds, strict=True):
            dx, dy = x - cx - vx * t, y - cy - vy * t
            u, v = np.cos(turn) * dx + np.sin(turn) * dy, np.cos(turn) * dy - np.sin(turn) * dx
            inside = np.abs(u / a) ** power + np.abs(v / b) ** power < 1
            frame[inside] = color * (0.85 + 0.3 * (v / b))[inside][:, None] if power == 2 else color
    return frames


def waves(rng: Rng, seconds: Array, height: int, width: int) -> Array:
    """Stripes, plaid and plasma that move."""
    y, x = np.mgrid[:height, :width] / height
    field = np.zeros((len(seconds), height, width))
    for _ in range(int(rng.integers(1, 5))):
        fx, fy = rng.normal(0, 5, 2)
        phase = (
            2 * np.pi * (fx * x + fy * y) + rng.uniform(0, 6) + rng.uniform(-6, 6) * seconds[:, None, None]
        )
        field += np.sign(np.sin(phase)) if rng.random() < 0.3 else np.sin(phase)
    return _ramp(field / np.abs(field).max(), _colors(rng, int(rng.integers(2, 5))))


def bars(rng: Rng, seconds: Array, height: int, width: int) -> Array:
    """Upright or level bars side by side, as test pictures have them, at times running."""
    count, shift = int(rng.integers(4, 13)), rng.uniform(-0.5, 0.5) * (rng.random() < 0.5)
    colors, upright = _colors(rng, count), rng.random() < 0.6
    along = (np.arange(width) / width)[None, :] if upright else (np.arange(height) / height)[:, None]
    frames = []
    for t in seconds:
        row = colors[((along + shift * t) % 1 * count).astype(int) % count]
        frames.append(np.broadcast_to(row, (height, width, 3)))
    return np.stack(frames)


def text(rng: Rng, seconds: Array, height: int, width: int) -> Array:
    """Lines of small marks, as of a page or a screen of words, that scroll."""
    cell = int(rng.integers(2, 5))
    rows, columns = 4 * height // cell, width // cell + 1
    ink = (rng.random((rows, columns)) < 0.5) & (np.arange(rows) % 4 < 3)[:, None]
    ink &= np.arange(columns)[None] < rng.uniform(0.4, 1, (rows // 4 + 1, 1)).repeat(4, 0)[:rows] * columns
    page, words = _colors(rng, 2)
    picture = np.where(ink.repeat(cell, 0).repeat(cell, 1)[:, :width, None], words, page)
    speed = rng.uniform(0, 0.4) * height
    return np.stack([picture[round(speed * t) :][:height] for t in seconds])


def glow(rng: Rng, seconds: Array, height: int, width: int) -> Array:
    """Soft lights without edges: a lens, a lamp, water."""
    y, x = np.mgrid[:height, :width] / height
    frames = np.zeros((len(seconds), height, width, 3)) + rng.uniform(0, 160, 3)
    for color in rng.uniform(-160, 220, (int(rng.integers(2, 9)), 3)):
        cx, cy, r = rng.uniform(0, width / height), rng.uniform(0, 1), rng.uniform(0.1, 0.6)
        vx, vy = rng.normal(0, 0.15, 2)
        dx, dy = x - cx - vx * seconds[:, None, None], y - cy - vy * seconds[:, None, None]
        frames += np.exp(-(dx**2 + dy**2) / (2 * r**2))[..., None] * color
    return frames


def face(rng: Rng, seconds: Array, height: int, width: int) -> Array:
    """One large round thing before a blurred room, with smaller ones inside it: a head, a cup, an animal."""
    y, x = np.mgrid[:height, :width] / height
    room = _pan(
        rng, _ramp(_octaves(rng, 2 * height, 2 * width, 0.5), _colors(rng, 4)), seconds, height, width
    )
    skin = _ramp(_octaves(rng, height, width, 0.6), _colors(rng, 2))
    cx, cy, r = rng.uniform(0.35, 0.65) * width / height, rng.uniform(0.4, 0.6), rng.uniform(0.25, 0.42)
    parts = [(rng.uniform(-0.5, 0.5), rng.uniform(-0.5, 0.5), rng.uniform(0.08, 0.25)) for _ in range(4)]
    inks, sway = _colors(rng, len(parts)), rng.uniform(0, 0.06)
    for frame, t in zip(room, seconds, strict=True):
        dx, dy = (x - cx - sway * np.sin(3 * t)) / r, (y - cy) / (1.25 * r)
        frame[dx**2 + dy**2 < 1] = skin[dx**2 + dy**2 < 1]
        for (u, v, size), ink in zip(parts, inks, strict=True):
            frame[(dx - u) ** 2 + (dy - v) ** 2 < size**2] = ink
    return room


def mosaic(rng: Rng, seconds: Array, height: int, width: int) -> Array:
    """Cells around points that wander, each of its colour."""
    y, x = np.mgrid[:height, :width] / height
    count = int(rng.integers(8, 40))
    px, py = rng.uniform(0, width / height, count), rng.uniform(0, 1, count)
    vx, vy, colors = rng.normal(0, 0.1, count), rng.normal(0, 0.1, count), _colors(rng, count)
    frames = []
    for t in seconds:
        far = (x[..., None] - px - vx * t) ** 2 + (y[..., None] - py - vy * t) ** 2
        frames.append(colors[far.argmin(-1)])
    return np.stack(frames)


def fractal(rng: Rng, seconds: Array, height: int, width: int) -> Array:
    """A Julia set, closer and closer."""
    y, x = np.mgrid[:height, :width] / height - 0.5
    c = 0.7885 * np.exp(1j * rng.uniform(0, 2 * np.pi))
    colors, frames = _colors(rng, 6), []
    for t in seconds:
        z = (x + 1j * y) * 3 * 0.85**t
        steps = np.zeros(z.shape)
        for _ in range(24):
            inside = np.abs(z) < 4
            z = np.where(inside, z**2 + c, z)
            steps += inside
        frames.append(_ramp(steps / 12 - 1, colors))
    return np.stack(frames)


def life(rng: Rng, seconds: Array, height: int, width: int) -> Array:
    """Conway's game."""
    cell = int(rng.integers(2, 6))
    alive = rng.random((-(-height // cell), -(-width // cell))) < 0.35
    colors, frames, ticks = _colors(rng, 2), {}, [round(t * RATE) for t in seconds]
    for tick in range(max(ticks) + 1):
        frames[tick] = colors[alive.astype(int)].repeat(cell, 0).repeat(cell, 1)[:height, :width]
        around = sum(
            np.roll(alive, (dy, dx), (0, 1)).astype(int) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dx or dy
        )
        alive = (around == 3) | (alive & (around == 2))
    return np.stack([frames[tick] for tick in ticks])


PAINTERS: dict[str, Callable[[Rng, Array, int, int], Array]] = {
    f.__name__: f
    for f in (clouds, landscape, static, collage, waves, bars, text, glow, face, mosaic, fractal, life)
}
KINDS: dict[str, tuple[str, ...]] = {
    "training": ("clouds", "landscape", "static", "collage", "waves", "bars", "text", "glow", "face"),
    "validation": ("mosaic",),
    "test": ("fractal", "life"),
}
"""What each part shows."""


def sample_foreign(rng: Rng, part: str) -> Foreign:
    """A video that shows no shapes."""
    kinds = KINDS[part]
    return Foreign(kinds[int(rng.integers(len(kinds)))], int(rng.integers(2**31)))


def paint(foreign: Foreign, times: NDArray[np.float64], width: int, height: int) -> NDArray[np.float32]:
    """Frames (T, height, width, 3) at `times` (T,) in seconds, from 0 to 255 or a little beyond."""
    scale = min(1.0, SIDE / min(width, height))
    small = max(8, round(width * scale)), max(8, round(height * scale))
    frames = PAINTERS[foreign.kind](np.random.default_rng(foreign.seed), times, small[1], small[0])
    frames = np.clip(frames, 0, 255).astype(np.uint8)
    pictures = [Image.fromarray(f).resize((width, height), Image.Resampling.BICUBIC) for f in frames]
    return np.stack([np.asarray(p) for p in pictures]).astype(np.float32)
