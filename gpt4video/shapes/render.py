"""A scene's frames: signed distances, anti-aliased, at any size, in many styles.

    render(scene)                                     16 frames, 64x64, 8 a second, the canonical look
    render(scene, times=..., width=..., style=...)    what other programs might have drawn

Shapes are signed distance functions of (x, y) in units of the object's radius, negative inside; a pixel's
coverage is its distance in pixels, clipped.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpt4video.shapes.foreign import paint
from gpt4video.shapes.world import BACKGROUNDS, COLORS, Scene

FPS = 8.0
NUM_FRAMES = 16
SIDE = 64

Array = NDArray[np.floating[Any]]


def _circle(x: Array, y: Array) -> Array:
    return np.hypot(x, y) - 1.0


def _square(x: Array, y: Array) -> Array:
    return np.maximum(np.abs(x), np.abs(y)) - 0.88


def _triangle(x: Array, y: Array) -> Array:
    # Corners at distance 1.2 from (0, 0.15); the flat side is down.
    y = y - 0.15
    return np.maximum(y, 0.8660254 * np.abs(x) - 0.5 * y) - 0.6


def _star(x: Array, y: Array) -> Array:
    # One fifth, mirrored: the edge from the tip (radius 1.2) to the notch (radius 0.52).
    turn = np.abs((np.arctan2(x, -y) + np.pi / 5) % (2 * np.pi / 5) - np.pi / 5)
    r = np.hypot(x, y)
    px, py = r * np.cos(turn), r * np.sin(turn)
    notch = 0.52 * np.array([np.cos(np.pi / 5), np.sin(np.pi / 5)])
    edge = notch - np.array([1.2, 0.0])
    normal = np.array([edge[1], -edge[0]]) / np.hypot(*edge)
    distance: Array = (px - 1.2) * np.float32(normal[0]) + py * np.float32(normal[1])
    return distance


def _cross(x: Array, y: Array) -> Array:
    a, b = np.abs(x), np.abs(y)
    return np.minimum(np.maximum(a - 1.0, b - 0.34), np.maximum(a - 0.34, b - 1.0))


def _ring(x: Array, y: Array) -> Array:
    return np.abs(np.hypot(x, y) - 0.77) - 0.25


OUTLINES: dict[str, Callable[[Array, Array], Array]] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
    "cross": _cross,
    "ring": _ring,
}


@dataclass(frozen=True)
class Style:
    """How a program might draw; the default is the canonical look."""

    palette: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    """Colours that differ from the canonical ones, 0 to 255."""
    softness: float = 1.0
    """Width of an edge, in pixels; 0 is jagged."""
    gradient: float = 0.0
    """Change of the background's brightness from one side to the other, 0 to 255."""
    gradient_angle: float = 0.0
    """Direction of that change, in radians."""
    noise: float = 0.0
    """Standard deviation of sensor noise, 0 to 255."""
    jpeg: int | None = None
    """Quality of a JPEG round trip, which leaves marks like those of a video codec; None leaves none."""
    outline: float = 0.0
    """Width of a dark line around objects, in units of their radius."""


def frame_times(duration: float, fps: float) -> NDArray[np.float64]:
    """When each frame of a video is shown, in seconds."""
    return np.arange(max(1, round(duration * fps)), dtype=np.float64) / fps


def render(
    scene: Scene,
    *,
    width: int = SIDE,
    height: int = SIDE,
    times: NDArray[np.float64] | None = None,
    style: Style | None = None,
    rng: np.random.Generator | None = None,
) -> NDArray[np.uint8]:
    """Frames (T, height, width, 3) at `times` (T,); without times, 8 a second for the scene's length."""
    style = style or Style()
    times = frame_times(scene.duration, FPS) if times is None else times
    side = min(width, height)
    if scene.foreign is not None:
        frames = paint(scene.foreign, times, width, height)
    else:
        frames = np.empty((len(times), height, width, 3), np.float32)
        frames[:] = np.array(style.palette.get(scene.background, BACKGROUNDS[scene.background]), np.float32)
    if style.gradient:
        ys, xs = np.mgrid[0:height, 0:width] / side - 0.5
        ramp = np.cos(style.gradient_angle) * xs + np.sin(style.gradient_angle) * ys
        frames += (style.gradient * ramp[None, :, :, None]).astype(np.float32)
    for thing in scene.things:
        state = thing.at(times, scene.duration)
        plain = np.array(style.palette.get(thing.color, COLORS[thing.color]), np.float32)
        second = thing.new_color or thing.color
        recolored = np.array(style.palette.get(second, COLORS[second]), np.float32)
        outline = OUTLINES[thing.shape]
        for t in np.flatnonzero(state.visible):
            radius = state.radius[t] * side
            cx, cy = state.x[t] * side + width / 2, state.y[t] * side + height / 2
            margin = radius * (1.25 + style.outline) + style.softness + 1
            x0, x1 = max(0, int(cx - margin)), min(width, int(cx + margin) + 2)
            y0, y1 = max(0, int(cy - margin)), min(height, int(cy + margin) + 2)
            if x0 >= x1 or y0 >= y1:
                continue
            dx = ((np.arange(x0, x1) + 0.5 - cx) / radius).astype(np.float32)[None, :]
            dy = ((np.arange(y0, y1) + 0.5 - cy) / radius).astype(np.float32)[:, None]
            cos, sin = np.float32(np.cos(state.angle[t])), np.float32(np.sin(state.angle[t]))
            distance = outline(cos * dx + sin * dy, cos * dy - sin * dx) * np.float32(radius)
            patch = frames[t, y0:y1, x0:x1]
            if style.outline:
                patch *= 1 - 0.8 * _coverage(distance - style.outline * radius, style.softness)
            cover = _coverage(distance, style.softness)
            color = recolored if state.recolored[t] else plain
            patch += cover * (color - patch)
    if style.noise:
        rng = rng or np.random.default_rng(0)
        frames += rng.standard_normal(frames.shape, dtype=np.float32) * np.float32(style.noise)
    result = np.clip(frames + 0.5, 0, 255).astype(np.uint8)
    return result if style.jpeg is None else np.stack([_jpeg(f, style.jpeg) for f in result])


def _coverage(distance: Array, softness: float) -> Array:
    """Share of each pixel that is inside, (h, w, 1), from distances in pixels."""
    if softness <= 0:
        return (distance < 0).astype(np.float32)[..., None]
    return np.clip(0.5 - distance / np.float32(softness), 0, 1)[..., None]


def _jpeg(frame: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer).convert("RGB"))


def sample_format(rng: np.random.Generator) -> tuple[float, int, int]:
    """Frames a second, width and height that a posted video might have."""
    fps = float(rng.choice([4, 5, 6, 8, 8, 8, 10, 12, 15, 24, 25, 30]))
    side = int(np.exp(rng.uniform(np.log(48), np.log(320))))
    ratio = 1.0 if rng.random() < 0.6 else float(np.exp(rng.uniform(np.log(9 / 16), np.log(16 / 9))))
    return fps, round(side * max(1.0, ratio)), round(side * max(1.0, 1 / ratio))


def sample_style(rng: np.random.Generator) -> Style:
    """A look that another program might give: shades, edges, backgrounds and codec marks vary."""
    if rng.random() < 0.2:
        return Style()
    palette = {}
    for name, rgb in {**COLORS, **BACKGROUNDS}.items():
        shade, spread = np.array(rgb, float), 22.0
        if name in BACKGROUNDS:
            # What people call navy is from a night's to the web's (0, 0, 128); grays have no hue to go by.
            spread = 12.0 if name == "navy" else 36.0
            shade *= rng.uniform(0.75, 1.75) if name == "navy" else 1.0
        gray = name in ("black", "white", "gray")
        jitter = rng.uniform(-spread, spread, 1) if gray else rng.uniform(-spread, spread, 3)
        palette[name] = tuple(np.clip(shade + jitter, 0, 255))
    return Style(
        palette=palette,
        softness=float(rng.choice([0.0, 1.0, 1.0, 2.0])),
        gradient=float(rng.uniform(0, 24)) if rng.random() < 0.3 else 0.0,
        gradient_angle=float(rng.uniform(0, 2 * np.pi)),
        noise=float(rng.uniform(1, 6)) if rng.random() < 0.4 else 0.0,
        jpeg=int(rng.integers(35, 95)) if rng.random() < 0.5 else None,
        outline=float(rng.uniform(0.05, 0.12)) if rng.random() < 0.1 else 0.0,
    )
