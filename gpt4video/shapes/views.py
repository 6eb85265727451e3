"""The same scene seen in a mirror, or backwards in time: new clips at no cost of drawing.

    mirrored(scene)   x -> -x: left becomes right
    reversed(scene)   t -> duration - t: what grew shrinks, what appeared vanishes, the last mover moves first

Both return None where the scene seen so would be none of its part of the world.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gpt4video.shapes.world import Event, Part, Scene, Thing, part_of

MIRRORED = {"left": "right", "right": "left"}
REVERSED = {**MIRRORED, "up": "down", "down": "up", "growing": "shrinking", "shrinking": "growing"}
REVERSED_EVENTS: dict[Event, Event] = {"appears": "vanishes", "vanishes": "appears", "recolors": "recolors"}


def mirrored(scene: Scene, part: Part = "training") -> Scene | None:
    """The scene with left and right changed over."""
    return _within(replace(scene, things=tuple(_mirror(t) for t in scene.things)), part)


def reversed(scene: Scene, part: Part = "training") -> Scene | None:
    """The scene played backwards; None too where something bounces: backwards it starts in mid-air."""
    if any(t.motion == "bouncing" for t in scene.things):
        return None
    return _within(replace(scene, things=tuple(_reverse(t, scene.duration) for t in scene.things)), part)


def _mirror(thing: Thing) -> Thing:
    angle, pace = -thing.angle, thing.pace
    if thing.motion == "circling":  # its angle is that of its orbit
        angle, pace = np.pi - thing.angle, -thing.pace
    elif thing.motion == "spinning":
        pace = -thing.pace
    motion = MIRRORED.get(thing.motion, thing.motion)
    return replace(thing, motion=motion, x=-thing.x, angle=angle, pace=pace)


def _reverse(thing: Thing, duration: float) -> Thing:
    begin, end = thing.window
    thing = replace(thing, window=(1 - end, 1 - begin), motion=REVERSED.get(thing.motion, thing.motion))
    if thing.motion in ("circling", "spinning"):
        turned = 2 * np.pi * thing.pace * (end - begin) * duration
        thing = replace(thing, angle=thing.angle + turned, pace=-thing.pace)
    if thing.event is None:
        return thing
    event = REVERSED_EVENTS[thing.event]
    color, new = (thing.new_color, thing.color) if thing.new_color else (thing.color, None)
    return replace(thing, event=event, event_at=1 - thing.event_at, color=color, new_color=new)


def _within(scene: Scene, part: Part) -> Scene | None:
    triples = [(c, t.shape, t.motion) for t in scene.things for c in (t.color, t.new_color) if c]
    return scene if all(part_of(*triple) == part for triple in triples) else None
