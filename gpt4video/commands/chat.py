"""`gpt4video chat`: a conversation in the terminal. A line is a message; videos are posted by their paths.

you> clips/street.mp4 What happens here?
A red circle moves to the left.
you> The same, but blue.
Here it is: a blue circle moves to the left.        video-1.mp4
you> /quit
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gpt4video.commands.ask import tell
from gpt4video.commands.command import (
    DONE,
    Command,
    add_config,
    add_sampling,
    add_videos_folder,
    demand_folder,
    open_assistant,
    sampling_of,
    say,
)
from gpt4video.commands.reading import VideoFiles
from gpt4video.errors import Gpt4VideoError, InputError
from gpt4video.messages import Conversation, Drawn, DrawOptions, Message, Part, Posted, Text
from gpt4video.video.container import ENDINGS

if TYPE_CHECKING:
    from gpt4video.assistant import Assistant

HELP = """A line is a message. A path of a video in it posts that video; so does /video PATH, with the next
message. Videos that are drawn are saved and named.
    /video PATH   post a video with the next message       /new    forget the conversation
    /help         this                                     /quit   leave (or Ctrl-D)"""
WORD = re.compile(r"""'[^']+'|"[^"]+"|(?:\\ |\S)+""")
"""A word as shells and file managers write paths: bare, in quotes, or with `\\ ` for a space."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    add_config(parser)
    add_sampling(parser)
    add_videos_folder(parser)


def run(args: argparse.Namespace) -> int:
    """Talk until /quit or the end of the input."""
    demand_folder(args.videos)
    with VideoFiles() as files:
        chat = Chat(open_assistant(args.config), args, files)
        if sys.stdin.isatty():
            say(HELP)
        while not chat.over and (line := _read_line()) is not None:
            try:
                chat.hear(line.strip())
            except Gpt4VideoError as error:
                say(error.message)
            except KeyboardInterrupt:
                say("stopped")
    return DONE


class Chat:
    """What has been said, and what is posted with the next message."""

    def __init__(self, assistant: Assistant, args: argparse.Namespace, files: VideoFiles) -> None:
        self._assistant, self._args, self._files = assistant, args, files
        self._turns: Conversation = ()
        self._posted: list[Part] = []
        self.over = False

    def hear(self, line: str) -> None:
        """One line: a command or a message. Raises `Gpt4VideoError`; the conversation is then as it was."""
        word, _, rest = line.partition(" ")
        match word:
            case "":
                pass
            case "/quit" | "/exit":
                self.over = True
            case "/new":
                self._turns, self._posted = (), []
            case "/video":
                self._posted.append(self._open(rest.strip().strip("'\"")))
                say("posted with your next message")
            case _ if word.startswith("/") and not Path(word).exists():
                say(HELP)
            case _:
                self._message(line)

    def _message(self, line: str) -> None:
        clips, words = self._split(line)
        parts = self._posted + clips
        if not words:
            self._posted = parts
            say("What would you like to know about it?")
            return
        turns = (*self._turns, Message("user", (*parts, Text(words))))
        args = self._args
        draw = DrawOptions(seed=args.seed)
        told = asyncio.run(tell(self._assistant, turns, sampling_of(args), draw, args.videos, aloud=True))
        self._posted = []
        if told["finish_reason"] != "content_filter":  # what was refused is not talked about again
            drawn = [Drawn(v["prompt"]) for v in told["videos"] if v["status"] == "completed"]
            self._turns = (*turns, Message("assistant", (Text(told["answer"]), *drawn)))

    def _split(self, line: str) -> tuple[list[Part], str]:
        """The videos whose paths are in a line, and the words that remain."""
        clips: list[Part] = []
        words = ""
        end = 0
        for word in WORD.finditer(line):
            path = Path(word[0].strip("'\"").replace("\\ ", " ")).expanduser()
            if path.suffix.lower() in ENDINGS and path.is_file():
                clips.append(self._open(str(path)))
                words, end = words + line[end : word.start()], word.end()
        return clips, (words + line[end:]).strip()

    def _open(self, path: str) -> Posted:
        if not path:
            raise InputError("Say which: /video PATH")
        return Posted(self._files.open_video(Path(path).expanduser(), self._assistant.encoder.sampling))


def _read_line() -> str | None:
    """The next line, or None at the end."""
    try:
        return input("you> " if sys.stdin.isatty() else "")
    except (EOFError, KeyboardInterrupt):
        return None


COMMAND = Command("talk in the terminal, with videos by their paths", add_arguments, run)
