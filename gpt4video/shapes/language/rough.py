"""What people say, as they type it in haste: for training only, and never what the assistant says.

    rough(rng, "Can you tell me what color it is?")     "hi can u tel me what color it is"

Letters are doubled, lost or swapped inside longer words alone: no word becomes another of the world's.
"""

from __future__ import annotations

import re

import numpy as np

Rng = np.random.Generator

CLEAN = 0.5
"""Share of turns that stay as they are."""
KEPT = ("there", "three", "first", "hoops", "rising")
"""Words that a slip would turn into others: `hoops` into `hops`, `there` into `three`."""
LONG = 5
"""Letters of the shortest word that is misspelled."""
BEFORE = (
    "hi, ", "hi ", "hi! ", "hi there, ", "hey ", "hey, ", "hey! ", "hey there, ", "hello, ", "hello! ",
    "hello ", "um ", "um, ", "uh, ", "erm, ", "hmm, ", "hm, ", "so ", "so, ", "ok so ", "well, ", "yo ",
    "please ", "pls ", "sorry, ", "alright, ", "quick one: ", "good morning, ", "oh and ", "also, ",
)  # fmt: skip
AFTER = (
    " please", " please", ", please", ", please", " pls", " plz", " thanks", ", thanks", " thx", " ty",
    ". thanks", ". Thanks!", ", thank you", ". thank you", " thank you", " :)", " :-)", "!!", " if you can",
    ", cheers", " mate", ", ok?", " now",
)  # fmt: skip
SHORTER = (
    (re.compile(r"\bwhat is\b", re.I), "whats"),
    (re.compile(r"\byou\b", re.I), "u"),
    (re.compile(r"\bare\b", re.I), "r"),
    (re.compile(r"\bplease\b", re.I), "pls"),
    (re.compile(r"\bbackground\b", re.I), "bg"),
    (re.compile(r"\bvideo\b", re.I), "vid"),
    (re.compile(r"\band\b", re.I), "&"),
    (re.compile(r"\bthanks\b", re.I), "thx"),
    (re.compile(r"\bwant to\b", re.I), "wanna"),
    (re.compile(r"\bgive me\b", re.I), "gimme"),
    (re.compile(r"\bthere is\b", re.I), "theres"),
    (re.compile(r"\bit is\b", re.I), "its"),
    (re.compile(r"\bwithout\b", re.I), "w/o"),
    (re.compile(r"\bwith\b", re.I), "w/"),
)
_WORDS = re.compile(rf"[A-Za-z]{{{LONG},}}")


def misspelled(rng: Rng, word: str) -> str:
    """The word with a letter doubled, lost or swapped with the next one; its first and last stay."""
    at = 1 + int(rng.integers(len(word) - 2))
    way = rng.random()
    if way < 0.3:
        return word[:at] + word[at] + word[at:]
    if way < 0.65 or at + 2 >= len(word):
        return word[:at] + word[at + 1 :]
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def _typos(rng: Rng, text: str) -> str:
    words = list(_WORDS.finditer(text))
    for _ in range(1 + int(rng.random() < 0.25)):
        if words:
            found = words.pop(int(rng.integers(len(words))))
            if found[0].lower() in KEPT:
                continue
            text = text[: found.start()] + misspelled(rng, found[0]) + text[found.end() :]
            words = [w for w in words if w.end() < found.start()]
    return text


def _courtesies(rng: Rng, text: str) -> str:
    """With a greeting before, or a word of thanks after."""
    toss = rng.random()
    if toss < 0.14:
        before = BEFORE[int(rng.integers(len(BEFORE)))]
        before = before[:1].upper() + before[1:] if text[:1].isupper() and rng.random() < 0.5 else before
        keep = before.rstrip().endswith(("!", ":")) or text[:2] in ("I ", "I'")
        text = before + (text if keep else text[:1].lower() + text[1:])
    elif toss < 0.28:
        after = AFTER[int(rng.integers(len(AFTER)))]
        mark = text[-1:] if text[-1:] in "?.!" else ""
        text = text.rstrip("?.!")
        if mark == "?" and (after[0] == "." or rng.random() < 0.4):
            return text + mark + after.replace(",", "").replace(".", "", 1)
        text += after + (mark if after[-1].isalpha() else "")
    return text


def rough(rng: Rng, text: str) -> str:
    """The same, with fewer capitals and marks, courtesies, shorter and misspelled words, or none of these."""
    if rng.random() < CLEAN:
        return text
    if text.count(" ") >= 3 and not text.lower().startswith("actually"):
        text = _courtesies(rng, text)
    tosses = rng.random(6)
    if tosses[0] < 0.6:
        text = text.lower()
    if tosses[1] < 0.5:
        text = text.rstrip("?.!")
    if tosses[2] < 0.4:
        text = text.replace("'", "")
    if tosses[3] < 0.12:
        text = text.replace(",", "")
    if tosses[4] < 0.18:
        pattern, short = SHORTER[int(rng.integers(len(SHORTER)))]
        text = pattern.sub(short, text)
    if tosses[5] < 0.22:
        text = _typos(rng, text)
    return text
