"""`gpt4video ask VIDEO "question"`: one question about one video; the answer streams to stdout."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpt4video.commands.command import (
    DONE,
    FAILED,
    REFUSED,
    Command,
    add_config,
    add_sampling,
    add_videos_folder,
    demand_folder,
    open_assistant,
    print_json,
    sampling_of,
    save_video,
    say,
    video_json,
)
from gpt4video.commands.reading import VideoFiles
from gpt4video.messages import (
    Conversation,
    DrawOptions,
    Finished,
    GenerationRequest,
    SamplingParams,
    TextDelta,
    VideoDone,
    VideoFailed,
    VideoProgress,
    VideoRequested,
    user,
)

if TYPE_CHECKING:
    from gpt4video.assistant import Assistant


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("video", metavar="VIDEO", help="path of a video file")
    parser.add_argument("question", help="what you want to know, in quotes")
    add_config(parser)
    add_sampling(parser)
    add_videos_folder(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def run(args: argparse.Namespace) -> int:
    """Ask; 3 when safety refused, 1 when a video was wanted and could not be drawn."""
    demand_folder(args.videos)
    with VideoFiles() as files:
        files.probe(args.video)  # a file that is none is told before the model is loaded
        assistant = open_assistant(args.config)
        clip = files.open_video(args.video, assistant.encoder.sampling)
    conversation = (user(clip, args.question),)
    draw = DrawOptions(seed=args.seed)
    told = asyncio.run(
        tell(assistant, conversation, sampling_of(args), draw, args.videos, aloud=not args.json)
    )
    if args.json:
        print_json(told)
    if told["finish_reason"] == "content_filter":
        return REFUSED
    return FAILED if any(video["status"] == "failed" for video in told["videos"]) else DONE


async def tell(
    assistant: Assistant,
    conversation: Conversation,
    params: SamplingParams,
    draw: DrawOptions,
    folder: Path,
    *,
    aloud: bool,
) -> dict[str, Any]:
    """The answer as the object of `POST /v1/ask`; `aloud` also prints its words as they come.

    Drawn videos are saved into `folder` under the next free name.
    """
    answer: dict[str, Any] = {"answer": "", "videos": [], "usage": {}, "finish_reason": "stop"}
    requests: dict[int, GenerationRequest] = {}
    limits = assistant.limits
    async for event in assistant.respond(conversation, params, draw):
        match event:
            case TextDelta():
                answer["answer"] += event.text
                if aloud:
                    print(event.text, end="", flush=True)
            case VideoRequested():
                requests[event.index] = event.request
            case VideoProgress():
                say(f"video {event.index + 1}: step {event.step} of {event.steps}")
            case VideoDone():
                path = free_name(folder)
                save_video(event, path)
                answer["videos"].append(video_json(event, event.request, limits, path))
                say(f"video {event.index + 1}: {path}")
            case VideoFailed():
                request = requests.get(event.index, GenerationRequest("", draw))
                answer["videos"].append(video_json(event, request, limits))
                say(f"video {event.index + 1}: {event.message}")
            case Finished():
                answer["finish_reason"] = event.reason
                answer["usage"] = {
                    "prompt_tokens": event.usage.prompt_tokens,
                    "completion_tokens": event.usage.completion_tokens,
                    "total_tokens": event.usage.total_tokens,
                }
    answer["answer"] = answer["answer"].strip()
    if aloud:
        print()
    return answer


def free_name(folder: Path) -> Path:
    """The first of video-1.mp4, video-2.mp4 … that is not there yet."""
    number = 1
    while (path := folder / f"video-{number}.mp4").exists():
        number += 1
    return path


COMMAND = Command("ask a question about a video", add_arguments, run)
