"""A second renderer of moving shapes, written without looking at the first one: other hands, other habits.

    write_clip(description, seed) -> bytes of an mp4

    description = {
        "background": "navy", "duration": 2.0,
        "things": [{"shape": "star", "color": "red", "size": "small", "motion": "left", "x": 0.1, "y": -0.2}],
    }

It draws with Pillow, supersampled, in palettes of the web, at sizes, aspects and frame rates of its own; its
motions start and stop softly, its bounces are parabolas, its stars fat and its rings thick. Coordinates: the
shorter side of the frame is 1, the origin its centre, y points down. `x`, `y` are where the middle of the
motion is. It imports nothing of gpt4video.
"""

from __future__ import annotations

import io
import math
import random
from fractions import Fraction

import av
import numpy as np
from PIL import Image, ImageDraw

PALETTES = {
    "css": {
        "red": "#ff0000", "green": "#008000", "blue": "#0000ff", "yellow": "#ffff00", "orange": "#ffa500",
        "purple": "#800080", "pink": "#ff69b4", "cyan": "#00ffff",
        "black": "#000000", "white": "#ffffff", "gray": "#808080", "navy": "#000080",
    },
    "material": {
        "red": "#f44336", "green": "#4caf50", "blue": "#2962ff", "yellow": "#ffeb3b", "orange": "#ff9800",
        "purple": "#9c27b0", "pink": "#ff80ab", "cyan": "#00e5ff",
        "black": "#121212", "white": "#fafafa", "gray": "#757575", "navy": "#0d1440",
    },
    "tango": {
        "red": "#cc0000", "green": "#4e9a06", "blue": "#3465e4", "yellow": "#fce94f", "orange": "#f57900",
        "purple": "#8b35a8", "pink": "#ff9ecb", "cyan": "#34e2e2",
        "black": "#0a0c0d", "white": "#eeeeec", "gray": "#888a85", "navy": "#14195a",
    },
}  # fmt: skip
FRAMES = ((128, 128), (160, 120), (240, 240), (320, 240), (180, 320), (200, 150), (256, 144), (224, 224))
"""Width and height, in pixels."""
RATES = (10, 12, 15, 20, 24, 25, 30)
RADII = {"small": 0.118, "large": 0.2}
GROWTH = (0.095, 0.215)
PACES = {"slow": 0.11, "fast": 0.27}
"""Sides a second of what travels."""
HEADINGS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
SUPERSAMPLING = 2


def soft(share: float) -> float:
    """Time that starts and stops softly, from 0 to 1."""
    return share - 0.09 * math.sin(2 * math.pi * share)


def place(
    thing: dict, time: float, duration: float, whims: random.Random
) -> tuple[float, float, float, float]:
    """Centre x and y, radius and angle of a thing at a time. `whims` is the thing's own, freshly seeded."""
    begin, end = (share * duration for share in thing.get("window", (0.0, 1.0)))
    length = max(end - begin, 1e-9)
    share = soft(min(max((time - begin) / length, 0.0), 1.0))
    x, y, radius, angle = thing["x"], thing["y"], RADII[thing["size"]], 0.0
    motion = thing["motion"]
    turn, phase = whims.choice((-1, 1)), whims.random()
    if motion in HEADINGS:
        dx, dy = HEADINGS[motion]
        way = thing.get("pace", PACES[thing.get("speed", "slow")]) * length * (share - 0.5)
        x, y = x + dx * way, y + dy * way
    elif motion == "circling":
        at = 2 * math.pi * (phase + turn * share * 0.45 * min(length, 3.0))
        x, y = x + 0.135 * math.cos(at), y + 0.135 * math.sin(at)
    elif motion == "bouncing":
        hops = 2 + (phase > 0.5)
        u = (share * hops * max(1.0, length / 2.5)) % 1.0
        y = y + 0.15 - 0.3 * 4 * u * (1 - u)
    elif motion == "spinning":
        angle = 2 * math.pi * turn * share * length * (0.25 + 0.15 * phase)
    elif motion in ("growing", "shrinking"):
        low, high = GROWTH if motion == "growing" else GROWTH[::-1]
        radius = low + (high - low) * share
    return x, y, radius, angle


def polygon(corners: list[tuple[float, float]]):
    """A shape of corners on a unit circle's scale."""

    def draw(pen: ImageDraw.ImageDraw, x: float, y: float, r: float, angle: float, fill: str) -> None:
        c, s = math.cos(angle), math.sin(angle)
        pen.polygon([(x + r * (a * c - b * s), y + r * (a * s + b * c)) for a, b in corners], fill=fill)

    return draw


def disc(thickness: float):
    """A circle, or a ring of a thickness below 1."""

    def draw(pen: ImageDraw.ImageDraw, x: float, y: float, r: float, angle: float, fill: str) -> None:
        if thickness < 1:
            pen.ellipse((x - r, y - r, x + r, y + r), outline=fill, width=round(r * thickness))
        else:
            pen.ellipse((x - r, y - r, x + r, y + r), fill=fill)

    return draw


def _star(points: int, inner: float) -> list[tuple[float, float]]:
    step = math.pi / points
    return [
        ((inner if k % 2 else 1.08) * math.sin(k * step), -(inner if k % 2 else 1.08) * math.cos(k * step))
        for k in range(2 * points)
    ]


def _cross(arm: float) -> list[tuple[float, float]]:
    quarter = [(arm, -1.0), (arm, -arm), (1.0, -arm), (1.0, arm)]
    corners = []
    for c, s in ((1, 0), (0, 1), (-1, 0), (0, -1)):
        corners += [(a * c - b * s, a * s + b * c) for a, b in quarter[:3]]
    return corners


SHAPES = {
    "circle": disc(1.0),
    "ring": disc(0.36),
    "square": polygon([(-0.84, -0.84), (0.84, -0.84), (0.84, 0.84), (-0.84, 0.84)]),
    "triangle": polygon([(0.0, -1.05), (0.98, 0.78), (-0.98, 0.78)]),
    "star": polygon(_star(5, 0.46)),
    "cross": polygon(_cross(0.3)),
}


def draw_frames(description: dict, seed: int) -> tuple[np.ndarray, int]:
    """Frames (T, H, W, 3) uint8 and their rate; the seed picks palette, frame, rate and whims."""
    chance = random.Random(seed)
    colors = PALETTES[chance.choice(sorted(PALETTES))]
    width, height = chance.choice(FRAMES)
    rate, duration = chance.choice(RATES), description["duration"]
    scale = min(width, height) * SUPERSAMPLING
    whims = [chance.random() for _ in description["things"]]
    background = colors[description["background"]]
    frames = []
    for index in range(max(2, round(duration * rate))):
        time = index / rate
        image = Image.new("RGB", (width * SUPERSAMPLING, height * SUPERSAMPLING), background)
        pen = ImageDraw.Draw(image)
        for thing, whim in zip(description["things"], whims, strict=True):
            after = time >= thing.get("event_at", 0.5) * duration
            event = thing.get("event")
            if (event == "appears" and not after) or (event == "vanishes" and after):
                continue
            color = thing["new_color"] if event == "recolors" and after else thing["color"]
            x, y, radius, angle = place(thing, time, duration, random.Random(whim))
            x, y = image.width / 2 + x * scale, image.height / 2 + y * scale
            SHAPES[thing["shape"]](pen, x, y, radius * scale, angle, colors[color])
        frames.append(np.asarray(image.resize((width, height), Image.Resampling.BOX)))
    return np.stack(frames), rate


def write_clip(description: dict, seed: int) -> bytes:
    """An mp4 of a description, at an everyday quality."""
    frames, rate = draw_frames(description, seed)
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(rate))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        stream.codec_context.options = {
            "crf": "20",
            "preset": "veryfast",
            "x264-params": "cpu-independent=1",  # or the next run may give other bytes
        }
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    return file.getvalue()
