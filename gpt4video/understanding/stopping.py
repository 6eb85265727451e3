"""Stop strings in a stream: the reply ends before the first of them, and half of one is never shown.

stop = ("\\n\\n",)      "Yes."  "\\n"  "\\nNo."    ->    "Yes."  ""  "" and found
"""

from __future__ import annotations

from collections.abc import Sequence


class StopStrings:
    """Watches one reply, cut anywhere: `feed` every piece, then `close`. `found` says that it has ended."""

    def __init__(self, stop: Sequence[str]) -> None:
        self._stop = tuple(word for word in stop if word)
        self._held = ""
        self.found = False

    def feed(self, piece: str) -> str:
        """What may be shown after this piece."""
        if self.found:
            return ""
        text = self._held + piece
        places = [place for word in self._stop if (place := text.find(word)) >= 0]
        if places:
            self.found, self._held = True, ""
            return text[: min(places)]
        sure = len(text) - max((_half(text, word) for word in self._stop), default=0)
        self._held = text[sure:]
        return text[:sure]

    def close(self) -> str:
        """What was held back in vain: the reply has ended by itself."""
        held, self._held = self._held, ""
        return held


def _half(text: str, word: str) -> int:
    """How many characters at the end of `text` may be the start of `word`."""
    longest = min(len(text), len(word) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(word[:n])), 0)
