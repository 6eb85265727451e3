"""The console script: everything of `gpt4video.cli`, and `serve`.

    gpt4video serve [--config FILE] [--host ADDRESS] [--port NUMBER]

Nothing heavy is imported here: the page answers while the model loads.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from gpt4video import cli
from gpt4video.commands.command import Command
from gpt4video.config import resolve

if TYPE_CHECKING:
    from gpt4video.assistant import Assistant


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `serve`."""
    parser.add_argument(
        "--config", metavar="FILE", help="a config or checkpoint (default: the embedded model)"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on (default %(default)s)")


def serve(args: argparse.Namespace) -> int:
    """Listen until stopped. The model loads meanwhile. Raises `ConfigError` where there is no such config."""
    import uvicorn

    from server.app import create_app

    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    app = create_app(loader(args.config))
    uvicorn.run(app, host=args.host, port=args.port, timeout_graceful_shutdown=5, server_header=False)
    return 0


def loader(config: str | None) -> Callable[[], Assistant]:
    """How to load a config by name or path; raises `ConfigError` at once where there is none."""
    arguments: list[Any] = [] if config in (None, "embedded") else [resolve(str(config))]

    def load() -> Assistant:
        from gpt4video.loading import load

        return load(*arguments)

    return load


COMMANDS = {"serve": Command("serve the model and the web page over HTTP", add_arguments, serve)}
"""What the server adds to the table of `gpt4video.cli`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    return cli.main(argv, COMMANDS)


if __name__ == "__main__":
    sys.exit(main())
