"""Videos that a command is given by their paths: whoever made them, they are read in a confined process.

    with VideoFiles() as files:
        clip = files.open_video(path, sampling)

Nothing is started before the first video. Where the system cannot confine a decoder, this process decodes,
and says so once: unlike on a server, whoever runs the command has chosen the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from gpt4video import video
from gpt4video.commands.command import say
from gpt4video.errors import ConfigError
from gpt4video.video import Clip, Sampling, VideoInfo
from gpt4video.video.sandbox import Budget, Sandbox

BUDGET = Budget(seconds=600.0, cpu_seconds=600, memory=4 * 2**30)
"""More than a server gives a file: nobody else waits, and Ctrl-C is at hand."""


class Opens(Protocol):
    """What opens videos: a `Sandbox`, or the room `gpt4video.video` itself."""

    def open_video(self, source: Path | str, sampling: Sampling, /) -> Clip:
        """The frames that `sampling` looks at."""
        ...

    def probe(self, source: Path | str, /) -> VideoInfo:
        """What the file says of itself."""
        ...


class VideoFiles:
    """Opens videos as `gpt4video.video` does, with the same errors."""

    def __init__(self) -> None:
        self._sandbox = Sandbox(budget=BUDGET)
        self._opens: Opens = self._sandbox

    def __enter__(self) -> VideoFiles:
        return self

    def __exit__(self, *_: object) -> None:
        self._sandbox.close()

    def open_video(self, path: Path | str, sampling: Sampling) -> Clip:
        """As `gpt4video.video.open_video`."""
        try:
            return self._opens.open_video(path, sampling)
        except ConfigError:
            return self._unconfined().open_video(path, sampling)

    def probe(self, path: Path | str) -> VideoInfo:
        """As `gpt4video.video.probe`."""
        try:
            return self._opens.probe(path)
        except ConfigError:
            return self._unconfined().probe(path)

    @property
    def process(self) -> int | None:
        """Number of the process that decodes, where it is not this one."""
        return self._sandbox.process if self._opens is self._sandbox else None

    def _unconfined(self) -> Opens:
        say("This system cannot confine a decoder (`gpt4video doctor` tells why): use videos that you trust.")
        self._opens = video
        return video
