"""What a command is, and what commands share: exit statuses, opening the assistant, writing files."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpt4video.errors import InputError
from gpt4video.interfaces import DrawerLimits
from gpt4video.messages import GenerationRequest, SamplingParams, VideoDone, VideoFailed

if TYPE_CHECKING:
    from gpt4video.assistant import Assistant

DONE, FAILED, BAD_INPUT, REFUSED = 0, 1, 2, 3
"""Exit statuses: done; anything else; bad usage or input, one line on stderr; refused by safety."""


@dataclass(frozen=True)
class Command:
    """One word after `gpt4video`."""

    help: str
    """One line for the list of commands."""
    add_arguments: Callable[[argparse.ArgumentParser], None]
    """Declares its options."""
    run: Callable[[argparse.Namespace], int]
    """Does it and gives the exit status. What it raises of `errors.py` becomes a line on stderr."""


def add_config(parser: argparse.ArgumentParser) -> None:
    """The option that says which assistant to open."""
    parser.add_argument(
        "--config", metavar="FILE", help="a config or checkpoint (default: the embedded checkpoint)"
    )


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """The options of how replies are sampled."""
    own = SamplingParams()
    parser.add_argument("--max-tokens", type=int, default=own.max_tokens, metavar="N", help="longest reply")
    parser.add_argument(
        "--temperature", type=float, default=own.temperature, metavar="T", help="0 is greedy (default)"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="the same seed gives the same reply and video")


def add_videos_folder(parser: argparse.ArgumentParser) -> None:
    """The option that says where drawn videos go."""
    parser.add_argument(
        "--videos", metavar="FOLDER", type=Path, default=Path(), help="where drawn videos go (default: here)"
    )


def demand_folder(folder: Path) -> None:
    """Raise `InputError` where videos could not be put: said before anything is drawn, not after."""
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder} for drawn videos; --videos takes one that is there.")


def sampling_of(args: argparse.Namespace) -> SamplingParams:
    """How replies are sampled, from the options."""
    return SamplingParams(max_tokens=args.max_tokens, temperature=args.temperature, seed=args.seed)


def open_assistant(config: str | None) -> Assistant:
    """The assistant of `--config`, with the libraries' own chatter off."""
    quiet()
    from gpt4video.loading import load

    return load(config)


def quiet() -> None:
    """Progress bars and warnings of the libraries are no part of an answer."""
    import diffusers
    import transformers

    for library in (transformers, diffusers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()


def print_json(value: dict[str, Any]) -> None:
    """One JSON object, the only thing on stdout."""
    print(json.dumps(value, ensure_ascii=False))


def say(line: str) -> None:
    """A line on stderr."""
    print(line, file=sys.stderr, flush=True)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that is there whole or not at all. Raises `InputError` where it cannot be written."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        unfinished.write_bytes(data)
        unfinished.replace(path)
    except OSError as error:
        raise InputError(f"Cannot write {path}: {error.strerror}.") from error
    finally:
        unfinished.unlink(missing_ok=True)


def save_video(done: VideoDone, path: Path) -> None:
    """Write a drawn video as mp4."""
    from gpt4video.video import encode_mp4

    write_whole(path, encode_mp4(done.clip, done.clip.fps))


def video_json(
    event: VideoDone | VideoFailed,
    request: GenerationRequest,
    limits: DrawerLimits,
    path: Path | None = None,
) -> dict[str, Any]:
    """The video that `request` asked for as the HTTP API shows it, without what only a server knows.

    `url` is the file's path; what a failed one leaves open is the drawer's own, as in the API.
    """
    options = request.options
    seconds = limits.seconds if options.seconds is None else options.seconds
    video = {
        "object": "video",
        "status": "failed",
        "progress": 0,
        "prompt": request.prompt or None,
        "seconds": f"{seconds:g}",
        "size": "{}x{}".format(*(options.size or limits.size)),
        "fps": limits.fps,
        "seed": options.seed,
        "num_inference_steps": options.steps or limits.steps,
        "error": None,
        "url": None,
    }
    if isinstance(event, VideoFailed):
        return video | {"error": {"code": event.code, "message": event.message}}
    height, width = event.clip.frames.shape[1:3]
    return video | {
        "status": "completed",
        "progress": 100,
        "seconds": f"{event.clip.duration:g}",
        "size": f"{width}x{height}",
        "fps": event.clip.fps,
        "seed": event.seed,
        "url": None if path is None else str(path),
    }
