"""How long each stage of an answer took, told to whoever wants to know; nobody, unless somebody listens.

    with stage("encode") as facts:       begun ------------------- ended       -> listener(Stage)
        ...
        facts["tokens"] = 128            told when it ends, also when it raises (outcome: the error's code)

A listener lives in a context variable, so each request may have its own: metrics and traces hang on it, and
the library knows neither. Tasks and `asyncio.to_thread` inherit it; a thread of one's own does not.
Facts are few and small: kinds, counts, codes. Never a prompt, a path, an address or an id.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

Fact = str | int | float | bool


@dataclass(frozen=True)
class Stage:
    """One stage that is over."""

    name: str
    """fetch, decode, encode, queue, prefill, words, safety, diffusion_queue, diffusion, mux."""
    began: float
    """When it began, by `time.monotonic()`, in seconds."""
    ended: float
    """When it ended, by the same clock."""
    facts: Mapping[str, Fact] = field(default_factory=dict)
    """What else is known of it."""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.began


Listener = Callable[[Stage], None]
listener: ContextVar[Listener | None] = ContextVar("listener", default=None)
"""Who hears of stages in this context. Quick, never raises, may be called from any thread."""


def tell(name: str, began: float, ended: float, **facts: Fact) -> None:
    """A stage whose times are known already."""
    if (hears := listener.get()) is not None:
        hears(Stage(name, began, ended, facts))


@contextmanager
def stage(name: str, **facts: Fact) -> Iterator[dict[str, Fact]]:
    """What happens inside is a stage; it yields the facts, to add to."""
    known: dict[str, Fact] = {"outcome": "ok", **facts}
    began = time.monotonic()
    try:
        yield known
    except BaseException as error:
        known["outcome"] = str(getattr(error, "code", None) or _kind(error))
        raise
    finally:
        tell(name, began, time.monotonic(), **known)


def _kind(error: BaseException) -> str:
    """`cancelled` for who left, `error` for the rest: a class's name would make a label for each."""
    return "error" if isinstance(error, Exception) else "cancelled"
