"""The flow: question, safety, encoder, language model, instruction, safety, drawing, safety, events.

    respond    admit the conversation, encode its clips, then
    _reply       _read   pieces -> words, which leave at once, and instructions, which are ordered
                 _paint  orders, one after the other, while the reading goes on beside it
                 Finished

Closing the iterator of events closes every iterator behind it: nobody reads or draws for somebody who left.

Words leave as they are written. At the end of every sentence, and of the reply, what was said is looked at
before the piece that ends the sentence leaves; when it is refused the reply ends there. So up to one sentence
may have been read that should not have been said: the price of the first word coming at once.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from functools import partial

from gpt4video.answer import Answer, collect
from gpt4video.cache import Recent
from gpt4video.errors import Gpt4VideoError, InputError, Refused
from gpt4video.instruction import Heard, Instruction, InstructionParser, Malformed
from gpt4video.interfaces import (
    Door,
    Drawer,
    DrawerLimits,
    Drawing,
    Encoder,
    LanguageModel,
    Safety,
    SoftTokens,
    Step,
    Verdict,
)
from gpt4video.messages import (
    Conversation,
    DrawOptions,
    Event,
    Finished,
    GenerationRequest,
    Message,
    Piece,
    SamplingParams,
    TextDelta,
    Usage,
    VideoDone,
    VideoFailed,
    VideoProgress,
    VideoRequested,
    user,
)
from gpt4video.stages import Fact, stage, tell
from gpt4video.streams import blocking, closing, emitted
from gpt4video.video import Clip

GREEDY, NATIVE = SamplingParams(), DrawOptions()

SENTENCE_END = re.compile(r"[.!?…。！？\n]")
LOOKED_AT = 600
"""Characters of a reply that are looked at again at every sentence's end."""

Emit = Callable[[Event], Awaitable[None]]
Orders = asyncio.Queue[tuple[int, GenerationRequest] | None]


def _never(index: int) -> bool:
    return False


class Assistant:
    """Four parts and the flow between them. `drawer` None answers questions only."""

    def __init__(
        self,
        encoder: Encoder,
        language_model: LanguageModel,
        drawer: Drawer | None,
        safety: Safety,
        *,
        cached_clips: int = 64,
        cached_bytes: int = 256 << 20,
    ) -> None:
        self.encoder, self.language_model, self.drawer, self.safety = encoder, language_model, drawer, safety
        self._soft_tokens: Recent[SoftTokens] = Recent(cached_clips, cached_bytes)

    @property
    def limits(self) -> DrawerLimits:
        """What it draws, and how unless told; nothing, where it has no drawer."""
        return self.drawer.limits if self.drawer else DrawerLimits((0, 0), 0.0, 0.0, 0)

    async def respond(
        self,
        conversation: Conversation,
        params: SamplingParams = GREEDY,
        draw: DrawOptions = NATIVE,
        allow_video: bool = True,
        stopped: Callable[[int], bool] = _never,
    ) -> AsyncGenerator[Event, None]:
        """Events of the answer to the last turn, `Finished` the last of them.

        `stopped(index)` is asked after every denoising step: True ends that drawing, and the answer goes on.
        Raises `InputError` (`ContextTooLong` among them) before the first event.
        """
        if self.drawer is not None and allow_video:
            self.drawer.check(draw)
        conversation, refused = await self._admit(conversation)
        if refused is not None:
            yield TextDelta(refused.message)
            yield Finished("content_filter", Usage())
            return
        videos = [await self._encode(clip) for message in conversation for clip in message.clips]
        pieces = self.language_model.stream(conversation, videos, params)
        async with closing(emitted(partial(self._reply, pieces, draw, allow_video, stopped))) as events:
            async for event in events:
                yield event

    async def draw(self, prompt: str, options: DrawOptions = NATIVE) -> AsyncGenerator[Event, None]:
        """Events of one drawing, without a language model. Raises `InputError` before the first event."""
        if not prompt.strip():
            raise InputError("The prompt has no words.", param="prompt")
        if self.drawer is not None:
            self.drawer.check(options)
        asked = await self._judged(prompt, "question")
        refused = not asked.allowed
        if hindrance := ((Refused.code, asked.message) if refused else await self._hindrance(prompt)):
            refused = hindrance[0] == Refused.code
            yield VideoFailed(0, *hindrance)
        else:
            request = GenerationRequest(prompt, options)
            yield VideoRequested(0, request)
            async with closing(self._drawing(0, request)) as events:
                async for event in events:
                    refused = _is_refusal(event)
                    yield event
        yield Finished("content_filter" if refused else "stop", Usage())

    def answer(
        self,
        conversation: Conversation,
        params: SamplingParams = GREEDY,
        draw: DrawOptions = NATIVE,
        allow_video: bool = True,
    ) -> Answer:
        """The whole answer, for plain code and notebooks."""
        return blocking(collect(self.respond(conversation, params, draw, allow_video)))

    def ask(self, clip: Clip | None, question: str, params: SamplingParams = GREEDY) -> Answer:
        """One question about one clip, or about none; waits for the whole answer."""
        return self.answer((user(question) if clip is None else user(clip, question),), params)

    async def _admit(self, conversation: Conversation) -> tuple[Conversation, Verdict | None]:
        """What the language model may read, or the verdict that refuses the last turn.

        Earlier turns that are refused are left out together with their answers: the model never reads them,
        and one bad turn does not end a conversation.
        """
        if not conversation or conversation[-1].role != "user" or not conversation[-1].text.strip():
            raise InputError("The conversation must end with a user's question in words.", param="messages")
        self.language_model.check(conversation)
        verdict = await self._verdict(conversation[-1])
        if not verdict.allowed:
            return (), verdict
        kept: list[Message] = []
        answers_nothing = False
        for message in conversation[:-1]:
            if message.role == "user":
                answers_nothing = not (await self._verdict(message)).allowed
            if message.role == "system" or not answers_nothing:
                kept.append(message)
        return (*kept, conversation[-1]), None

    async def _verdict(self, message: Message) -> Verdict:
        """Safety on one turn: its words, then its clips."""
        verdict = await self._judged(message.text, "question")
        for clip in message.clips:
            if not verdict.allowed:
                break
            verdict = await self._watched(clip, "posted_video")
        return verdict

    async def _judged(self, words: str, door: Door) -> Verdict:
        """Safety on words, in a thread: a long text must not hold up everybody else."""
        with stage("safety", door=door) as facts:
            return _noted(await asyncio.to_thread(self.safety.text, words, door), facts)

    async def _watched(self, clip: Clip, door: Door) -> Verdict:
        """Safety on frames, in a thread."""
        with stage("safety", door=door) as facts:
            return _noted(await asyncio.to_thread(self.safety.clip, clip, door), facts)

    async def _encode(self, clip: Clip) -> SoftTokens:
        """Soft tokens of a clip; a clip that was seen lately is not encoded again."""
        with stage("encode", cached=True) as facts:
            tokens = self._soft_tokens.get(clip.hash)
            if tokens is None:
                facts["cached"] = False
                tokens = await self.encoder.encode(clip)
                self._soft_tokens.put(clip.hash, tokens)
            return tokens

    async def _reply(
        self,
        pieces: AsyncIterator[Piece],
        draw: DrawOptions,
        allow_video: bool,
        stopped: Callable[[int], bool],
        emit: Emit,
    ) -> None:
        """One reply, read and drawn side by side, and its end."""
        orders: Orders = asyncio.Queue()
        painting = asyncio.create_task(self._paint(orders, stopped, emit))
        try:
            end, refused = await self._read(pieces, draw, allow_video, orders, emit)
            orders.put_nowait(None)
            refused |= await painting
        finally:
            painting.cancel()
            await asyncio.gather(painting, return_exceptions=True)
        reason = "content_filter" if refused else end.finish_reason or "stop"
        await emit(Finished(reason, end.usage or Usage()))

    async def _read(
        self, pieces: AsyncIterator[Piece], draw: DrawOptions, allow_video: bool, orders: Orders, emit: Emit
    ) -> tuple[Piece, bool]:
        """Words to the person and instructions to the drawer; the last piece, and whether safety cut in."""
        said, index, refused, end = "", 0, False, Piece("", "stop")
        async with closing(_heard(pieces)) as stream:
            async for heard in stream:
                match heard:
                    case str():
                        said += heard
                        if SENTENCE_END.search(heard) and await self._unfit(said, heard, emit):
                            return end, True
                        await emit(TextDelta(heard))
                    case Instruction():
                        if hindrance := await self._hindrance(heard.prompt, allow_video):
                            await emit(VideoFailed(index, *hindrance))
                            refused |= hindrance[0] == Refused.code
                        else:
                            request = GenerationRequest(heard.prompt, draw)
                            await emit(VideoRequested(index, request))
                            orders.put_nowait((index, request))
                        index += 1
                    case Malformed():
                        await emit(VideoFailed(index, "malformed_instruction", heard.message))
                        index += 1
                    case Piece():
                        end = heard
        return end, await self._unfit(said, "", emit) or refused

    async def _unfit(self, said: str, unsent: str, emit: Emit) -> bool:
        """Whether a reply may not go on; then the person is told so."""
        verdict = await self._judged(said[-LOOKED_AT:], "question")
        if not verdict.allowed:
            await emit(TextDelta(verdict.message if said == unsent else f"\n\n{verdict.message}"))
        return not verdict.allowed

    async def _hindrance(self, prompt: str, allow_video: bool = True) -> tuple[str, str] | None:
        """Why this prompt will not be drawn, as a code and a message; None when it will."""
        if not allow_video:
            return "video_not_allowed", "Videos are switched off for this request."
        if self.drawer is None:
            return "video_not_available", "This assistant cannot draw videos."
        verdict = await self._judged(prompt, "instruction")
        return None if verdict.allowed else (Refused.code, verdict.message)

    async def _paint(self, orders: Orders, stopped: Callable[[int], bool], emit: Emit) -> bool:
        """Draw what is ordered, in order; whether a drawing was refused at the last door."""
        refused = False
        while (order := await orders.get()) is not None:
            async with closing(self._drawing(*order, stopped)) as events:
                async for event in events:
                    refused |= _is_refusal(event)
                    await emit(event)
        return refused

    async def _drawing(
        self, index: int, request: GenerationRequest, stopped: Callable[[int], bool] = _never
    ) -> AsyncGenerator[Event, None]:
        """Progress, then the video if it passes the last door; previews that do not pass it are left out."""
        assert self.drawer is not None, "orders are taken only where there is a drawer"
        asked = begun = newest = time.monotonic()
        outcome = "cancelled"
        try:
            async with closing(self.drawer.draw(request)) as steps:
                async for step in steps:
                    now = time.monotonic()
                    if begun == asked:  # the first step is told when its turn has come
                        tell("diffusion_queue", asked, begun := now)
                    else:
                        tell("diffusion_step", newest, now)
                    newest = now
                    if isinstance(step, Drawing):
                        outcome = "ok"
                    verdict = await self._look(step)
                    match step:
                        case Step():
                            preview = step.preview if verdict.allowed else None
                            yield VideoProgress(index, step.step, step.steps, preview)
                            if stopped(index):
                                yield VideoFailed(index, "cancelled", "The drawing was stopped.")
                                return
                        case Drawing() if verdict.allowed:
                            yield VideoDone(index, request, step.clip, step.seed)
                        case Drawing():
                            yield VideoFailed(index, Refused.code, verdict.message)
        except Gpt4VideoError as error:
            outcome = error.code
            yield VideoFailed(index, error.code, error.message)
        finally:
            tell("diffusion", begun, time.monotonic(), outcome=outcome)

    async def _look(self, step: Step | Drawing) -> Verdict:
        """The last door's verdict on a drawing, or on the preview of one."""
        if isinstance(step, Drawing):
            clip = step.clip
        elif step.preview is not None:
            clip = Clip.of(step.preview[None], fps=1.0)
        else:
            return Verdict(allowed=True)
        return await self._watched(clip, "drawn_video")


def _noted(verdict: Verdict, facts: dict[str, Fact]) -> Verdict:
    """The verdict, after it was noted for whoever counts them."""
    facts["decision"] = "allowed" if verdict.allowed else "refused"
    facts["categories"] = ",".join(verdict.categories)
    return verdict


def _is_refusal(event: Event) -> bool:
    return isinstance(event, VideoFailed) and event.code == Refused.code


async def _heard(pieces: AsyncIterator[Piece]) -> AsyncGenerator[Heard | Piece, None]:
    """Words, instructions and mistakes of a reply; then its last piece, which says why it ended."""
    parser, end = InstructionParser(), Piece("", "stop")
    async with closing(pieces) as stream:
        async for piece in stream:
            for heard in parser.feed(piece.text):
                yield heard
            if piece.finish_reason is not None:
                end = piece
    for heard in parser.close():
        yield heard
    yield end
