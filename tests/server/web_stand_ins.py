"""Stand-in parts that take no time, for the real assistant behind a real server on a real socket.

The language model answers by what it is told: it names the colour of the last video, draws what it is
asked to draw, counts what it was sent. `Talk` and `Pen` count what goes on, so that tests see work begin
and end.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, contextmanager

import numpy as np
import uvicorn

from gpt4video.assistant import Assistant
from gpt4video.errors import ContextTooLong, GenerationFailed, InputError
from gpt4video.interfaces import DrawerLimits, Drawing, Step, Verdict
from gpt4video.messages import (
    Conversation,
    Drawn,
    DrawOptions,
    GenerationRequest,
    Piece,
    SamplingParams,
    Usage,
)
from gpt4video.video import Clip, Sampling, encode_mp4

COLOURS = {"red": (220, 30, 30), "green": (30, 180, 60), "blue": (40, 60, 220)}


def clip_of(colour: str, frames: int = 8, side: int = 64) -> Clip:
    """A square that crosses a clip of one colour."""
    picture = np.full((frames, side, side, 3), COLOURS.get(colour, (128, 128, 128)), np.uint8)
    for i in range(frames):
        picture[i, 24:40, 4 * i : 4 * i + 12] = 255
    return Clip.of(picture, fps=8)


def mp4_of(colour: str) -> bytes:
    return encode_mp4(clip_of(colour), 8)


class Eyes:
    """An encoder: the mean colour of a clip."""

    sampling = Sampling(num_frames=4)

    async def encode(self, clip: Clip) -> np.ndarray:
        return clip.frames.mean(axis=(0, 1, 2))


class Talk:
    """A language model that answers by rule, word by word."""

    context_length = 512

    def __init__(self) -> None:
        self.open = 0
        self.closed = 0
        self.heard: list[Conversation] = []
        self.params: list[SamplingParams] = []

    def check(self, conversation: Conversation) -> None:
        if sum(len(message.text) for message in conversation) > 100 * self.context_length:
            raise ContextTooLong(f"More than {self.context_length} tokens came.")

    async def stream(
        self, conversation: Conversation, videos: Sequence[np.ndarray], params: SamplingParams
    ) -> AsyncIterator[Piece]:
        prompt_tokens = sum(len(message.text.split()) for message in conversation) + 16 * len(videos)
        if prompt_tokens > self.context_length:
            raise ContextTooLong(f"{prompt_tokens} tokens came, {self.context_length} fit.")
        self.heard.append(conversation)
        self.params.append(params)
        self.open += 1
        try:
            said, video_tokens = 0, 16 * len(videos)
            if params.begin:
                yield Piece(f"{params.begin} {conversation[-1].text.strip()} </draw>")
                yield Piece("", "stop", Usage(prompt_tokens, 0, video_tokens))
                return
            for word in self._reply(conversation, videos):
                await asyncio.sleep(0.02 if "forever" in conversation[-1].text else 0)
                said += 1
                yield Piece(word)
                if said >= params.max_tokens:
                    yield Piece("", "length", Usage(prompt_tokens, said, video_tokens))
                    return
            yield Piece("", "stop", Usage(prompt_tokens, said, video_tokens))
        finally:
            self.open -= 1
            self.closed += 1

    def _reply(self, conversation: Conversation, videos: Sequence[np.ndarray]) -> Iterator[str]:
        text = conversation[-1].text.strip()
        earlier = [part.prompt for m in conversation for part in m.parts if isinstance(part, Drawn)]
        if text.lower().startswith("just draw "):
            yield from ("<draw>", text[10:], "</draw>")
        elif text.lower().startswith("draw "):
            prompt = text[5:]
            yield from ("Here", " is", f" {prompt}.", "<dr", f"aw> {prompt} </draw>")
        elif text.startswith("the same, but") and earlier:
            prompt = f"{earlier[-1]} {text.removeprefix('the same, but ')}"
            yield from (f"Here is {prompt}.", f"<draw> {prompt} </draw>")
        elif "forever" in text:
            for i in range(100_000):
                yield f"word{i} "
        elif "break" in text:
            yield "Now "
            raise RuntimeError("the secret of this stand-in")
        elif videos:
            near = {name: float(np.abs(videos[-1] - rgb).sum()) for name, rgb in COLOURS.items()}
            yield from ("The", " video", " is", f" {min(near, key=near.__getitem__)}.")
        else:
            yield from (f"I see {len(conversation)} messages", f" and {len(earlier)} drawn videos.")


class Pen:
    """A drawer: a clip of the first colour that the prompt names, in eight steps; one after the other."""

    limits = DrawerLimits(
        size=(64, 64),
        seconds=1.0,
        fps=8,
        steps=8,
        max_steps=50,
        sizes=((64, 64), (128, 128)),
        lengths=(1.0, 2.0),
    )

    def __init__(self, step_seconds: float = 0.01) -> None:
        self.step_seconds = step_seconds
        self.steps = 0
        self.stopped = 0
        self.breaks = False
        self._turn = asyncio.Lock()

    @property
    def draws(self) -> bool:
        """Whether a step is under way, which takes the `step_seconds` that there were when it began."""
        return self._turn.locked()

    def check(self, options: DrawOptions) -> None:
        if options.size not in (None, *self.limits.sizes):
            raise InputError("size: 64x64 or 128x128 fit.", param="size")
        if options.seconds not in (None, *self.limits.lengths):
            raise InputError("seconds: 1 or 2 fit.", param="seconds")
        if (options.steps or 1) > self.limits.max_steps:
            raise InputError(f"steps: 1 to {self.limits.max_steps} fit.", param="steps")

    async def draw(self, request: GenerationRequest) -> AsyncIterator[Step | Drawing]:
        async with self._turn, aclosing(self._draw(request)) as steps:
            async for step in steps:
                yield step

    async def _draw(self, request: GenerationRequest) -> AsyncGenerator[Step | Drawing, None]:
        colour = next((word for word in request.prompt.split() if word in COLOURS), "grey")
        side = (request.options.size or self.limits.size)[0]
        seconds = request.options.seconds or self.limits.seconds
        clip = clip_of(colour, int(8 * seconds), side)
        count = request.options.steps or self.limits.steps
        try:
            for step in range(1, count + 1):
                await asyncio.sleep(self.step_seconds)
                self.steps += 1
                yield Step(step, count, clip.frames[0])
                if self.breaks:
                    raise GenerationFailed("The pen is broken.")
            yield Drawing(clip, 7 if request.options.seed is None else request.options.seed)
        except (GeneratorExit, asyncio.CancelledError):
            self.stopped += 1
            raise


class Door:
    """A filter that knows one bad word, and one that is only bad when it is drawn."""

    def text(self, text: str, door: str) -> Verdict:
        if "gore" in text or (door == "instruction" and "worse" in text):
            return Verdict(False, ("violence",), "Nothing violent is drawn here.", (("violence", 0.9),))
        return Verdict(True, scores=(("violence", 0.0),))

    def clip(self, clip: Clip, door: str) -> Verdict:
        return Verdict(True)


def make_assistant(step_seconds: float = 0.01) -> Assistant:
    return Assistant(encoder=Eyes(), language_model=Talk(), drawer=Pen(step_seconds), safety=Door())


@contextmanager
def running(app) -> Iterator[str]:
    """The app on a free port, in a thread of its own; its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", timeout_graceful_shutdown=2))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


def until(true, seconds: float = 30.0) -> None:
    """Wait for a fact."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "this did not come true in time"
        time.sleep(0.01)
