"""Templates filled, and typed as people type."""

from __future__ import annotations

import re

import numpy as np

LEADS = (
    *("",) * 23,
    "Tell me: ",
    "Please tell me: ",
    "Hey, ",
    "Look at the video: ",
    "In this video, ",
    "In the video, ",
    "One question: ",
    "Quick question: ",
    "Question: ",
    "In the clip, ",
    "In this clip, ",
    "Just one thing: ",
    "I have a question: ",
    "Please tell me, ",
    "So tell me, ",
    "Please look: ",
    "Hi! ",
)


def casual(rng: np.random.Generator, text: str) -> str:
    """The same words as people type them: spelling, capitals, final marks."""
    if rng.random() < 0.4:
        text = text.replace("color", "colour").replace("Color", "Colour").replace("gray", "grey")
    if rng.random() < 0.3:
        text = text[:1].lower() + text[1:]
    last = rng.random()
    if last < 0.25 and text[-1:] in "?.":
        text = text[:-1]
    elif last < 0.28 and text.endswith("?"):
        text += "?"
    return text[:1].upper() + text[1:] if rng.random() < 0.65 else text


_OF_IT = re.compile(
    r"\b(?:the )?((?:first |old |new )?(?:color|shape|size|speed|motion|movement)) of it\b", re.I
)
_IT_FIRST = re.compile(r"^it[:,] ")
"""What names nothing is not named first: `it: color?`"""


def put(rng: np.random.Generator, template: str, **words: str) -> str:
    """A filled template, with a lead now and then, typed as people type."""
    text = template.format(**words)
    text = _IT_FIRST.sub("", _OF_IT.sub(lambda m: f"its {m[1].lower()}", text))
    lead = LEADS[int(rng.integers(len(LEADS)))]
    text = text[:1].upper() + text[1:] if not lead or lead.endswith("! ") else text[:1].lower() + text[1:]
    return casual(rng, lead + text)


def unled(question: str) -> str:
    """A question without its lead, beginning small, as it stands inside another sentence."""
    for lead in LEADS:
        if lead and question.lower().startswith(lead.lower()):
            question = question[len(lead) :]
    return question[:1].lower() + question[1:]
