"""`gpt4video keys`: make, list and revoke API keys in a server's database, whether or not it runs.

gpt4video keys create --name NAME [limits] [--json]     the key is shown once
gpt4video keys list [--json]
gpt4video keys revoke KEY [--json]                      by id, or by a name that only one has
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpt4video.commands.command import DONE, Command, print_json, say
from gpt4video.errors import Gpt4VideoError, InputError
from server.settings import Settings, settings_of

if TYPE_CHECKING:
    from server.keys import Key, Keys

LIMITS = {
    "requests_per_minute": (int, "requests that make work, a minute"),
    "tokens_per_minute": (int, "tokens read and written, a minute"),
    "video_seconds_per_day": (float, "seconds of video drawn, a day (UTC)"),
    "requests_at_once": (int, "requests under way at the same time"),
}
"""What can be limited for one key; 0 is no limit, and left out means the server's own."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its words and options."""
    words = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    create = words.add_parser("create", help="make a key and show it, once")
    create.add_argument("--name", required=True, help="what you will know it by")
    for name, (kind, help) in LIMITS.items():
        option = f"--{name.replace('_', '-')}"
        create.add_argument(option, type=kind, metavar="N", help=f"{help}; 0 is no limit")
    listing = words.add_parser("list", help="show all keys but not their secrets")
    revoke = words.add_parser("revoke", help="make a key useless, for ever")
    revoke.add_argument("key", metavar="KEY", help="its id, or its name where only one has it")
    for word in (create, listing, revoke):
        word.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
        word.add_argument("--settings", type=Path, metavar="FILE", help="the server's settings")
        word.add_argument("--data", type=Path, metavar="FOLDER", help="the server's data folder")
        word.add_argument("--database", metavar="URL", help="the server's database")


def run(args: argparse.Namespace) -> int:
    """Open the database, do it, and tell. Raises `InputError` for what does not fit."""
    return asyncio.run(_run(args))


async def _run(args: argparse.Namespace) -> int:
    from server.errors import ApiError

    settings = settings_of(args.settings, data_dir=args.data, database_url=args.database)
    try:
        async with opened(settings) as keys:
            if keys is None:
                message = "Which database? --data, --database or --settings says where the server keeps it."
                raise InputError(message)
            return await ACTIONS[args.action](keys, args)
    except ApiError as error:  # what a client of the server would be told of its database
        raise Gpt4VideoError(str(error.body["error"]["message"])) from error


@asynccontextmanager
async def opened(settings: Settings) -> AsyncGenerator[Keys | None, None]:
    """The keys of the database that these settings name; None where everything is temporary."""
    from server.keys import Keys
    from server.state.database import FILE_NAME, Database, sqlite_url

    folder = settings.data_dir
    url = settings.database_url or (sqlite_url(folder / FILE_NAME) if folder else None)
    if url is None:
        yield None
        return
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    database = Database(url)
    try:
        await database.open()
        yield Keys(database, settings.limits)
    finally:
        await database.close()


async def any_in(settings: Settings) -> bool:
    """Whether a key was ever made in the database that these settings name."""
    async with opened(settings) as keys:
        return keys is not None and await keys.exist()


async def _create(keys: Keys, args: argparse.Namespace) -> int:
    given = {name: getattr(args, name) for name in LIMITS if getattr(args, name) is not None}
    key, secret = await keys.create(args.name, {name: value or None for name, value in given.items()})
    if args.json:
        print_json({**key.as_json(), "key": secret})
    else:
        say(f"{_line(key)}\nThis is the only time that the key itself is shown:")
        print(secret)
    return DONE


async def _list(keys: Keys, args: argparse.Namespace) -> int:
    found = await keys.all()
    if args.json:
        print_json({"object": "list", "data": [key.as_json() for key in found]})
    else:
        print("\n".join(map(_line, found)) or "There are no keys.")
    return DONE


async def _revoke(keys: Keys, args: argparse.Namespace) -> int:
    key = await keys.revoke(args.key)
    if args.json:
        print_json(key.as_json())
    else:
        print(_line(key))
    return DONE


ACTIONS: dict[str, Callable[[Keys, argparse.Namespace], Awaitable[int]]] = {
    "create": _create,
    "list": _list,
    "revoke": _revoke,
}
"""Every word after `gpt4video keys`."""


def _line(key: Key) -> str:
    words: list[Any] = [key.id, key.name, f"created {_day(key.created_at)}"]
    if key.revoked_at:
        words.append(f"revoked {_day(key.revoked_at)}")
    words += [f"{name}={'none' if value is None else f'{value:g}'}" for name, value in key.overrides.items()]
    return "  ".join(words)


def _day(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M")


COMMAND = Command("make, list and revoke API keys", add_arguments, run)
