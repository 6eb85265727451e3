"""The console script: everything of `gpt4video.cli`, `serve` and `keys`.

    gpt4video serve [--config FILE] [--host ADDRESS] [--port NUMBER] [--allow-anonymous] [--data FOLDER]
                    [--database URL] [--blobs URL] [--settings FILE] [--log-format text|json]
                    [--decoder pyav|decord] [--unconfined-decoding]
    gpt4video keys  create | list | revoke

Nothing heavy is imported here: the page answers while the model loads.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gpt4video import cli
from gpt4video.checkpoint import PARTS, AssistantConfig, find
from gpt4video.commands.command import DONE, FAILED, Command, open_assistant, say
from gpt4video.errors import InputError
from gpt4video.video import DECODERS
from server import keys_command, logs
from server.settings import Settings, settings_of

if TYPE_CHECKING:
    from gpt4video.assistant import Assistant


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `serve`."""
    parser.add_argument(
        "--config", metavar="FILE", help="a config or checkpoint (default: the embedded model)"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    parser.add_argument("--port", type=port, default=8000, help="port to listen on (default %(default)s)")
    parser.add_argument(
        "--data",
        metavar="FOLDER",
        type=Path,
        help="where files, videos, jobs and keys are kept (default: a folder that ends with the server)",
    )
    parser.add_argument(
        "--database",
        metavar="URL",
        help="sqlite:///FILE or postgresql://USER@HOST/NAME (default: a file in --data)",
    )
    parser.add_argument(
        "--blobs", metavar="URL", help="a folder or s3://BUCKET/PREFIX for the bytes (default: in --data)"
    )
    parser.add_argument(
        "--settings",
        metavar="FILE",
        type=Path,
        help="a YAML file of the server's settings; GPT4VIDEO_<NAME> in the environment sets single ones",
    )
    parser.add_argument(
        "--decoder", choices=tuple(DECODERS), help=f"what reads posted videos (default {Settings.decoder})"
    )
    parser.add_argument(
        "--unconfined-decoding",
        action="store_true",
        default=None,
        help="serve trusted files on a system that cannot confine a decoder (`gpt4video doctor` tells)",
    )
    parser.add_argument(
        "--allow-anonymous",
        action="store_true",
        help="serve without keys on an address that others can reach",
    )
    parser.add_argument(
        "--log-format",
        choices=tuple(logs.FORMATS),
        default="text",
        help="words for people or JSON for machines, a record a line (default %(default)s)",
    )


def port(text: str) -> int:
    """A port's number; 0 is any that is free."""
    if not (text.isdecimal() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"must be 0 to 65535, got {text[:20]!r}")
    return int(text)


def serve(args: argparse.Namespace) -> int:
    """Listen until stopped; the model loads meanwhile. Raises `InputError` for what cannot be served."""
    load = loader(args.config)
    given = {
        "data_dir": args.data,
        "database_url": args.database,
        "blob_url": args.blobs,
        "decoder": args.decoder,
        "unconfined_decoding": args.unconfined_decoding,
    }
    settings = guarded(settings_of(args.settings, **given), args.host, args.allow_anonymous)
    with listen(args.host, args.port) as listener:
        from server.app import create_app
        from server.process import LAST_SECONDS, Server

        logs.install(args.log_format)
        app = create_app(load, settings)
        app.state.service.clips.demand_confined()
        server = Server(app)
        host = f"[{args.host}]" if ":" in args.host else args.host
        say(
            f"gpt4video is on http://{host}:{listener.getsockname()[1]} and loads its model; Ctrl-C stops it."
        )
        # Told to stop by Ctrl-C, the server closes in order and then raises the signal again.
        try:
            with suppress(KeyboardInterrupt):
                server.run(sockets=[listener])
        finally:
            gc.unfreeze()  # the libraries' own ends look for what was never freed
    status = DONE if server.started else FAILED
    if not app.state.service.drawer_ends(LAST_SECONDS):
        logging.shutdown()
        os._exit(status)  # the interpreter would wait for the drawer's thread for ever
    return status


def guarded(settings: Settings, host: str, anonymous: bool) -> Settings:
    """Settings that ask for keys wherever others can reach the server, unless the operator says otherwise.

    Raises `InputError` where keys are asked for and none was made: nobody could come in.
    """
    from server.origin import is_loopback

    if is_loopback(host):
        return settings
    if anonymous:
        return replace(settings, allowed_hosts=settings.allowed_hosts or ("*",))
    if not asyncio.run(keys_command.any_in(settings)):
        raise InputError(
            f"Others can reach {host}, and there is no key yet: `gpt4video keys create --name NAME --data "
            "FOLDER` makes one for a server on the same --data; --allow-anonymous serves everybody."
        )
    return replace(settings, demand_keys=True)


def listen(host: str, port: int) -> socket.socket:
    """A socket at this address. Raises `InputError` where it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, UnicodeError) as error:
        reason = str(getattr(error, "strerror", "no such address")).partition(" (while")[0]
        message = f"Cannot listen on {host}, port {port}: {reason}. --host and --port take others."
        raise InputError(message) from error


def loader(config: str | None) -> Callable[[], Assistant]:
    """How to load a config by name or path.

    Raises `ConfigError` at once for what can be told without opening a part: there is no such file, it has
    fields that nobody knows, a part is missing.

    What was loaded is then left alone by the garbage collector: to look through its half a million objects
    takes a third of a second, in which nobody is answered.
    """
    file = find(config)
    description = AssistantConfig.of(file)
    for part in PARTS:
        description.fields(part, file)

    def load() -> Assistant:
        assistant = open_assistant(str(file))
        gc.collect()
        gc.freeze()
        return assistant

    return load


COMMANDS = {
    "serve": Command("serve the model and the web page over HTTP", add_arguments, serve),
    "keys": keys_command.COMMAND,
}
"""What the server adds to the table of `gpt4video.cli`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    return cli.main(argv, COMMANDS)


if __name__ == "__main__":
    sys.exit(main())
