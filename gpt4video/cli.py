"""The command line: a table of commands, and how whatever goes wrong becomes an exit status.

    0 done    2 bad usage or input: one line on stderr    3 refused by safety    1 anything else

`python -m gpt4video` runs it; the console script adds the server's commands to the table.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

import gpt4video
from gpt4video.commands import ask, chat, convert, doctor, generate, learning, norms
from gpt4video.commands.command import BAD_INPUT, FAILED, REFUSED, Command, say
from gpt4video.errors import Gpt4VideoError, InputError, Refused

__all__ = ["COMMANDS", "Command", "main"]

COMMANDS: dict[str, Command] = {
    "ask": ask.COMMAND,
    "generate": generate.COMMAND,
    "chat": chat.COMMAND,
    "train": learning.TRAIN,
    "evaluate": learning.EVALUATE,
    "norms": norms.COMMAND,
    "convert": convert.COMMAND,
    "doctor": doctor.COMMAND,
}
"""Every command by its name."""

STOPPED = 130
"""Exit status after Ctrl-C, as shells have it."""


def main(argv: Sequence[str] | None = None, extra: Mapping[str, Command] | None = None) -> int:
    """Run one command and give its exit status; `extra` commands stand beside our own."""
    commands = {**COMMANDS, **(extra or {})}
    try:
        args = _parser(commands).parse_args(argv)
    except SystemExit as leaving:  # argparse has said why, on stderr
        return int(leaving.code or 0)
    name = f"gpt4video {args.command}"
    try:
        return commands[args.command].run(args)
    except Refused as error:
        return _told(name, error, REFUSED)
    except InputError as error:
        return _told(name, error, BAD_INPUT)
    except Gpt4VideoError as error:
        return _told(name, error, FAILED)
    except KeyboardInterrupt:
        say(f"{name}: stopped")
        return STOPPED
    except BrokenPipeError:  # whoever read our output has gone, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception:
        logging.getLogger("gpt4video").exception("%s broke.", name)
        return FAILED


class Parser(argparse.ArgumentParser):
    """argparse, but bad usage is one line."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and leave."""
        self.exit(BAD_INPUT, f"{self.prog}: {message} (see {self.prog} --help)\n")


def _parser(commands: Mapping[str, Command]) -> Parser:
    parser = Parser(
        prog="gpt4video",
        description="One conversation in which people post videos and ask about them, and ask for new ones.",
    )
    parser.add_argument("--version", action="version", version=gpt4video.__version__)
    words = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in commands.items():
        command.add_arguments(words.add_parser(name, help=command.help, description=f"{command.help}."))
    return parser


def _told(name: str, error: Gpt4VideoError, status: int) -> int:
    """One line on stderr, whatever lines the message had."""
    say(f"{name}: {' '.join(error.message.split())}")
    return status


if __name__ == "__main__":
    sys.exit(main())
