"""One text seen in several ways, so that a disguise which fools one view is plain in another.

    plain      NFKC, tag characters read as letters, invisible characters out, lower case
    folded     look-alikes of other alphabets as the Latin letter people see, accents out   (Cyrillic а -> a)
    joined     letters spelled apart pulled together                                        (n.o d-e -> node)
    leet       digits and signs inside words as letters                                     (n0d3 -> node)
    squeezed   three and more of a letter as one, and as two                                (noooode -> node)
    reversed   what a right-to-left override shows backwards

Text without disguise has one view only, hence costs one look. The idea of the folding is Unicode's UTS 39,
whose table is far larger; the letters here are those that imitate Latin ones best.
"""

from __future__ import annotations

import re
import unicodedata

TAGS = {0xE0000 + code: chr(code) for code in range(0x20, 0x7F)}
"""Unicode tag characters: invisible to people, read by some models as the ASCII they stand for."""

_PAIRS = (
    # Cyrillic, small and capital: a capital may imitate another letter than its small form does.
    "аa бb вb гr ԁd еe ёe зe іi їi јj кk ӏl мm нh оo рp ԛq ѕs тt уy ґr хx сc ԝw һh ѵv лn пn "
    "АA ВB ЕE ЅS ІI ЇI ЈJ КK МM НH ОO РP СC ТT УY ХX ЗE ИN ЯR "
    # Greek, small and capital.
    "αa βb γy δd εe ζz ηn ιi κk νv οo πn ρp σo ςs τt υu χx ωw ΑA ΒB ΕE ΖZ ΗH ΙI ΚK ΜM ΝN ΟO ΡP ΤT ΥY ΧX ΣE "
    # Latin letters of phonetics and of other languages.
    "ıi ɑa ɡg ɩi ʏy ɴn ʜh ᴀa ᴄc ᴅd ᴇe ᴋk ᴍm ᴏo ᴘp ᴛt ᴜu ᴠv ᴡw ᴢz øo đd łl ħh ŧt ɪi ʀr ʟl ɢg ꜱs ꜰf ʙb"
)
LOOKALIKES = str.maketrans({pair[0]: pair[1] for pair in _PAIRS.split()})
"""Letters of other alphabets as the Latin letter that people see in them."""

LEET = str.maketrans("0134567@$!|+€", "oieasgtasilte")
"""Digits and signs as the letter they stand for inside a word."""

_OVERRIDE = re.compile("\u202e([^\u202c\n]*)")
_BLANKS = "\u115f\u1160\u2800\u3164\uffa0"  # letters to Unicode, blank to people
_SPELLED = (
    # The same sign between all letters, so that other signs still part words: "n.o d.e" is "no de".
    re.compile(r"(?<![^\W_])[^\W_]([\W_]{1,3})[^\W_](?:\1[^\W_])+(?![^\W_])"),
    # Any signs: "n.o d-e" is "node".
    re.compile(r"(?<![^\W_])[^\W_](?:[\W_]{1,3}[^\W_]){2,}(?![^\W_])"),
)
_WORD = re.compile(r"[\w@$!|+€]*[a-z][\w@$!|+€]*")
_RUN = re.compile(r"([^\W\d_])\1{2,}")


def views(text: str) -> tuple[str, ...]:
    """Every way in which this text reads differently, the plain one first."""
    visible = _visible(text)
    folded = _without_marks(visible.translate(LOOKALIKES)).translate(LOOKALIKES).casefold()
    seen = [visible.casefold(), folded, *(spelled.sub(_together, folded) for spelled in _SPELLED)]
    seen += [_WORD.sub(lambda word: word[0].translate(LEET), view) for view in seen[1:]]
    for view in tuple(seen):
        if _RUN.search(view):
            seen += [_RUN.sub(r"\1", view), _RUN.sub(r"\1\1", view)]
    if "\u202e" in text:
        seen += views(_OVERRIDE.sub(lambda turned: turned[1][::-1], text))
    return tuple(dict.fromkeys(" ".join(view.split()) for view in seen))


def _visible(text: str) -> str:
    """Compatible forms, without what people cannot see."""
    text = unicodedata.normalize("NFKC", text.translate(TAGS))
    if text.isascii():
        return text
    return "".join(c for c in text if c not in _BLANKS and unicodedata.category(c) != "Cf")


def _together(spelled: re.Match[str]) -> str:
    """`n u d e` as `nude`, `a n u d e` as `anude nude`: its first letter may be a word of its own."""
    letters = re.sub(r"[\W_]", "", spelled[0])
    return f"{letters} {letters[1:]}" if letters[0] in "ai" else letters


def _without_marks(text: str) -> str:
    """Without accents and strokes laid over letters."""
    if text.isascii():
        return text
    return "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn")
