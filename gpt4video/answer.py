"""A whole answer as one value, for those who do not want to follow its events as they come."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from gpt4video.messages import Event, Finished, FinishReason, TextDelta, Usage, VideoDone, VideoFailed
from gpt4video.streams import closing


@dataclass(frozen=True)
class Answer:
    """Words, videos, and how the answer ended."""

    text: str
    """All words, without instructions."""
    videos: tuple[VideoDone, ...] = ()
    """The videos that were drawn, in order."""
    failures: tuple[VideoFailed, ...] = ()
    """The videos that will not come, and why."""
    usage: Usage = field(default_factory=Usage)
    """Tokens read and written."""
    finish_reason: FinishReason = "stop"
    """Why it ended."""


async def collect(events: AsyncIterator[Event]) -> Answer:
    """The answer that these events add up to; the iterator is closed afterwards."""
    words: list[str] = []
    videos: list[VideoDone] = []
    failures: list[VideoFailed] = []
    end = Finished("stop", Usage())
    async with closing(events):
        async for event in events:
            match event:
                case TextDelta():
                    words.append(event.text)
                case VideoDone():
                    videos.append(event)
                case VideoFailed():
                    failures.append(event)
                case Finished():
                    end = event
    return Answer("".join(words).strip(), tuple(videos), tuple(failures), end.usage, end.reason)
