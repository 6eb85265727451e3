"""The last few values by key, bounded in number and in bytes; what was not used for longest goes first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from typing import Any, Generic, TypeVar

V = TypeVar("V")


def bytes_of(value: Any) -> int:
    """Bytes of the arrays and tensors in a value, as far as they say (`nbytes`)."""
    if isinstance(value, Mapping):
        return sum(bytes_of(v) for v in value.values())
    if isinstance(value, (tuple, list)):
        return sum(bytes_of(v) for v in value)
    return int(getattr(value, "nbytes", 0))


class Recent(Generic[V]):
    """A cache that several threads may use. A value larger than the whole cache is not kept."""

    def __init__(self, entries: int, most_bytes: int = 1 << 62) -> None:
        self._entries, self._most_bytes, self._bytes = entries, most_bytes, 0
        self._values: OrderedDict[Hashable, V] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> V | None:
        """The value of a key, which counts as used now; None when it is not here."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: Hashable, value: V) -> None:
        """Keep a value, in place of what was not used for longest."""
        with self._lock:
            self._bytes += bytes_of(value) - bytes_of(self._values.pop(key, None))
            self._values[key] = value
            while self._values and (len(self._values) > self._entries or self._bytes > self._most_bytes):
                self._bytes -= bytes_of(self._values.popitem(last=False)[1])
