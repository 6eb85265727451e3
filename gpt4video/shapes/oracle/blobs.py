"""From coverage to objects: connected regions, specks dropped, one track of coverage per object.

Objects of one scene differ in colour, so a colour's coverage is one object, unless two regions of it stay
apart where nothing hides the middle: then it is two, which no scene holds but a drawing may.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpt4video.shapes.oracle.pixels import FOREIGN, SIDE, Bools, Floats, color_of, grow, layers_of

_SPECK = 22
"""Pixels at 64x64 under which a region is no object; the smallest object, a star that grows, has 70."""

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Track:
    """One object over T frames: its colour, its coverage (T, H, W) and when it is visible (T,)."""

    color: str
    coverage: Floats
    visible: Bools
    steepness: float
    """Of its edges, in shares of its colour per pixel: 0.5 on renders, 0.25 after a blur of 1.5 pixels."""
    new_color: str | None = None
    """The colour it turns to, where it does."""


def regions(mask: Bools) -> tuple[Ints, int]:
    """Four-connected regions of each plane of a mask (P, H, W): labels from 1, 0 outside; their number.

    Runs of pixels in rows are linked to the runs they overlap in the next row; the smallest label wins.
    """
    planes, height, width = mask.shape
    flat = np.zeros((planes * height, width + 1), np.int8)  # the spare column ends every run
    flat[:, :width] = mask.reshape(-1, width)
    steps = np.diff(flat.ravel(), prepend=0)
    start, stop = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    if len(start) == 0:
        return np.zeros(mask.shape, np.int64), 0
    row = start // (width + 1)
    # A run and those of the next row that overlap it: they end after its start and start before its end.
    below_first = np.searchsorted(stop, start + width + 1, "right")
    below_last = np.searchsorted(start, stop + width + 1, "left")
    number = np.where((row + 1) % height == 0, 0, np.maximum(below_last - below_first, 0))
    upper = np.repeat(np.arange(len(start)), number)
    lower = (
        np.repeat(below_first, number) + np.arange(number.sum()) - np.repeat(number.cumsum() - number, number)
    )
    label = np.arange(len(start))
    while True:
        low = np.minimum(label[upper], label[lower])
        new = label.copy()
        np.minimum.at(new, upper, low)
        np.minimum.at(new, lower, low)
        new = new[new]
        if (new == label).all():
            break
        label = new
    names, label = np.unique(label, return_inverse=True)
    marks = np.zeros(planes * height * (width + 1) + 1, np.int64)
    marks[start] += label + 1
    marks[stop] -= label + 1
    return marks[:-1].cumsum().reshape(planes, height, width + 1)[:, :, :width], len(names)


def tracks_of(offset: Floats, background: Floats) -> list[Track]:
    """The objects of a clip, specks and flashes left out; `offset` (T, H, W, 3) is frames less background."""
    layers = layers_of(offset, background)
    count, frames, height, width = layers.shape
    if count == 0:
        return []
    solid = layers > 0.5
    labels, number = regions(solid.reshape(-1, height, width))
    sizes = np.bincount(labels.ravel(), minlength=number + 1)
    sizes[0] = 0
    kept = sizes >= _SPECK
    plane = np.full(number + 1, -1)
    spots = np.flatnonzero(labels)
    plane[labels.ravel()[spots]] = spots // (height * width)
    plane[~kept] = -1
    labels = np.where(kept[labels], labels, 0).reshape(solid.shape)
    wide = [grow(labels[k] > 0, 2) for k in range(count)]
    tracks = []
    for k in range(count):
        others = np.zeros(labels[k].shape, np.bool_)
        for j in range(count):
            if j != k:
                others |= wide[j]
        touched: Bools = (grow(labels[k] > 0, 1) & others).sum((1, 2)) >= 3
        present = [np.flatnonzero(plane == k * frames + t) for t in range(frames)]
        for own in _parted(labels[k], present, sizes, touched):
            coverage = layers[k] * grow(own, 2)
            visible: Bools = np.asarray(own.any((1, 2)))
            if visible.sum() >= min(3, frames):
                alone = np.where(others, 0, coverage)
                sample = alone if alone.sum() > 0.3 * coverage.sum() else coverage
                color = color_of(offset, sample, background)
                tracks.append(Track(color, coverage, visible, _steepness(offset, own)))
    return _joined(_merged(tracks))


def _merged(tracks: list[Track]) -> list[Track]:
    """Patches that lie against an object of their own colour, or rims of no colour, made part of it."""
    result: list[Track] = []
    for track in sorted(tracks, key=lambda t: -float(t.coverage.sum())):
        home = next((i for i, host in enumerate(result) if _belongs(track, host)), None)
        if home is None:
            result.append(track)
            continue
        host = result[home]
        coverage = np.minimum(host.coverage + track.coverage, 1)
        result[home] = Track(host.color, coverage, host.visible | track.visible, host.steepness)
    return result


def _belongs(patch: Track, host: Track) -> bool:
    """Whether `patch` is a piece of `host` in other light."""
    if patch.color not in (host.color, FOREIGN):
        return False
    if patch.color == FOREIGN and patch.coverage.sum() > 0.35 * host.coverage.sum():
        return False
    touching = (grow(patch.coverage > 0.3, 1) & (host.coverage > 0.3)).any((1, 2))
    return bool(touching.sum() > 0.6 * patch.visible.sum())


def _steepness(offset: Floats, solid: Bools) -> float:
    """How fast colour changes across an object's edge (T, H, W), in the direction in which it is slowest.

    A streak has sharp sides and blurred ends, so the two directions are looked at apart.
    """
    width = solid.shape[2]
    band = grow(solid, 1) & grow(~solid, 1)
    band[:, 0] = band[:, -1] = False
    band[:, :, 0] = band[:, :, -1] = False
    at = np.flatnonzero(band)
    inside = np.flatnonzero(solid)
    if len(at) < 8:
        return 0.0
    pixels = offset.reshape(-1, 3)
    strength = float(np.quantile(np.linalg.norm(pixels[inside], axis=1), 0.8))
    slopes = [np.linalg.norm(pixels[at + step] - pixels[at - step], axis=1) / 2 for step in (1, width)]
    return float(min(np.quantile(slope, 0.8) for slope in slopes)) / max(strength, 1e-6)


def _parted(labels: Ints, present: list[Ints], sizes: Ints, touched: Bools) -> list[Bools]:
    """Masks (T, H, W) of the objects in one colour, from its regions and which of them each frame holds."""
    frames = len(labels)
    clear = [t for t in range(frames) if not touched[t] and len(present[t])]
    several = [t for t in clear if len(_large(present[t], sizes)) > 1]
    if len(several) < max(3, 0.3 * len(clear)):
        return [labels > 0]
    number = max(len(_large(present[t], sizes)) for t in several)
    masks = [np.zeros(labels.shape, np.bool_) for _ in range(number)]
    places: list[NDArray[np.float64] | None] = [None] * number
    for t in range(frames):
        for i in sorted(present[t], key=lambda i: -sizes[i]):
            here = labels[t] == i
            center = np.argwhere(here).mean(0)
            free = [j for j in range(number) if not masks[j][t].any()]
            if not free:
                break
            gaps = [1e3 if (p := places[j]) is None else float(np.hypot(*(p - center))) for j in free]
            j = free[int(np.argmin(gaps))]
            masks[j][t], places[j] = here, center
    return masks


def _large(ids: Ints, sizes: Ints) -> Ints:
    """The regions that are no mere crumbs of the largest one."""
    return ids[sizes[ids] > 0.25 * sizes[ids].max()] if len(ids) else ids


def center_of(coverage: Floats) -> NDArray[np.float64]:
    """Centre of mass (y, x) of one frame's coverage."""
    mass = max(float(coverage.sum()), 1e-6)
    rows, columns = np.arange(coverage.shape[0]), np.arange(coverage.shape[1])
    return np.array([coverage.sum(1) @ rows, coverage.sum(0) @ columns]) / mass


def _joined(tracks: list[Track]) -> list[Track]:
    """Tracks, those that follow each other in one place made one object that changes colour."""
    later: dict[int, int] = {}
    for i, early in enumerate(tracks):
        for j, late in enumerate(tracks):
            if i != j and j not in later.values() and _follows(early, late):
                later[i] = j
                break
    result = []
    for i, track in enumerate(tracks):
        if i in later:
            late = tracks[later[i]]
            coverage = np.maximum(track.coverage, late.coverage)
            steepness = min(track.steepness, late.steepness)
            result.append(Track(track.color, coverage, track.visible | late.visible, steepness, late.color))
        elif i not in later.values():
            result.append(track)
    return result


def _follows(early: Track, late: Track) -> bool:
    """Whether `late` begins where and when `early` ends."""
    end, begin = int(np.flatnonzero(early.visible)[-1]), int(np.flatnonzero(late.visible)[0])
    if not 0 <= begin - end <= 2 or (early.visible & late.visible).sum() > 1:
        return False
    a, b = center_of(early.coverage[end]), center_of(late.coverage[begin])
    masses = early.coverage[end].sum(), late.coverage[begin].sum()
    return bool(np.hypot(*(a - b)) < 0.1 * SIDE and max(masses) < 1.7 * min(masses))
