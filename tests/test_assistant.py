"""The whole flow, with parts of five lines each."""

import asyncio
import itertools
import subprocess
import sys
import time
from contextlib import aclosing

import numpy as np
import pytest

from gpt4video.answer import Answer, collect
from gpt4video.assistant import Assistant
from gpt4video.errors import ContextTooLong, GenerationFailed, InputError
from gpt4video.interfaces import DrawerLimits, Drawing, Step, Verdict
from gpt4video.messages import (
    Drawn,
    DrawOptions,
    Finished,
    GenerationRequest,
    Message,
    Piece,
    Posted,
    SamplingParams,
    Text,
    TextDelta,
    Usage,
    VideoDone,
    VideoFailed,
    VideoProgress,
    VideoRequested,
    user,
)
from gpt4video.video import Clip, Sampling


def clip(level=0):
    return Clip.of(np.full((2, 4, 4, 3), level, np.uint8), fps=8.0)


class Eyes:
    """Encodes a clip as its mean; remembers what it saw."""

    sampling = Sampling()

    def __init__(self):
        self.seen = []

    async def encode(self, clip):
        self.seen.append(clip.hash)
        return clip.frames.mean(keepdims=True)


class Talk:
    """Says what it was given, and remembers what it read."""

    context_length = 100

    def __init__(self, *said, usage=None):
        self.said, self.usage = said, usage or Usage(3, len(said))
        self.read, self.spoken, self.stopped = [], 0, False

    def check(self, conversation):
        if sum(len(message.text) for message in conversation) > 100_000:
            raise ContextTooLong("Too long.")

    async def stream(self, conversation, videos, params):
        self.read.append((conversation, videos, params))
        try:
            for word in self.said:
                await asyncio.sleep(0)
                self.spoken += 1
                yield Piece(word)
            yield Piece("", "stop", self.usage)
        finally:
            self.stopped = True


class Pen:
    """Draws two steps and a clip whose brightness is the length of the prompt."""

    limits = DrawerLimits((4, 4), 0.25, 8.0, 2)

    def __init__(self):
        self.drawn, self.steps, self.stopped = [], 0, 0

    def check(self, options):
        if options.steps == 0:
            raise InputError("steps must be 1 or more, got 0.", param="steps")

    async def draw(self, request):
        self.drawn.append(request)
        try:
            for step in range(3 if "endless" not in request.prompt else 10_000):
                await asyncio.sleep(0)
                self.steps += 1
                yield Step(step, 2, np.full((2, 2, 3), len(request.prompt), np.uint8) if step else None)
            if "broken" in request.prompt:
                raise GenerationFailed("It broke.")
            yield Drawing(clip(len(request.prompt)), request.options.seed or 7)
        finally:
            self.stopped += 1


class Door:
    """Refuses "bad" wherever it stands, "worse" at the instruction, and pictures of brightness 13."""

    def __init__(self):
        self.asked = []

    def text(self, text, door):
        self.asked.append((door, text))
        ok = "bad" not in text and not (door == "instruction" and "worse" in text)
        return Verdict(ok, () if ok else ("rude",), "" if ok else "No.")

    def clip(self, clip, door):
        self.asked.append((door, None))
        ok = clip.frames.max() != 13
        return Verdict(ok, () if ok else ("rude",), "" if ok else "Not shown.")


def assistant(*said, drawer=True):
    return Assistant(Eyes(), Talk(*said), Pen() if drawer else None, Door())


async def events_of(assistant, *parts, **options):
    conversation = (user(*(parts or ("Hello?",))),)
    return [event async for event in assistant.respond(conversation, **options)]


def kinds(events):
    return [kind.__name__ for kind, _ in itertools.groupby(events, type)]


def words(events):
    return "".join(e.text for e in events if isinstance(e, TextDelta))


async def test_words_leave_one_by_one_and_the_end_tells_why_and_how_much():
    events = await events_of(assistant("A", " circle", "."))
    assert events == [TextDelta("A"), TextDelta(" circle"), TextDelta("."), Finished("stop", Usage(3, 3))]


async def test_the_first_word_leaves_before_the_model_is_done():
    talker = assistant(*(["word "] * 100))
    async with aclosing(talker.respond((user("Hello?"),))) as events:
        assert await anext(events) == TextDelta("word ")
        assert talker.language_model.spoken <= 3


async def test_the_model_reads_the_conversation_and_its_videos_in_order():
    talker = assistant("Yes.")
    dark, bright = clip(1), clip(200)
    conversation = (
        Message("system", (Text("Be kind."),)),
        Message("user", (Posted(dark), Text("What is this?"))),
        Message("assistant", (Text("A square."), Drawn("a square"))),
        user(bright, "And this?"),
    )
    params = SamplingParams(max_tokens=5)
    await collect(talker.respond(conversation, params))
    read, videos, sampled = talker.language_model.read[0]
    assert read == conversation
    assert [float(v.item()) for v in videos] == [1.0, 200.0]
    assert sampled is params


async def test_an_instruction_becomes_a_video_and_never_words():
    events = await events_of(assistant("Here: <dr", "aw> a circle </draw>"), draw=DrawOptions(seed=5))
    request = GenerationRequest("a circle", DrawOptions(seed=5))
    assert kinds(events) == ["TextDelta", "VideoRequested", "VideoProgress", "VideoDone", "Finished"]
    assert words(events) == "Here: "
    assert VideoRequested(0, request) in events
    assert [e.step for e in events if isinstance(e, VideoProgress)] == [0, 1, 2]
    done = next(e for e in events if isinstance(e, VideoDone))
    assert (done.request, done.seed, done.clip.frames.max()) == (request, 5, 8)


async def test_several_instructions_are_drawn_in_order_while_the_words_go_on():
    talker = assistant("One <draw>first</draw>", " two", " <draw>second one</draw>", " three", " four.")
    events = await events_of(talker)
    assert words(events) == "One  two  three four."
    assert [r.prompt for r in talker.drawer.drawn] == ["first", "second one"]
    numbers = [e.index for e in events if isinstance(e, (VideoProgress, VideoDone))]
    assert numbers == [0, 0, 0, 0, 1, 1, 1, 1]
    assert [isinstance(e, VideoProgress) for e in events].index(True) < events.index(TextDelta(" four."))
    assert isinstance(events[-1], Finished)


async def test_leaving_stops_the_drawing_and_the_model():
    talker = assistant("<draw>endless</draw>", *(["word "] * 10_000))
    async with aclosing(talker.respond((user("Hello?"),))) as events:
        async for event in events:
            if isinstance(event, VideoProgress) and event.step == 2:
                break
    spoken, steps = talker.language_model.spoken, talker.drawer.steps
    assert talker.language_model.stopped and talker.drawer.stopped == 1
    await asyncio.sleep(0.01)
    assert (talker.language_model.spoken, talker.drawer.steps) == (spoken, steps)
    assert steps < 20 and spoken < 10_000, "neither went on to its end"


async def test_a_cancelled_asker_stops_them_too():
    talker = assistant("<draw>endless</draw>")
    asking = asyncio.create_task(events_of(talker))
    while not talker.drawer.steps:
        await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert talker.drawer.stopped == 1


async def test_a_refused_question_never_reaches_the_model():
    talker = assistant("Hm.")
    events = await events_of(talker, clip(), "Something bad?")
    assert events == [TextDelta("No."), Finished("content_filter", Usage())]
    assert talker.language_model.read == [] and talker.encoder.seen == []


async def test_a_refused_clip_never_reaches_the_encoder():
    talker = assistant("Hm.")
    assert words(await events_of(talker, clip(13), "What is it?")) == "Not shown."
    assert talker.encoder.seen == []


async def test_an_earlier_refused_turn_is_left_out_with_its_answer_and_the_conversation_goes_on():
    talker = assistant("Yes.")
    kept = (
        Message("system", (Text("bad is not allowed"),)),
        user("Hi"),
        Message("assistant", (Text("Hello."),)),
    )
    dropped = (user("bad"), Message("assistant", (Text("No."),)))
    await collect(talker.respond((*kept, *dropped, user("Again?"))))
    assert talker.language_model.read[0][0] == (*kept, user("Again?"))


async def test_a_refused_instruction_never_reaches_the_drawer():
    talker = assistant("Sure. <draw> something worse </draw> Done.")
    events = await events_of(talker)
    assert events[1] == VideoFailed(0, "content_policy_violation", "No.")
    assert events[-1].reason == "content_filter"
    assert talker.drawer.drawn == []
    assert words(events) == "Sure.  Done."


async def test_a_refused_drawing_is_not_shown_not_even_its_previews():
    events = await events_of(assistant(f"<draw>{'x' * 13}</draw>"))
    assert VideoFailed(0, "content_policy_violation", "Not shown.") in events
    assert not any(isinstance(e, VideoDone) for e in events)
    assert all(e.preview is None for e in events if isinstance(e, VideoProgress))
    assert events[-1].reason == "content_filter"


async def test_previews_are_passed_on():
    events = await events_of(assistant("<draw>circle</draw>"))
    previews = [e.preview for e in events if isinstance(e, VideoProgress)]
    assert previews[0] is None and previews[1].shape == (2, 2, 3)


async def test_a_reply_that_turns_bad_ends_with_that_sentence():
    talker = assistant("Well. ", "This is ba", "d.", " And more", *["."] * 1000)
    events = await events_of(talker)
    assert words(events) == "Well. This is ba\n\nNo."
    assert events[-1].reason == "content_filter"
    assert talker.language_model.stopped and talker.language_model.spoken < 10


async def test_a_bad_reply_without_a_full_stop_is_noticed_at_its_end():
    events = await events_of(assistant("bad", " words"))
    assert words(events) == "bad words\n\nNo."
    assert events[-1].reason == "content_filter"


async def test_a_reply_that_is_bad_at_once_is_not_shown():
    assert words(await events_of(assistant("bad."))) == "No."


@pytest.mark.parametrize(
    ("reply", "index", "code"),
    [
        ("<draw> a circle", 0, "malformed_instruction"),
        ("<draw>a</draw> </draw>", 1, "malformed_instruction"),
        ("<draw>broken</draw>", 0, "generation_failed"),
    ],
)
async def test_a_video_that_cannot_come_says_why_and_the_answer_goes_on(reply, index, code):
    events = await events_of(assistant(reply))
    [failed] = [e for e in events if isinstance(e, VideoFailed)]
    assert (failed.index, failed.code) == (index, code)
    assert failed.message
    assert isinstance(events[-1], Finished) and events[-1].reason == "stop"


@pytest.mark.parametrize(
    ("drawer", "allow", "code"), [(True, False, "video_not_allowed"), (False, True, "video_not_available")]
)
async def test_without_a_drawer_or_leave_instructions_fail_and_are_not_shown(drawer, allow, code):
    talker = assistant("Here. <draw>a circle</draw>", drawer=drawer)
    events = await events_of(talker, allow_video=allow)
    assert [e.code for e in events if isinstance(e, VideoFailed)] == [code]
    assert words(events) == "Here. "


async def test_a_clip_is_encoded_once_however_often_it_is_posted():
    talker = assistant("Yes.")
    for _ in range(3):
        await events_of(talker, clip(5), clip(6), "Same?")
    assert talker.encoder.seen == [clip(5).hash, clip(6).hash]


async def test_the_cache_of_clips_is_bounded():
    talker = Assistant(Eyes(), Talk("Yes."), None, Door(), cached_clips=1)
    for level in (1, 2, 1):
        await events_of(talker, clip(level), "What?")
    assert len(talker.encoder.seen) == 3


async def test_a_conversation_that_is_too_long_is_an_error_before_the_first_word():
    class Short(Talk):
        async def stream(self, conversation, videos, params):
            raise ContextTooLong("Too long.")
            yield

    with pytest.raises(ContextTooLong):
        await anext(Assistant(Eyes(), Short(), Pen(), Door()).respond((user("Hello?"),)))


async def test_what_is_far_too_long_is_told_before_it_is_judged_or_encoded():
    talker = assistant("Hm.")
    for conversation in ((user(clip(), "word " * 100_000),), (user("word " * 100_000), user("And?"))):
        with pytest.raises(ContextTooLong):
            await anext(talker.respond(conversation))
    assert talker.safety.asked == [] and talker.encoder.seen == []


async def test_judging_words_holds_up_nobody_else():
    class Slow(Door):
        def text(self, text, door):
            time.sleep(0.3)
            return super().text(text, door)

    talker = Assistant(Eyes(), Talk("A circle. <draw>circle</draw>"), Pen(), Slow())
    for events in (talker.respond((user("Hello?"),)), talker.draw("a circle")):
        answering = asyncio.create_task(collect(events))
        longest = 0.0
        while not answering.done():
            began = time.monotonic()
            await asyncio.sleep(0)
            longest = max(longest, time.monotonic() - began)
        assert longest < 0.25 and answering.result().videos


async def test_what_breaks_in_the_middle_is_raised_and_stops_the_drawing():
    class Broken(Talk):
        async def stream(self, conversation, videos, params):
            yield Piece("Now <draw>endless</draw>")
            await asyncio.sleep(0.005)
            raise RuntimeError("model")

    talker = Assistant(Eyes(), Broken(), Pen(), Door())
    with pytest.raises(RuntimeError, match="model"):
        await events_of(talker)
    assert talker.drawer.stopped == 1


@pytest.mark.parametrize(
    "conversation", [(), (user("  "),), (user(clip()),), (user("Hi"), Message("assistant", (Text("Hi"),)))]
)
async def test_a_conversation_without_a_question_is_an_input_error(conversation):
    with pytest.raises(InputError) as caught:
        await anext(assistant("Hm.").respond(conversation))
    assert caught.value.param == "messages"


async def test_options_that_cannot_be_drawn_are_an_error_before_the_first_word():
    with pytest.raises(InputError):
        await events_of(assistant("Hm."), draw=DrawOptions(steps=0))
    assert await events_of(assistant("Hm."), draw=DrawOptions(steps=0), allow_video=False)


async def test_drawing_alone_needs_no_model():
    talker = assistant()
    events = [e async for e in talker.draw("a circle", DrawOptions(seed=3))]
    assert kinds(events) == ["VideoRequested", "VideoProgress", "VideoDone", "Finished"]
    assert talker.language_model.read == []
    assert {door for door, _ in talker.safety.asked} == {"question", "instruction", "drawn_video"}


@pytest.mark.parametrize("prompt", ["something bad", "something worse"])
async def test_drawing_alone_is_refused_at_either_door(prompt):
    talker = assistant()
    events = [e async for e in talker.draw(prompt)]
    assert events == [VideoFailed(0, "content_policy_violation", "No."), Finished("content_filter", Usage())]
    assert talker.drawer.drawn == []


async def test_a_refused_drawing_alone_ends_as_refused():
    events = [e async for e in assistant().draw("x" * 13)]
    assert events[-2:] == [
        VideoFailed(0, "content_policy_violation", "Not shown."),
        Finished("content_filter", Usage()),
    ]


async def test_leaving_stops_drawing_alone():
    talker = assistant()
    async with aclosing(talker.draw("endless")) as events:
        async for event in events:
            if isinstance(event, VideoProgress):
                break
    assert talker.drawer.stopped == 1 and talker.drawer.steps < 5


@pytest.mark.parametrize(("prompt", "options"), [(" ", DrawOptions()), ("a circle", DrawOptions(steps=0))])
async def test_what_cannot_be_drawn_alone_is_an_input_error(prompt, options):
    with pytest.raises(InputError):
        await anext(assistant().draw(prompt, options))


async def test_drawing_alone_without_a_drawer_says_so():
    events = [e async for e in assistant(drawer=False).draw("a circle")]
    assert events[0].code == "video_not_available"


def test_plain_code_gets_a_whole_answer():
    answer = assistant("A circle.", " <draw>circle</draw><draw>broken</draw>").ask(clip(), "What is it?")
    assert isinstance(answer, Answer)
    assert answer.text == "A circle."
    assert [v.request.prompt for v in answer.videos] == ["circle"]
    assert [f.code for f in answer.failures] == ["generation_failed"]
    assert (answer.usage, answer.finish_reason) == (Usage(3, 2), "stop")


async def test_a_notebook_whose_loop_is_busy_gets_one_too():
    assert assistant("Yes.").ask(None, "Is it?").text == "Yes."


def test_the_flow_is_light_to_import():
    code = "import gpt4video.assistant, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
