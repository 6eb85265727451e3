"""How people put questions: the templates of every kind, as tables.

As in `describe.py` the last but one of each list is seen in validation only, the last one in test only.
`{o}` is an object ("it", "the star", "the red one"), `{p}` and `{q}` are other objects or words of the kind.

looks.py    how an object looks: colour, shape, size
motions.py  how things move, and how fast
scenes.py   what is there in all: objects, counts, the background, the whole video
places.py   where things are, alone and beside each other
events.py   what happens, and in which order
checks.py   what is answered by yes or no
short.py    questions in few words, that lean on the one before, and two at once
leaning.py  questions that only the answer before gives a meaning
spoken.py   templates filled, and typed as people type
"""

from gpt4video.shapes.language.asking.checks import (
    ALIKE,
    ANY_COLOR,
    ANY_EVENT,
    ANY_MOVES,
    ANYTHING,
    COUNTED,
    DOES,
    EVENT_OF,
    EXISTS,
    IS,
    IS_FIRST,
    MORE_OF,
)
from gpt4video.shapes.language.asking.events import (
    BECOMES,
    FIRST,
    GOES_ON,
    HAPPENS,
    HAPPENS_TO,
    SECOND,
    WAS,
    WHICH_EVENT,
)
from gpt4video.shapes.language.asking.leaning import (
    ANYTHING_ELSE,
    OTHER,
    SAID,
    SO_WHAT,
    SURE,
    THAT_ALL,
    THE_OTHER,
    THIS_ONE,
    WHAT_ELSE,
    WHICH_BACKGROUND,
    WHICH_VIDEO,
)
from gpt4video.shapes.language.asking.looks import (
    COLOR,
    COLOR_AND_SHAPE,
    EITHER,
    SHAPE,
    SHAPE_ALONE,
    SIZE,
    WHICH_COLOR,
    WHICH_SIZE,
)
from gpt4video.shapes.language.asking.motions import (
    MOTION,
    MOVES,
    SPEED,
    WHICH_MOTION,
    WHICH_SPEED,
)
from gpt4video.shapes.language.asking.places import (
    BEHIND,
    BESIDE_WHAT,
    HEIGHT,
    PASSES,
    PLACE,
    SIDE,
    WHERE,
    WHICH_SIDE,
)
from gpt4video.shapes.language.asking.scenes import (
    BACKGROUND,
    COLORS_SEEN,
    COUNT,
    COUNT_COLORS,
    COUNT_OF,
    COUNT_WHEN,
    DESCRIBE,
    MORE_THAN,
    OBJECTS,
    SHAPES_SEEN,
)
from gpt4video.shapes.language.asking.short import (
    DOUBLE,
    ELLIPSIS,
    LISTED,
    TERSE,
    TRAITS,
    TRIPLE,
)
from gpt4video.shapes.language.asking.spoken import (
    LEADS,
    casual,
    put,
    unled,
)

__all__ = [
    "ALIKE",
    "ANYTHING",
    "ANYTHING_ELSE",
    "ANY_COLOR",
    "ANY_EVENT",
    "ANY_MOVES",
    "BACKGROUND",
    "BECOMES",
    "BEHIND",
    "BESIDE_WHAT",
    "COLOR",
    "COLORS_SEEN",
    "COLOR_AND_SHAPE",
    "COUNT",
    "COUNTED",
    "COUNT_COLORS",
    "COUNT_OF",
    "COUNT_WHEN",
    "DESCRIBE",
    "DOES",
    "DOUBLE",
    "EITHER",
    "ELLIPSIS",
    "EVENT_OF",
    "EXISTS",
    "FIRST",
    "GOES_ON",
    "HAPPENS",
    "HAPPENS_TO",
    "HEIGHT",
    "IS",
    "IS_FIRST",
    "LEADS",
    "LISTED",
    "MORE_OF",
    "MORE_THAN",
    "MOTION",
    "MOVES",
    "OBJECTS",
    "OTHER",
    "PASSES",
    "PLACE",
    "SAID",
    "SECOND",
    "SHAPE",
    "SHAPES_SEEN",
    "SHAPE_ALONE",
    "SIDE",
    "SIZE",
    "SO_WHAT",
    "SPEED",
    "SURE",
    "TERSE",
    "THAT_ALL",
    "THE_OTHER",
    "THIS_ONE",
    "TRAITS",
    "TRIPLE",
    "WAS",
    "WHAT_ELSE",
    "WHERE",
    "WHICH_BACKGROUND",
    "WHICH_COLOR",
    "WHICH_EVENT",
    "WHICH_MOTION",
    "WHICH_SIDE",
    "WHICH_SIZE",
    "WHICH_SPEED",
    "WHICH_VIDEO",
    "casual",
    "put",
    "unled",
]
