"""`gpt4video generate "prompt" -o out.mp4`: draw one video, with a progress bar on stderr."""

from __future__ import annotations

import argparse
import asyncio
import re
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from tqdm import tqdm

from gpt4video.commands.command import (
    BAD_INPUT,
    DONE,
    FAILED,
    REFUSED,
    Command,
    add_config,
    open_assistant,
    print_json,
    save_video,
    say,
    video_json,
)
from gpt4video.errors import GenerationFailed, InputError, Refused
from gpt4video.messages import DrawOptions, GenerationRequest, VideoDone, VideoFailed, VideoProgress

if TYPE_CHECKING:
    from gpt4video.assistant import Assistant

STATUSES = {Refused.code: REFUSED, GenerationFailed.code: FAILED, "video_not_available": BAD_INPUT}
"""Exit status by the code of a video that failed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("prompt", help="what the video shows, in quotes")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, required=True, help="the mp4 to write")
    add_config(parser)
    parser.add_argument("--seed", type=int, metavar="N", help="the same seed draws the same video")
    parser.add_argument("--seconds", type=float, metavar="S", help="length (default: the drawer's own)")
    parser.add_argument("--steps", type=int, metavar="K", help="denoising steps (default: the drawer's own)")
    parser.add_argument("--size", type=size, metavar="WxH", help="in pixels (default: the drawer's own)")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def size(text: str) -> tuple[int, int]:
    """`512x320` as (512, 320)."""
    if not (match := re.fullmatch(r"(\d+)x(\d+)", text)):
        raise argparse.ArgumentTypeError(f"must be WIDTHxHEIGHT, as in 512x320, got {text!r}")
    return int(match[1]), int(match[2])


def run(args: argparse.Namespace) -> int:
    """Draw; 3 when safety refused."""
    if not args.output.parent.is_dir():  # said before minutes of drawing, not after
        raise InputError(f"Cannot write {args.output}: there is no folder {args.output.parent}.")
    if args.output.is_dir():
        raise InputError(f"Cannot write {args.output}: it is a folder; a file's name fits.")
    assistant = open_assistant(args.config)
    options = DrawOptions(seconds=args.seconds, size=args.size, steps=args.steps, seed=args.seed)
    request, limits = GenerationRequest(args.prompt, options), assistant.limits
    outcome = asyncio.run(draw(assistant, args.prompt, options))
    if isinstance(outcome, VideoFailed):
        if args.json:
            print_json(video_json(outcome, request, limits))
        say(f"gpt4video generate: {outcome.message}")
        return STATUSES.get(outcome.code, FAILED)
    save_video(outcome, args.output)
    if args.json:
        print_json(video_json(outcome, request, limits, args.output))
    else:
        print(f"{args.output} (seed {outcome.seed})")
    return DONE


async def draw(assistant: Assistant, prompt: str, options: DrawOptions) -> VideoDone | VideoFailed:
    """One drawing, with a bar on stderr once it begins. Raises `InputError` for options that do not fit."""
    outcome: VideoDone | VideoFailed | None = None
    bar: tqdm[NoReturn] | None = None
    with ExitStack() as closing:
        async for event in assistant.draw(prompt, options):
            match event:
                case VideoProgress():
                    if bar is None:
                        bar = tqdm(desc="drawing", unit="step", total=event.steps, leave=False)
                        closing.enter_context(bar)
                    bar.update(event.step - bar.n)
                    bar.refresh()
                case VideoDone() | VideoFailed():
                    outcome = event
    assert outcome is not None, "a drawing ends with its video or with why there is none"
    return outcome


COMMAND = Command("draw a video from words", add_arguments, run)
