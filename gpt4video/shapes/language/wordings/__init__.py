"""How people ask to change a video: templates, as tables.

Held out as in `describe.py`. `{x}` is a change ("blue", "make it blue") or what something becomes, `{o}` the
object that changes, `{er}` a comparative, `{do}`, `{does}` and `{doing}` a motion. What a change says comes
in two forms: after "but" (`…_BUT`), and as something to do (`…_DO`).

same.py     the same with a change, said around it
again.py    the same again as it is or was, two in one, and changes in few words
one.py      what changes of one object
things.py   objects that come, stand on a side, or go
scene.py    what changes of all objects at once, and of the background
"""

from gpt4video.shapes.language.wordings.again import (
    AGAIN,
    BOTH,
    NTH,
    PREFER,
    RECREATE,
    SHORT,
    UNDO,
)
from gpt4video.shapes.language.wordings.one import (
    BACK_BUT,
    BACK_DO,
    IT_BUT,
    OF_BUT,
    OF_DO,
)
from gpt4video.shapes.language.wordings.same import (
    BUT,
    BUT_POSTED,
    DO,
)
from gpt4video.shapes.language.wordings.scene import (
    ALL_MOVE,
    ALL_SIZED,
    BACKGROUND_BUT,
    BACKGROUND_DO,
    SWAP,
)
from gpt4video.shapes.language.wordings.things import (
    ADD_ASIDE_BUT,
    ADD_ASIDE_DO,
    ADD_BUT,
    ADD_DO,
    ASIDE,
    KILL,
    ONLY_BUT,
    ONLY_DO,
    PUT_BUT,
    PUT_DO,
    REMOVE_BUT,
    REMOVE_DO,
)

__all__ = [
    "ADD_ASIDE_BUT",
    "ADD_ASIDE_DO",
    "ADD_BUT",
    "ADD_DO",
    "AGAIN",
    "ALL_MOVE",
    "ALL_SIZED",
    "ASIDE",
    "BACKGROUND_BUT",
    "BACKGROUND_DO",
    "BACK_BUT",
    "BACK_DO",
    "BOTH",
    "BUT",
    "BUT_POSTED",
    "DO",
    "IT_BUT",
    "KILL",
    "NTH",
    "OF_BUT",
    "OF_DO",
    "ONLY_BUT",
    "ONLY_DO",
    "PREFER",
    "PUT_BUT",
    "PUT_DO",
    "RECREATE",
    "REMOVE_BUT",
    "REMOVE_DO",
    "SHORT",
    "SWAP",
    "UNDO",
]
