"""Scenes of one to three moving objects, and which of them are held out of training.

Coordinates: the frame's shorter side is 1, the origin is its centre, x grows to the right and y downwards.
Time is in seconds. A seed makes a scene; `Thing.at(times)` says where an object is and how it looks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gpt4video.shapes.foreign import Foreign, sample_foreign

Part = Literal["training", "validation", "test"]

SHAPES = ("circle", "square", "triangle", "star", "cross", "ring")
COLORS: dict[str, tuple[int, int, int]] = {
    "red": (222, 30, 34),
    "green": (30, 165, 50),
    "blue": (40, 84, 235),
    "yellow": (246, 222, 36),
    "orange": (250, 138, 18),
    "purple": (142, 48, 190),
    "pink": (252, 132, 194),
    "cyan": (38, 208, 220),
}
BACKGROUNDS: dict[str, tuple[int, int, int]] = {
    "black": (10, 10, 10),
    "white": (246, 246, 246),
    "gray": (124, 124, 124),
    "navy": (18, 22, 78),
}
SIZES: dict[str, float] = {"small": 0.125, "large": 0.205}
"""Radius of an object."""
SPEEDS: dict[str, tuple[float, float]] = {"slow": (0.09, 0.14), "fast": (0.24, 0.32)}
"""Frame sides a second, for objects that travel."""
TRAVELS: dict[str, tuple[int, int]] = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
MOTIONS = (*TRAVELS, "circling", "bouncing", "growing", "shrinking", "spinning", "still")
ROUND = ("circle", "ring")
"""Shapes whose spinning nobody could see."""
EDGE = 0.5
"""The frame ends this far from its centre."""


def observable(shape: str, motion: str) -> bool:
    """Whether anybody could see this: a spinning circle looks still."""
    return not (motion == "spinning" and shape in ROUND)


def part_of(color: str, shape: str, motion: str) -> Part:
    """Which part a colour x shape x motion triple belongs to; one triple in ten is test, one validation.

    The sum makes a Latin square: every pair occurs in training, with other thirds.
    """
    total = list(COLORS).index(color) + 3 * SHAPES.index(shape) + MOTIONS.index(motion)
    return {0: "test", 5: "validation"}.get(total % 10, "training")  # type: ignore[return-value]


Event = Literal["appears", "vanishes", "recolors"]
EVENTS: tuple[Event, ...] = ("appears", "vanishes", "recolors")


@dataclass(frozen=True)
class State:
    """An object at each of T times: centre x and y, radius, angle in radians, visible; all (T,)."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    radius: NDArray[np.float64]
    angle: NDArray[np.float64]
    visible: NDArray[np.bool_]
    recolored: NDArray[np.bool_]


@dataclass(frozen=True)
class Thing:
    """One object. `window` is the stretch of the video in which it moves, as fractions of its length."""

    color: str
    shape: str
    size: str
    """What it is when it neither grows nor shrinks; those go from small to large or back."""
    motion: str
    speed: str = "slow"
    """Tells only for objects that travel."""
    pace: float = 0.12
    """Sides a second for travel; turns a second for spinning, circling and bouncing are near `pace` * 5."""
    x: float = 0.0
    y: float = 0.0
    """Centre at half time for travels; centre of the circle or the bounce; the centre for the rest."""
    angle: float = 0.0
    event: Event | None = None
    event_at: float = 0.5
    """When the event happens, as a fraction of the video's length."""
    new_color: str | None = None
    window: tuple[float, float] = (0.0, 1.0)

    @property
    def travels(self) -> bool:
        """Whether it moves in a straight line."""
        return self.motion in TRAVELS

    @property
    def sized(self) -> bool:
        """Whether it keeps one size that can be named."""
        return self.motion not in ("growing", "shrinking")

    def at(self, times: NDArray[np.float64], duration: float) -> State:
        """Where it is and how it looks at each time."""
        begin, end = (w * duration for w in self.window)
        moved = np.clip(times, begin, end) - begin
        share = moved / max(end - begin, 1e-9)
        zero = np.zeros_like(times)
        x, y, angle = self.x + zero, self.y + zero, self.angle + zero
        radius = SIZES[self.size] + zero
        if self.motion in TRAVELS:
            dx, dy = TRAVELS[self.motion]
            along = self.pace * (moved - (end - begin) / 2)
            x, y = x + dx * along, y + dy * along
        elif self.motion == "circling":
            turn = 2 * np.pi * self.pace * moved + self.angle
            x, y, angle = x + ORBIT * np.cos(turn), y + ORBIT * np.sin(turn), zero
        elif self.motion == "bouncing":
            hop = np.abs(np.sin(np.pi * self.pace * moved))
            y = y + BOUNCE * (0.5 - hop)
        elif self.motion == "spinning":
            angle = angle + 2 * np.pi * self.pace * moved
        elif self.motion in ("growing", "shrinking"):
            low, high = SIZES["small"] * 0.85, SIZES["large"] * 1.1
            first, last = (low, high) if self.motion == "growing" else (high, low)
            radius = first + (last - first) * share
        at = self.event_at * duration
        visible = np.ones(times.shape, dtype=np.bool_)
        if self.event == "appears":
            visible = times >= at
        elif self.event == "vanishes":
            visible = times < at
        return State(x, y, radius, angle, visible, (times >= at) & (self.event == "recolors"))


ORBIT = 0.14
"""Radius of the circle that a circling object runs on."""
BOUNCE = 0.34
"""Height of a bounce."""


@dataclass(frozen=True)
class Scene:
    """Objects from back to front, on a background, for `duration` seconds."""

    things: tuple[Thing, ...]
    background: str
    duration: float = 2.0
    passes: bool = False
    """The last object passes in front of the first one."""
    order: bool = False
    """Two objects move one after the other; the one with the earlier window moves first."""
    foreign: Foreign | None = None
    """What is shown in the place of objects and a background that can be named."""

    @property
    def event(self) -> Thing | None:
        """The object to which something happens in time, if there is one."""
        return next((t for t in self.things if t.event), None)

    @property
    def first(self) -> int | None:
        """Index of the object that moves first, where one does."""
        return int(np.argmin([t.window[0] for t in self.things])) if self.order else None


def left_of(a: Thing, b: Thing, duration: float) -> bool | None:
    """Whether `a` is left of `b` while both are visible; None where it changes or is too close to say."""
    return _ordered(a, b, duration, "x")


def above(a: Thing, b: Thing, duration: float) -> bool | None:
    """Whether `a` is above `b` while both are visible; None where it changes or is too close to say."""
    return _ordered(a, b, duration, "y")


def _ordered(a: Thing, b: Thing, duration: float, axis: str, margin: float = 0.08) -> bool | None:
    times = np.linspace(0.0, duration, 17)
    one, other = a.at(times, duration), b.at(times, duration)
    gap = (getattr(other, axis) - getattr(one, axis))[one.visible & other.visible]
    if gap.size == 0:
        return None
    if (gap > margin).all():
        return True
    return False if (gap < -margin).all() else None


@dataclass(frozen=True)
class Mix:
    """How often scenes of each kind are made."""

    counts: tuple[float, float, float] = (0.5, 0.35, 0.15)
    """Share of scenes with one, two and three objects."""
    events: float = 0.35
    """Share of scenes in which something may appear, vanish or change colour."""
    passes: float = 0.12
    """Share of two-object scenes in which one passes in front of the other."""
    order: float = 0.15
    """Share of two-object scenes in which one moves first."""
    durations: tuple[float, float] = (2.0, 2.0)
    """Shortest and longest video, in seconds."""
    background: str | None = None
    """The background, or None for any."""
    foreign: bool = False
    """Whether something else than objects is shown."""


DRAWN = Mix(events=0.0, order=0.0)
"""What the drawer learns: two seconds, no events."""
POSTED = Mix(durations=(1.0, 6.0))
"""What people post."""
FOREIGN = replace(POSTED, foreign=True)
"""What people post, too: videos of anything else."""
NO_BACKGROUND = "unknown"
"""The background of a foreign video."""


def sample_scene(rng: np.random.Generator, part: Part = "training", mix: Mix = POSTED) -> Scene:
    """A random scene whose colour x shape x motion triples all belong to `part`; a foreign one has none."""
    if mix.foreign:
        return Scene((), NO_BACKGROUND, float(rng.uniform(*mix.durations)), foreign=sample_foreign(rng, part))
    count = int(rng.choice(3, p=np.array(mix.counts) / sum(mix.counts))) + 1
    kind = rng.random() if count == 2 else 1.0  # decided once, or crowded scenes would become rare
    while True:
        scene = _try_scene(rng, part, mix, count, kind)
        if scene is not None:
            return scene


def _try_scene(rng: np.random.Generator, part: Part, mix: Mix, count: int, kind: float) -> Scene | None:
    low, high = mix.durations
    # Half of the posted clips are two seconds long, as the drawn ones are.
    duration = 2.0 if low <= 2.0 <= high and rng.random() < 0.5 else float(rng.uniform(low, high))
    colors = [str(c) for c in rng.permutation(list(COLORS))]
    passes, order = kind < mix.passes, mix.passes <= kind < mix.passes + mix.order
    things: list[Thing] = []
    for index in range(count):
        thing = _sample_thing(rng, part, colors[index], duration, moving=order or (passes and index == 1))
        if thing is None:
            return None
        things.append(thing)
    if passes:
        pair = _pass_in_front(rng, things, duration)
        if pair is None:
            return None
        things = pair
    elif order:
        split = float(rng.uniform(0.44, 0.56))
        windows = [(0.0, split - 0.06), (split + 0.06, 1.0)]
        rng.shuffle(windows)
        if duration < 1.5 or any(not (t.travels or t.motion == "spinning") for t in things):
            return None
        things = [replace(t, window=w) for t, w in zip(things, windows, strict=True)]
        things = [
            replace(t, speed="fast", pace=float(rng.uniform(*SPEEDS["fast"]))) if t.travels else t
            for t in things
        ]
    if not passes:
        placed = _place_apart(rng, things, duration)
        if placed is None:
            return None
        things = placed
    if rng.random() < mix.events and not passes and not order:
        index = int(rng.integers(count))
        event = EVENTS[int(rng.integers(len(EVENTS)))]
        thing = things[index]
        # Half of a growth or a bounce could not be told from something else.
        if thing.motion in ("still", *TRAVELS):
            new = colors[count] if event == "recolors" else None
            if new and (part_of(new, thing.shape, thing.motion) != part and part == "training"):
                return None
            at = float(rng.uniform(0.4, 0.6))
            things[index] = replace(thing, event=event, event_at=at, new_color=new)
    background = mix.background or str(rng.choice(list(BACKGROUNDS)))
    return Scene(tuple(things), background, duration, passes, order)


def _sample_thing(
    rng: np.random.Generator, part: Part, color: str, duration: float, moving: bool
) -> Thing | None:
    """An object of `color` whose triple belongs to `part`, not yet placed."""
    found = _triples(color, part, moving)
    if not found:
        return None
    shape, motion = found[int(rng.integers(len(found)))]
    size = str(rng.choice(list(SIZES)))
    # A fast object would leave the frame of a long video.
    speed = "slow" if duration > 2.3 or rng.random() < 0.5 else "fast"
    return with_pace(rng, Thing(color, shape, size, motion, speed, angle=_tilt(rng, shape, motion)), duration)


@cache
def _triples(color: str, part: Part, moving: bool) -> tuple[tuple[str, str], ...]:
    """Shapes and motions that `part` has in this colour."""
    return tuple(
        (s, m)
        for s in SHAPES
        for m in (TRAVELS if moving else MOTIONS)
        if observable(s, m) and part_of(color, s, m) == part
    )


def with_pace(rng: np.random.Generator, thing: Thing, duration: float) -> Thing:
    """`thing` with a pace that fits its motion, speed and the length of the video."""
    if thing.travels:
        return replace(thing, pace=float(rng.uniform(*SPEEDS[thing.speed])))
    if thing.motion == "circling":  # 0.8 to 1.6 turns in all, so that a whole circle nearly shows
        return replace(thing, pace=float(rng.choice([-1, 1]) * rng.uniform(0.8, 1.3) / min(duration, 3.0)))
    if thing.motion == "bouncing":  # 2 to 3 hops in two seconds
        return replace(thing, pace=float(rng.uniform(1.8, 3.2) / min(duration, 2.5)))
    # Under a quarter turn of a square between two frames at 8 a second, or it would seem to turn back.
    return replace(thing, pace=float(rng.choice([-1, 1]) * rng.uniform(0.25, 0.5)))


def _tilt(rng: np.random.Generator, shape: str, motion: str) -> float:
    """Shapes stand upright, give or take a few degrees; what circles starts anywhere."""
    return float(rng.uniform(0, 2 * np.pi)) if motion == "circling" else float(rng.uniform(-0.12, 0.12))


def reach(thing: Thing, duration: float) -> tuple[float, float, float, float]:
    """How far the object's outline goes from (x, y): left, right, up, down."""
    times = np.linspace(0.0, duration, 33)
    state = replace(thing, x=0.0, y=0.0).at(times, duration)
    r = state.radius * 1.15  # corners of triangles and stars stand out
    return (
        float(-(state.x - r).min()),
        float((state.x + r).max()),
        float(-(state.y - r).min()),
        float((state.y + r).max()),
    )


def _place(rng: np.random.Generator, thing: Thing, duration: float) -> Thing:
    """Put the object where it stays inside the frame all the time."""
    left, right, up, down = reach(thing, duration)

    def between(low: float, high: float) -> float:
        return float(rng.uniform(low, high)) if low < high else (low + high) / 2

    return replace(thing, x=between(-EDGE + left, EDGE - right), y=between(-EDGE + up, EDGE - down))


def _place_apart(rng: np.random.Generator, things: list[Thing], duration: float) -> list[Thing] | None:
    """Places at which the objects never touch, or None where two dozen tries found none."""
    tries = 24 if len(things) > 1 else 1
    times = np.linspace(0.0, duration, 17)
    places, paths, radii = [], [], []
    for thing in things:
        left, right, up, down = reach(thing, duration)
        low = np.array([-EDGE + left, -EDGE + up])
        high = np.array([EDGE - right, EDGE - down])
        # What does not fit inside is centred.
        low, high = np.where(low < high, [low, high], (low + high) / 2)
        places.append(rng.uniform(low, high, (tries, 2)))
        state = replace(thing, x=0.0, y=0.0).at(times, duration)
        paths.append(np.stack([state.x, state.y], -1))
        radii.append(state.radius)
    free = np.ones(tries, dtype=np.bool_)
    for i in range(len(things)):
        for j in range(i + 1, len(things)):
            gap = (places[i] - places[j])[:, None] + (paths[i] - paths[j])[None]
            free &= (np.hypot(gap[..., 0], gap[..., 1]) > (radii[i] + radii[j]) * 1.12).all(1)
    if not free.any():
        return None
    chosen = int(np.argmax(free))
    return [
        replace(thing, x=float(place[chosen, 0]), y=float(place[chosen, 1]))
        for thing, place in zip(things, places, strict=True)
    ]


def _pass_in_front(rng: np.random.Generator, things: list[Thing], duration: float) -> list[Thing] | None:
    """The first object stands still while the last one travels across it."""
    back, front = things
    if back.motion != "still" or duration > 2.3:
        return None
    front = replace(front, speed="fast", pace=0.66 / duration)
    back = _place(rng, replace(back, size="large"), duration)
    front = _place(rng, replace(front, size="small"), duration)
    dx, _ = TRAVELS[front.motion]
    front = replace(front, y=back.y) if dx else replace(front, x=back.x)
    back = (
        replace(back, x=float(rng.uniform(-0.06, 0.06)))
        if dx
        else replace(back, y=float(rng.uniform(-0.06, 0.06)))
    )
    left, right, up, down = reach(front, duration)
    inside = (
        front.x - left >= -EDGE
        and front.x + right <= EDGE
        and front.y - up >= -EDGE
        and front.y + down <= EDGE
    )
    return [back, front] if inside else None
