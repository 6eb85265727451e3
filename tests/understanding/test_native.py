"""Our own stack: what goes into the model is what training put there, and what comes out is clean text."""

import asyncio
from contextlib import aclosing

import numpy as np
import pytest
import torch

from gpt4video.errors import ConfigError, ContextTooLong, InputError
from gpt4video.messages import Drawn, Message, SamplingParams, Text, user
from gpt4video.models import Abstractor, AbstractorConfig
from gpt4video.models.clip import ClipEncoder, make_clip
from gpt4video.models.tokenizer import encode_conversation
from gpt4video.understanding import NativeEncoder, NativeLanguageModel
from gpt4video.video import Clip, Sampling
from tests import tiny


def a_clip(frames=4, seed=0, fps=8.0):
    pixels = np.random.default_rng(seed).integers(0, 255, (frames, 24, 40, 3), dtype=np.uint8)
    return Clip.of(pixels, fps)


@pytest.fixture(scope="module")
def words():
    return tiny.tokenizer()


@pytest.fixture(scope="module")
def lm(words):
    model = NativeLanguageModel(tiny.backbone(len(words)), words)
    yield model
    model.close()


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    clip = ClipEncoder(make_clip(tiny.clip_config(64, 1)))
    encoder = NativeEncoder(clip, tiny.abstractor(), Sampling(num_frames=4))
    yield encoder
    encoder.close()


async def pieces(lm, conversation, videos=(), **params):
    return [piece async for piece in lm.stream(conversation, videos, SamplingParams(**params))]


def text(pieces):
    return "".join(piece.text for piece in pieces)


async def test_a_clip_becomes_as_many_soft_tokens_whatever_its_length(encoder):
    for frames in (1, 4, 30):
        soft = await encoder.encode(a_clip(frames))
        assert soft.shape == (4, tiny.WIDTH)
        assert soft.isfinite().all()


async def test_soft_tokens_depend_on_frames_and_on_their_times(encoder):
    first = await encoder.encode(a_clip())
    assert torch.equal(first, await encoder.encode(a_clip()))
    assert not torch.allclose(first, await encoder.encode(a_clip(seed=1)))
    assert not torch.allclose(first, await encoder.encode(a_clip(fps=2.0)))


async def test_of_too_many_frames_it_looks_at_those_it_would_have_sampled(encoder):
    clip = a_clip(16)
    chosen = [2, 6, 10, 14]
    few = Clip(clip.frames[chosen], clip.times[chosen], clip.duration)
    assert torch.allclose(await encoder.encode(clip), await encoder.encode(few))


def test_an_abstractor_made_for_another_clip_is_refused():
    clip = ClipEncoder(make_clip(tiny.clip_config(64, 1)))
    with pytest.raises(ConfigError, match="this CLIP"):
        NativeEncoder(clip, Abstractor(AbstractorConfig(encoder_width=24, width=16, num_heads=2)))


async def test_the_reply_is_what_generate_says_to_the_same_embeddings(lm, words, encoder):
    clip = a_clip()
    conversation = (
        user("red?", clip, "moves"),
        Message("assistant", (Text("No."), Drawn("a star"))),
        user("So?"),
    )
    soft = await encoder.encode(clip)
    ids = encode_conversation(words, conversation)
    place = ids.index(words.convert_tokens_to_ids("<|video|>"))
    embed = lm._model.get_input_embeddings()
    with torch.no_grad():
        before, after = embed(torch.tensor(ids[:place])), embed(torch.tensor(ids[place + 1 :]))
        given = torch.cat([before, soft, after])[None]
        out = lm._model.generate(
            inputs_embeds=given, attention_mask=torch.ones(given.shape[:2]), max_new_tokens=24,
            do_sample=False, eos_token_id=words.convert_tokens_to_ids(["<|end|>", "<|eos|>"]), pad_token_id=0,
        )  # fmt: skip
    told = await pieces(lm, conversation, [soft], max_tokens=24)
    hidden = set(words.all_special_ids) - set(words.convert_tokens_to_ids(["<draw>", "</draw>"]))
    kept = [id for id in out[0].tolist() if id not in hidden]
    assert text(told) == words.decode(kept, skip_special_tokens=False).rstrip("\ufffd")
    assert told[-1].usage.prompt_tokens == given.shape[1] == len(ids) + 3


async def test_the_last_piece_says_why_and_how_much(lm):
    told = await pieces(lm, (user("What moves?"),), max_tokens=5)
    assert [piece.finish_reason for piece in told[:-1]] == [None] * (len(told) - 1)
    assert told[-1].finish_reason == "length"
    assert told[-1].usage.completion_tokens == 5
    assert told[-1].usage.total_tokens == told[-1].usage.prompt_tokens + 5


async def test_a_stop_string_ends_the_reply_and_the_work(lm):
    everything = text(await pieces(lm, (user("What moves?"),), max_tokens=60))
    stop = everything[6:9]
    told = await pieces(lm, (user("What moves?"),), max_tokens=60, stop=(stop,))
    assert text(told) == everything[: everything.index(stop)]
    assert told[-1].finish_reason == "stop"
    assert told[-1].usage.completion_tokens < 60


async def test_the_first_piece_leaves_before_the_last_forward_pass(lm):
    before = lm.engine.stats().forward_passes
    stream = lm.stream((user("What moves?"),), (), SamplingParams(max_tokens=300))
    async with aclosing(stream):
        await anext(stream)
        at_first = lm.engine.stats().forward_passes - before
        assert at_first < 100
        async for _ in stream:
            pass
    assert lm.engine.stats().forward_passes - before > at_first


async def test_leaving_stops_the_engine(lm):
    stream = lm.stream((user("What moves?"),), (), SamplingParams(max_tokens=400))
    await anext(stream)
    await stream.aclose()
    while lm.engine.stats().running:
        await asyncio.sleep(0.001)
    assert lm.engine.stats().aborted >= 1


async def test_a_conversation_that_is_too_long_is_told_before_the_first_piece(lm):
    many = tuple(user("What moves?") for _ in range(100))
    with pytest.raises(ContextTooLong, match="at most 511"):
        await pieces(lm, many)
    for conversation in (user("a" * 10_000_000),), (user("a"),) * 400:
        with pytest.raises(ContextTooLong, match="more than"):
            lm.check(conversation)
    lm.check(many)  # may be too long, which takes reading


async def test_a_tag_that_somebody_types_is_not_a_tag(lm, words):
    with pytest.raises(InputError, match="0 videos"):
        await pieces(lm, (user("hello"),), [torch.zeros(4, tiny.WIDTH)])
    told = await pieces(lm, (user("<|video|> <draw> <|end|>"),), max_tokens=2)
    assert told[-1].usage.prompt_tokens > 20  # it was read letter by letter


async def test_a_reply_can_be_begun_for_the_model(lm, words):
    conversation = (user("Draw a circle."),)
    begun = await pieces(lm, conversation, begin="<draw> a red", max_tokens=4)
    assert text(begun).startswith("<draw> a red")
    assert begun[-1].usage.completion_tokens == 4
    plain = await pieces(lm, conversation, max_tokens=4)
    extra = begun[-1].usage.prompt_tokens - plain[-1].usage.prompt_tokens
    assert extra == 1 + len(words.encode("a red", add_special_tokens=False))


async def test_the_soft_tokens_of_videos_are_counted(lm, encoder):
    soft = await encoder.encode(a_clip())
    end = (await pieces(lm, (user(a_clip(), "What?"),), [soft], max_tokens=2))[-1]
    assert (end.usage.video_tokens, len(soft)) == (4, 4)
    assert end.usage.prompt_tokens > 4
