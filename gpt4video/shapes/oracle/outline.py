"""From coverage to shape: an object in polar coordinates about its own centre, against a bank of outlines.

Everything is measured in units of the radius of a disc of the same area, so one bank serves all sizes: the
renderer's outlines, turned in steps, more and less blurred. The best outline over all frames is the shape;
its turn in each frame is the angle.

Suffixes: T frames, R radii, A directions, B outlines of the bank.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from gpt4video.shapes.oracle.pixels import Bools, Floats
from gpt4video.shapes.render import OUTLINES
from gpt4video.shapes.world import SHAPES

_RADII = ((np.arange(12) + 0.5) * 1.74 / 12).astype(np.float32)
_DIRECTIONS = (np.arange(60) * 2 * np.pi / 60).astype(np.float32)
_BLURS = (0.05, 0.12, 0.19, 0.27)
"""Gaussian blurs in the bank, in units of the disc's radius: a pixel's own on a large object is 0.03, two
pixels on a small one 0.27."""
_SCALES = (0.92, 1.0, 1.08)
"""Radii in the bank: blur takes the full colour from thin objects, which then seem to cover more."""
_STEP = np.radians(4.5)
_GRAIN = 0.025
"""Spacing of the grid on which the bank is drawn."""
SYMMETRY: dict[str, float] = {
    "circle": 0.0,
    "square": np.pi / 2,
    "triangle": 2 * np.pi / 3,
    "star": 2 * np.pi / 5,
    "cross": np.pi / 2,
    "ring": 0.0,
}
"""Turn after which an outline looks the same; 0 where every turn does."""


@dataclass(frozen=True)
class Bank:
    """Outlines to compare with: patterns (B, R*A) times the root of their area element, and what they are."""

    patterns: Floats
    energy: Floats
    span: tuple[tuple[int, int], ...]
    """Where each shape's patterns begin and end."""
    angle: NDArray[np.float64]
    zoom: NDArray[np.float64]
    weight: Floats
    """Root of the area element of each sample (R*A,)."""
    scale: dict[str, float]
    """Radius of a shape over that of the disc of its area."""
    center: dict[str, tuple[float, float]]
    """Centre of mass of a shape, in units of its radius."""


@dataclass(frozen=True)
class Fit:
    """How an object was read: misfit from 0 and angle for each shape (T, shapes), centre and radius."""

    misfit: NDArray[np.float64]
    angle: NDArray[np.float64]
    zoom: NDArray[np.float64]
    """What the radius of the disc is to be multiplied by, for each shape (T, shapes)."""
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    disc: NDArray[np.float64]
    """Radius of the disc of the same area, in pixels (T,)."""


@cache
def bank() -> Bank:
    """The outlines of all shapes about their centres of mass, at unit disc radius."""
    axis = (np.arange(-96, 96) + 0.5) * _GRAIN
    xs, ys = np.meshgrid(axis, axis)
    weight = np.sqrt(np.repeat(_RADII, len(_DIRECTIONS)))
    patterns: list[Floats] = []
    spans, angles, scales = [], [], []
    scale, center = {}, {}
    for name in SHAPES:
        begin = len(patterns)
        distance = OUTLINES[name](xs, ys)
        inside = np.clip(0.5 - distance / _GRAIN, 0, 1)
        area = float(inside.sum()) * _GRAIN**2
        disc = float(np.sqrt(area / np.pi))
        mx, my = (float((inside * side).sum()) * _GRAIN**2 / area for side in (xs, ys))
        scale[name], center[name] = 1 / disc, (mx, my)
        symmetry = SYMMETRY[name]
        blurred = [_blurred(inside, blur * disc / _GRAIN) for blur in _BLURS]
        for angle in np.arange(0, symmetry - 1e-6, _STEP) if symmetry else np.zeros(1):
            turned = _DIRECTIONS[None, :] - angle
            for size in _SCALES:
                unit = disc / size
                px = ((_RADII[:, None] * np.cos(turned) * unit + mx) / _GRAIN + 95.5).ravel()
                py = ((_RADII[:, None] * np.sin(turned) * unit + my) / _GRAIN + 95.5).ravel()
                nearest = np.rint(py).astype(int).clip(0, 191), np.rint(px).astype(int).clip(0, 191)
                for picture in blurred:
                    patterns.append(picture[nearest] * weight)
                    angles.append(float(angle))
                    scales.append(size)
        spans.append((begin, len(patterns)))
    stacked = np.array(patterns, np.float32)
    energy = (stacked**2).sum(1)
    return Bank(
        stacked,
        energy,
        tuple(spans),
        np.array(angles),
        np.array(scales),
        weight,
        scale,
        center,
    )


def _blurred(picture: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """A Gaussian blur of `sigma` cells."""
    reach = np.arange(-int(4 * sigma) - 1, int(4 * sigma) + 2)
    kernel = np.exp(-0.5 * (reach / sigma) ** 2)
    kernel /= kernel.sum()
    for _ in range(2):
        picture = np.apply_along_axis(np.convolve, 0, picture, kernel, "same").T
    return picture


def fit(coverage: Floats, frames: Bools) -> Fit:
    """Compare coverage (T, H, W) with the bank in the frames that are true; others have infinite misfit."""
    total, height, width = coverage.shape
    mass = coverage.sum((1, 2), dtype=np.float64)
    safe = np.maximum(mass, 1e-6)
    cx = (coverage.sum(1) @ (np.arange(width) + 0.5)) / safe
    cy = (coverage.sum(2) @ (np.arange(height) + 0.5)) / safe
    disc = np.sqrt(mass / np.pi)
    misfit = np.full((total, len(SHAPES)), np.inf)
    angle = np.zeros((total, len(SHAPES)))
    zoom = np.ones((total, len(SHAPES)))
    chosen = np.flatnonzero(frames & (mass > 1))
    if len(chosen):
        b = bank()
        seen = _polar(coverage[chosen], cx[chosen], cy[chosen], disc[chosen]) * b.weight
        energy = (seen**2).sum(1)[:, None]
        dot = seen @ b.patterns.T
        full = (dot / b.energy).clip(0.85, 1.15)  # the pattern's own colour, as strong as it shows
        error = (energy - 2 * full * dot + full**2 * b.energy) / np.maximum(energy, 1e-6)
        for index in range(len(SHAPES)):
            begin, end = b.span[index]
            best = begin + error[:, begin:end].argmin(1)
            misfit[chosen, index] = error[np.arange(len(chosen)), best]
            angle[chosen, index] = b.angle[best]
            zoom[chosen, index] = b.zoom[best]
    return Fit(misfit, angle, zoom, cx, cy, disc)


def _polar(
    coverage: Floats, cx: NDArray[np.float64], cy: NDArray[np.float64], disc: NDArray[np.float64]
) -> Floats:
    """Coverage (T, H, W) at R radii times A directions about each frame's centre, (T, R*A), bilinear."""
    frames, height, width = coverage.shape
    padded = np.zeros((frames, height + 2, width + 2), np.float32)
    padded[:, 1:-1, 1:-1] = coverage
    dx = (_RADII[:, None] * np.cos(_DIRECTIONS)).ravel()
    dy = (_RADII[:, None] * np.sin(_DIRECTIONS)).ravel()
    px = (cx[:, None] + disc[:, None] * dx).astype(np.float32).clip(-0.5, width + 0.49) + np.float32(0.5)
    py = (cy[:, None] + disc[:, None] * dy).astype(np.float32).clip(-0.5, height + 0.49) + np.float32(0.5)
    x0, y0 = px.astype(np.int32), py.astype(np.int32)
    fx, fy = px - x0, py - y0
    at = (np.arange(frames, dtype=np.int32)[:, None] * (height + 2) + y0) * (width + 2) + x0
    flat = padded.ravel()
    low = flat[at] * (1 - fx) + flat[at + 1] * fx
    at += width + 2
    high = flat[at] * (1 - fx) + flat[at + 1] * fx
    result: Floats = low * (1 - fy) + high * fy
    return result
