"""The oracle: frames -> facts. It reads pixels, knows no model, and says None where it cannot tell.

pixels.py     frames -> background, and how much of each pixel each colour covers
blobs.py      coverage -> one track per object
outline.py    track -> shape, centre, radius, angle, by comparing with the renderer's outlines
motion.py     centre, radius and angle over time -> motion and speed
things.py     track -> all that can be told of an object, `Seen`
reading.py    all of it together: `read(frames)` -> `Reading`
"""

from gpt4video.shapes.oracle.reading import Reading, read
from gpt4video.shapes.oracle.things import Seen

__all__ = ["Reading", "Seen", "read"]
