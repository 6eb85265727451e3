"""How a drawer sets a scene: what the words leave open is decided once, not drawn by lot.

    staged(scene, rng)    -> the scene as it is drawn
    told(scene, rng)      -> a request that says at least what is not a matter of course in it

"A red circle moving right" could be small, fast, low in the frame, on any background. A drawer that learns
from all of these has to pick one of each, in every frame alike, which is most of what there is to learn. Here
the words nearly decide the video. Without a colour an object is red, without a size large, without a speed
slow, without a motion still, and without a background it is on black. One object goes through the middle. Two
stand side by side, or one above the other where they move sideways, in the order in which they are named. Of
three the first named stands at the upper left, the second below the middle, the third at the upper right, as
near to it as their motions leave room. A little of place, tilt and pace is left to the seed.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from gpt4video.shapes.language.describe import Request, relation_of, request_of, wanted
from gpt4video.shapes.language.refer import canonical
from gpt4video.shapes.world import (
    EDGE,
    SPEEDS,
    TRAVELS,
    Mix,
    Part,
    Scene,
    Thing,
    observable,
    part_of,
    reach,
    sample_scene,
)

Rng = np.random.Generator
COLOR, SIZE, SPEED, MOTION, BACKGROUND = "red", "large", "slow", "still", "black"
"""What is drawn where nothing is said."""
COLORLESS = 0.25
"""How often the colour of the only object is left out, where it is the one that goes without saying."""
APART = 0.26
"""How far from the middle of the frame each of two objects stands, in sides."""
TRIANGLE = ((-0.27, -0.2), (0.0, 0.26), (0.27, -0.2))
"""Where the first, second and third of three stand, in sides from the middle: even large ones have room."""
OTHERWISE = 0.4
"""Share of scenes with two objects that are not set as a matter of course."""
LOOSE = 0.03
"""How far the seed may move an object, in sides."""
GRID = 7
"""Places tried for each object, along each axis."""


def sample_staged(rng: Rng, part: Part, mix: Mix) -> Scene:
    """A scene as it is drawn, whose triples belong to `part`."""
    while True:
        scene = staged(sample_scene(rng, part, mix), rng)
        if scene is not None and all(
            part_of(t.color, t.shape, t.motion) == part and observable(t.shape, t.motion)
            for t in scene.things
        ):
            return scene


def staged(scene: Scene, rng: Rng) -> Scene | None:
    """The scene with what a request leaves open as a matter of course; None where there is no room."""
    scene = canonical(scene)
    three = len(scene.things) == len(TRIANGLE)
    if three:  # no relation is told of these: any of them may be named first
        scene = replace(scene, things=tuple(scene.things[i] for i in rng.permutation(len(TRIANGLE))))
    request = request_of(scene, rng)
    background = request.background or BACKGROUND
    if scene.passes:
        things = _crossing(scene.things[0], scene.things[1], rng)
        return replace(scene, things=things, background=background)
    steady = [
        _steady(
            replace(thing, size=said.size or SIZE, motion=said.motion or MOTION, speed=said.speed or SPEED),
            rng,
        )
        for thing, said in zip(scene.things, request.things, strict=True)
    ]
    other = len(steady) == 2 and bool(rng.random() < OTHERWISE)
    placed = _set(steady, rng, other)
    if placed is None:
        return None
    scene = replace(scene, things=tuple(placed), background=background)
    return scene if three else canonical(scene)


def told(scene: Scene, rng: Rng) -> Request:
    """A truthful request for a staged scene; only what is a matter of course may be left out."""
    request = request_of(scene, rng)
    things = []
    for said, thing in zip(request.things, scene.things, strict=True):
        full = wanted(thing)
        colorless = len(scene.things) == 1 and thing.color == COLOR and rng.random() < COLORLESS
        motion = said.motion or (full.motion if thing.motion != MOTION else None)
        size = said.size or (full.size if thing.size != SIZE and not scene.passes else None)
        speed = said.speed or (full.speed if motion and thing.speed != SPEED and not scene.passes else None)
        color = None if colorless else full.color
        things.append(replace(said, color=color, motion=motion, size=size, speed=speed))
    background = scene.background if scene.background != BACKGROUND else request.background
    relation = request.relation
    if relation_of(scene) != _course(list(scene.things)):
        relation = relation_of(scene)
    return replace(request, things=tuple(things), background=background, relation=relation)


def _loose(rng: Rng) -> float:
    return float(rng.uniform(-LOOSE, LOOSE))


def _crossing(back: Thing, front: Thing, rng: Rng) -> tuple[Thing, Thing]:
    """One in the middle, the other across it."""
    back = replace(back, x=_loose(rng), y=_loose(rng), angle=_loose(rng))
    front = replace(front, angle=_loose(rng))
    if TRAVELS[front.motion][0]:
        return back, replace(front, x=0.0, y=back.y)
    return back, replace(front, x=back.x, y=0.0)


def _steady(thing: Thing, rng: Rng) -> Thing:
    """The object with the pace and tilt of its motion."""
    thing = replace(thing, angle=_loose(rng), x=0.0, y=0.0)
    about = 1 + _loose(rng)
    if thing.travels:
        return replace(thing, pace=about * float(np.mean(SPEEDS[thing.speed])))
    # Turns a second, as `with_pace` has them: a whole circle and a little, two and a half hops, two thirds of
    # a turn.
    paces = {"circling": 0.55, "bouncing": 1.25, "spinning": 0.33}
    return replace(thing, pace=about * paces.get(thing.motion, 0.12), speed=SPEED)


def _course(things: list[Thing]) -> str | None:
    """How two objects stand as a matter of course; None where there are not two."""
    if len(things) != 2:
        return None
    sideways = any(TRAVELS.get(t.motion, (0, 0))[0] for t in things)
    return "above" if sideways else "left_of"


def _aims(things: list[Thing], other: bool) -> NDArray[np.float64]:
    """Where the objects belong, (N, 2)."""
    count = len(things)
    if count == len(TRIANGLE):
        return np.array(TRIANGLE)
    line = np.linspace(-APART, APART, count) if count > 1 else np.zeros(1)
    zero = np.zeros(count)
    upright = (_course(things) == "above") != other
    return np.stack((zero, line) if upright else (line, zero), -1)


def _set(things: list[Thing], rng: Rng, other: bool) -> list[Thing] | None:
    """The objects, each at the free place nearest to where it belongs; None where there is none."""
    aims = _aims(things, other)
    times = np.linspace(0.0, 2.0, 17)
    paths, radii, grids = [], [], []
    for thing, aim in zip(things, aims, strict=True):
        left, right, up, down = (r - 0.03 for r in reach(thing, 2.0))
        low, high = np.array([-EDGE + left, -EDGE + up]), np.array([EDGE - right, EDGE - down])
        low, high = np.where(low < high, [low, high], (low + high) / 2)
        axes = [
            np.unique([*np.linspace(a, b, GRID), np.clip(c, a, b)])
            for a, b, c in zip(low, high, aim, strict=True)
        ]
        grids.append(np.stack(np.meshgrid(*axes), -1).reshape(-1, 2))
        state = thing.at(times, 2.0)
        paths.append(np.stack((state.x, state.y), -1))
        radii.append(state.radius)
    best = _search(grids, aims, paths, radii)
    if best is None:
        return None
    return [
        replace(t, x=float(p[0]) + _loose(rng), y=float(p[1]) + _loose(rng))
        for t, p in zip(things, best, strict=True)
    ]


Places = list[NDArray[np.float64]]


def _free(places: Places, paths: Places, radii: Places) -> bool:
    """Whether the objects never come near each other."""
    for i, j in combinations(range(len(places)), 2):
        gap = places[i] + paths[i] - places[j] - paths[j]
        if (np.hypot(gap[:, 0], gap[:, 1]) < (radii[i] + radii[j]) * 1.12 + 2 * LOOSE).any():
            return False
    return True


def _search(grids: Places, aims: NDArray[np.float64], paths: Places, radii: Places) -> Places | None:
    """The free places that are nearest to the aims, all together."""
    found: tuple[float, Places | None] = (np.inf, None)

    def place(index: int, cost: float, chosen: Places) -> None:
        nonlocal found
        if index == len(grids):
            found = (cost, chosen)
            return
        costs = ((grids[index] - aims[index]) ** 2).sum(-1)
        for k in np.argsort(costs):
            if cost + costs[k] >= found[0]:
                return
            if _free([*chosen, grids[index][k]], paths[: index + 1], radii[: index + 1]):
                place(index + 1, cost + float(costs[k]), [*chosen, grids[index][k]])

    place(0, 0.0, [])
    return found[1]
