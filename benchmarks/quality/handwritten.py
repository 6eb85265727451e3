"""Questions and requests that people wrote: what `tests/handwritten.yaml` calls right, and a judge of it.

    {scene: v01, say: "what colour is that thing?", right: "cyan"}
    {say: "draw a red circle moving left", draw: "red circle left"}

An answer is right when it says all that is asked for and no rival of it: another word of the same family
that the scene does not hold. "The red circle is left of the blue square" names blue after what was asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import permutations
from pathlib import Path
from typing import Any

import yaml

from gpt4video.answer import Answer
from gpt4video.evaluation.conversations import declines, refused, said, silent
from gpt4video.evaluation.play import Bench, Case
from gpt4video.messages import Conversation, Drawn, Message, Text, user
from gpt4video.shapes.language.describe import Request, Wanted, prompt
from gpt4video.shapes.language.judge import facts
from gpt4video.shapes.world import BACKGROUNDS, COLORS, MOTIONS, SHAPES, SIZES, SPEEDS, Scene, Thing

FILE = Path(__file__).parents[2] / "tests" / "handwritten.yaml"
KINDS = ("questions", "drawings", "edits", "others")
MEASURES = ("handwritten/all", *(f"handwritten/{kind}" for kind in KINDS))
Item = Mapping[str, Any]

FAMILIES: dict[str, tuple[str, ...]] = {
    "color": tuple(COLORS),
    "shape": SHAPES,
    "size": tuple(SIZES),
    "motion": MOTIONS,
    "background": tuple(BACKGROUNDS),
    "speed": tuple(SPEEDS),
    "count": ("one", "two", "three"),
}
"""Words that stand for their synonyms, and exclude each other."""
ONE = re.compile(r"\b(the|that|this|which|other|\w+er|\w+est|" + "|".join((*COLORS, *SIZES)) + r") one\b")


def words_of(text: str) -> list[tuple[str, str]]:
    """(family, value) of every fact in a text, in order; ways of moving are motions."""
    plain = ONE.sub(r"\1", text.lower())
    return [("motion" if f.family == "way" else f.family, f.value) for f in facts(plain)]


def family_of(word: str) -> tuple[str, str]:
    """The family of a word of the set, and the word."""
    if word.startswith("side:"):
        return "side", word.removeprefix("side:")
    return next((name for name, words in FAMILIES.items() if word in words), "literal"), word


def is_right(item: Item, scene: Scene, reply: str) -> bool:
    """Whether the reply says what `right` asks for, and no rival."""
    if item["right"] in ("yes", "no"):
        first = re.match(r"\W*(\w+)", reply.lower())
        yes, no = ("yes", "yeah", "yep", "correct", "right"), ("no", "nope")
        return first is not None and first[1] in (yes if item["right"] == "yes" else no)
    groups = [[family_of(word) for word in group.split(" / ")] for group in item["right"].split(" + ")]
    heard = words_of(reply)
    if any(family == "side" for group in groups for family, _ in group):  # "to the left" may be either
        ways = {"left": "left", "right": "right", "up": "above", "down": "below"}
        heard = [("side", ways.get(v, v)) if f == "motion" else (f, v) for f, v in heard]

    def is_said(family: str, word: str) -> bool:
        literal = family == "literal" and re.search(rf"\b{re.escape(word)}\b", reply.lower())
        return bool(literal) or (family, word) in heard

    if not all(any(is_said(*word) for word in group) for group in groups):
        return False
    accepted = {word for group in groups for word in group}
    return not any(
        _is_rival(fact, at, heard, accepted, item, scene)
        for at, fact in enumerate(heard)
        if fact not in accepted
    )


def _is_rival(
    fact: tuple[str, str],
    at: int,
    heard: list[tuple[str, str]],
    accepted: set[tuple[str, str]],
    item: Item,
    scene: Scene,
) -> bool:
    """Whether a word that was not asked for makes the reply wrong."""
    family, value = fact
    own = {word for f, word in accepted if f == family}
    if not own or value == "one":
        return False
    asked = {word for f, word in words_of(item["say"]) if f == family}
    if value in asked and not own & asked:  # the question itself names it, and not as one of a choice
        return False
    event = scene.event
    if family == "color" and event is not None and event.new_color in own | {value}:
        return value not in (event.color, event.new_color)  # "it turns from orange to cyan"
    true = {w for t in scene.things for w in (t.color, t.shape, t.size, t.motion, t.speed)}
    before = any(word in accepted for word in heard[:at])
    return not (before and value in true)


def wish_of(text: str) -> Request:
    """`small red circle left; on black` as a request. Words that are left out are free."""
    things, background = [], None
    for part in text.split(";"):
        words = part.split()
        if words[0] == "on":
            background = words[1]
        elif words != ["any"]:
            found = {name: word for word in words for name in FAMILIES if word in FAMILIES[name]}
            assert len(found) == len(words), f"unknown words in {part!r}"
            things.append(Wanted(**{"shape": "", **{n: w for n, w in found.items() if n != "count"}}))
    return Request(tuple(things), background)


def read_instruction(instruction: str) -> Request:
    """What an instruction says, read by its words: each object up to the next noun that follows a size or
    colour."""
    plain = instruction.lower().partition(", with the ")[0]
    body, _, ground = plain.rpartition(" on a ") if " background" in plain else (plain, "", "")
    background = next((v for f, v in words_of(ground) if f == "background"), None)
    things: list[dict[str, str]] = []
    noun: dict[str, str] = {}
    for family, value in words_of(body):
        if family in ("color", "size"):
            noun[family] = value
        elif family == "shape":
            things.append({**noun, "shape": value})
            noun = {}
        elif family in ("motion", "speed") and things:
            things[-1][family] = value
    return Request(tuple(Wanted(**thing) for thing in things), background)


def meets(wish: Request, item: Item, instruction: str | None) -> bool:
    """Whether an instruction says all that is wished for, and has no object more or less."""
    if instruction is None:
        return False
    found = read_instruction(instruction)
    if wish.background not in (None, found.background) or item.get("says", "") not in instruction.lower():
        return False
    if not wish.things:
        return True
    if len(wish.things) != len(found.things):
        return False
    return any(
        all(_agree(w, t) for w, t in zip(wish.things, order, strict=True))
        for order in permutations(found.things)
    )


def _agree(wanted: Wanted, found: Wanted) -> bool:
    return all(
        getattr(wanted, name) in (None, "", getattr(found, name))
        for name in ("shape", "color", "size", "motion", "speed")
    )


MUST: dict[str, Callable[[Answer], bool]] = {
    "chat": lambda answer: silent(answer) and bool(answer.text) and not refused(answer),
    "decline": declines,
    "refuse": refused,
}
"""What the answers to `others` must be."""


def right_answer(item: Item, scene: Scene | None, answer: Answer) -> bool:
    """Whether an answer is what an item calls right."""
    if "draw" in item:
        return meets(wish_of(item["draw"]), item, said(answer))
    if "must" in item:
        return MUST[item["must"]](answer)
    assert scene is not None, "questions are about posted videos"
    return silent(answer) and is_right(item, scene, answer.text)


def scene_of(data: Mapping[str, Any]) -> Scene:
    """A scene of the file."""
    things = [
        Thing(**{k: tuple(v) if isinstance(v, list) else v for k, v in t.items()}) for t in data["things"]
    ]
    return Scene(**{**data, "things": tuple(things)})


def read_set() -> tuple[dict[str, Scene], dict[str, list[Item]]]:
    """The scenes and the items, by kind."""
    data = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return {name: scene_of(s) for name, s in data["scenes"].items()}, {kind: data[kind] for kind in KINDS}


def conversation_of(item: Item, shown: list[Any]) -> Conversation:
    """The turns before, and what is said; `shown` is posted first."""
    turns = []
    if "drew" in item:
        words = prompt(wish_of(item["drew"]))
        turns = [user(f"Draw {words}."), Message("assistant", (Text(f"Here is {words}."), Drawn(words)))]
    for question, reply in item.get("before", []):
        turns += [user(*shown, question), Message("assistant", (Text(reply),))]
        shown = []
    return (*turns, user(*shown, item["say"]))


def cases(bench: Bench) -> Iterator[Case]:
    """Every item, once."""
    scenes, items = read_set()
    for kind in KINDS:
        for item in items[kind]:
            scene = scenes.get(item.get("scene", ""))
            shown = [] if scene is None else [bench.film(scene, bench.rng(item["scene"], 0))]

            def judge(
                answer: Answer, item: Item = item, scene: Scene | None = scene, kind: str = kind
            ) -> dict[str, bool]:
                right = right_answer(item, scene, answer)
                return {"handwritten/all": right, f"handwritten/{kind}": right}

            yield Case(conversation_of(item, shown), judge)
