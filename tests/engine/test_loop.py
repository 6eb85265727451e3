"""The engine: batched tokens equal those of `generate`, and every way to end a request ends it."""

import asyncio
import time
from contextlib import aclosing

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from gpt4video.engine import TorchEngine
from gpt4video.errors import Busy, ContextTooLong, Gpt4VideoError, InputError
from gpt4video.messages import SamplingParams
from gpt4video.models import BackboneConfig, BackboneForCausalLM
from gpt4video.stages import listener

VOCABULARY, WIDTH, CONTEXT = 64, 32, 256


def backbone(**fields):
    torch.manual_seed(0)
    config = BackboneConfig(
        vocab_size=VOCABULARY, hidden_size=WIDTH, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=CONTEXT, embedding_std=1.0, initializer_range=0.2,
        tie_word_embeddings=False, **fields,
    )  # fmt: skip
    return BackboneForCausalLM(config).eval()


def llama():
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=WIDTH, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=CONTEXT, initializer_range=0.3, eos_token_id=None,
        bos_token_id=None,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


MODELS = {"peri": backbone, "mix": lambda: backbone(norm_placement="mix", mix_alpha=0.5), "llama": llama}


@pytest.fixture(scope="module")
def model():
    return backbone()


@pytest.fixture
def engine(model):
    engine = TorchEngine(model)
    yield engine
    assert engine.alive
    engine.close()
    assert not engine.alive


def prompt(length, seed=0):
    return torch.randint(0, VOCABULARY, (length,), generator=torch.Generator().manual_seed(seed))


def alone(model, ids, count):
    """What `generate` says greedily."""
    mask = torch.ones(1, len(ids), dtype=torch.long)
    out = model.generate(
        ids[None],
        attention_mask=mask,
        max_new_tokens=count,
        do_sample=False,
        eos_token_id=None,
        pad_token_id=0,
    )
    return out[0, len(ids) :].tolist()


async def reply(engine, prompt, id=None, **params):
    """All tokens of one generation, and why it ended."""
    tokens = [token async for token in engine.generate(prompt, SamplingParams(**params), id=id)]
    return [token.id for token in tokens], tokens[-1].finish_reason if tokens else None


async def until(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "it never came"
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("name", MODELS)
async def test_many_at_once_write_what_each_writes_alone(name):
    model = MODELS[name]()
    engine = TorchEngine(model, max_batch=4)
    lengths = [3, 40, 1, 17, 90, 5, 33]
    counts = [30, 70, 12, 9, 100, 1, 25]
    prompts = [prompt(length, seed=length) for length in lengths]
    replies = await asyncio.gather(
        *(reply(engine, p, max_tokens=n) for p, n in zip(prompts, counts, strict=True))
    )
    engine.close()
    for (ids, reason), p, n in zip(replies, prompts, counts, strict=True):
        assert ids == alone(model, p, n)
        assert reason == "length"
    # They shared forward passes: one by one it would have taken as many as there are tokens.
    assert engine.stats().forward_passes < sum(counts) * 0.6
    assert engine.stats().tokens == sum(counts)


async def test_joining_and_leaving_in_the_middle_changes_nothing(engine, model):
    async def late(after, length, count):
        await until(lambda: engine.stats().tokens >= after)
        return await reply(engine, prompt(length, seed=length), max_tokens=count)

    async def leaving():
        stream = engine.generate(prompt(50, seed=50), SamplingParams(max_tokens=200))
        async with aclosing(stream):
            async for _ in stream:
                if engine.stats().tokens > 60:
                    break

    first, second, third, _ = await asyncio.gather(
        late(0, 20, 150), late(10, 70, 40), late(40, 2, 90), leaving()
    )
    assert first[0] == alone(model, prompt(20, seed=20), 150)
    assert second[0] == alone(model, prompt(70, seed=70), 40)
    assert third[0] == alone(model, prompt(2, seed=2), 90)
    assert engine.stats().aborted == 1


async def test_embeddings_are_read_like_the_ids_they_stand_for(engine, model):
    ids = prompt(12)
    with torch.no_grad():
        embeddings = model.get_input_embeddings()(ids)
    assert await reply(engine, embeddings, max_tokens=20) == await reply(engine, ids.tolist(), max_tokens=20)


async def test_a_prompt_read_in_chunks_is_the_same_prompt(model):
    engine = TorchEngine(model, prefill_chunk=7)
    ids, _ = await reply(engine, prompt(45), max_tokens=20)
    assert ids == alone(model, prompt(45), 20)
    assert engine.stats().forward_passes == 7 + 19
    engine.close()


async def test_a_long_prompt_does_not_hold_up_those_who_write(model):
    engine = TorchEngine(model, prefill_chunk=4)
    stream = engine.generate(prompt(3), SamplingParams(max_tokens=100))
    async with aclosing(stream):
        await anext(stream)
        before = engine.stats()
        await reply(engine, prompt(120), max_tokens=1)
        # Thirty chunks were read, and a token written after each of them.
        assert engine.stats().tokens - before.tokens >= 29
    engine.close()


async def test_the_first_token_leaves_before_the_last_forward_pass(engine):
    stream = engine.generate(prompt(5), SamplingParams(max_tokens=200))
    async with aclosing(stream):
        await anext(stream)
        assert engine.stats().forward_passes < 200
        assert len([token async for token in stream]) == 199
    assert engine.stats().forward_passes == 200


async def test_a_stop_token_ends_the_reply_and_is_its_last_token(model):
    plain = alone(model, prompt(9), 30)
    stop = plain[10]
    engine = TorchEngine(model, [stop])
    ids, reason = await reply(engine, prompt(9), max_tokens=30)
    assert (ids, reason) == (plain[: plain.index(stop) + 1], "stop")
    assert engine.stats().tokens == plain.index(stop)
    engine.close()


async def test_a_full_context_ends_the_reply(engine):
    ids, reason = await reply(engine, prompt(CONTEXT - 6), max_tokens=50)
    assert (len(ids), reason) == (6, "length")


async def test_abort_ends_the_iterator_and_frees_the_place(model):
    engine = TorchEngine(model, max_batch=1)
    task = asyncio.create_task(reply(engine, prompt(4), id="a", max_tokens=250))
    await until(lambda: engine.stats().tokens > 0)
    engine.abort("a")
    passes = engine.stats().forward_passes
    ids, reason = await task
    assert reason is None and len(ids) < 250
    await until(lambda: engine.stats().running == 0)
    assert engine.stats().forward_passes <= passes + 2  # the turn that was under way, at most
    assert len((await reply(engine, prompt(4), id="a", max_tokens=5))[0]) == 5
    engine.abort("nobody")
    engine.close()


async def test_closing_the_iterator_aborts(engine):
    stream = engine.generate(prompt(4), SamplingParams(max_tokens=250))
    await anext(stream)
    await stream.aclose()
    await until(lambda: engine.stats().running == 0)
    assert engine.stats().aborted == 1
    assert engine.stats().tokens < 250


async def test_those_who_wait_can_leave_the_queue(model):
    engine = TorchEngine(model, max_batch=1)
    first = asyncio.create_task(reply(engine, prompt(4), max_tokens=200))
    second = asyncio.create_task(reply(engine, prompt(4), max_tokens=200))
    await until(lambda: engine.stats().waiting == 1)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    await until(lambda: engine.stats().waiting == 0)
    assert len((await first)[0]) == 200
    engine.close()


SAMPLED = {"temperature": 1.5, "top_p": 0.9, "top_k": 20, "max_tokens": 40}


async def test_a_seed_gives_the_same_reply_whoever_else_is_there(engine):
    by_itself = await reply(engine, prompt(6), seed=7, **SAMPLED)
    crowd = [reply(engine, prompt(n, seed=n), seed=n, **SAMPLED) for n in (30, 2, 11)]
    among_others, *_ = await asyncio.gather(reply(engine, prompt(6), seed=7, **SAMPLED), *crowd)
    assert among_others == by_itself
    assert await reply(engine, prompt(6), seed=8, **SAMPLED) != by_itself


async def test_without_a_seed_replies_differ(engine):
    assert await reply(engine, prompt(6), **SAMPLED) != await reply(engine, prompt(6), **SAMPLED)


async def test_a_full_queue_says_busy(model):
    engine = TorchEngine(model, max_batch=1, max_waiting=1)
    tasks = [asyncio.create_task(reply(engine, prompt(4), max_tokens=200))]
    await until(lambda: engine.stats().running == 1)
    tasks.append(asyncio.create_task(reply(engine, prompt(4), max_tokens=2)))
    await until(lambda: engine.stats().waiting == 1)
    with pytest.raises(Busy, match="1 requests are waiting"):
        await reply(engine, prompt(4))
    assert [len(ids) for ids, _ in await asyncio.gather(*tasks)] == [200, 2]
    engine.close()


async def test_what_breaks_in_the_loop_reaches_those_who_wait_and_the_engine_lives_on(model):
    engine = TorchEngine(model, prefill_chunk=64)
    good = alone(model, prompt(5), 30)

    def broken_in(length):
        def hook(module, args, kwargs):
            given = kwargs.get("input_ids")
            if given is not None and given.shape[1] == length:
                raise RuntimeError("the device is on fire")

        return model.register_forward_pre_hook(hook, with_kwargs=True)

    with_fire = broken_in(33)  # in the prompt of one request
    companion = asyncio.create_task(reply(engine, prompt(5), max_tokens=30))
    with pytest.raises(Gpt4VideoError, match="broke"):
        await reply(engine, prompt(33))
    assert (await companion)[0] == good
    with_fire.remove()

    with_fire = broken_in(1)  # in the batch
    with pytest.raises(Gpt4VideoError, match="broke"):
        await reply(engine, prompt(5), max_tokens=30)
    with_fire.remove()

    assert engine.stats().running == engine.stats().waiting == 0
    assert (await reply(engine, prompt(5), max_tokens=30))[0] == good
    engine.close()


@pytest.mark.parametrize(
    ("wrong", "params", "error"),
    [
        ([], {}, InputError),
        ([VOCABULARY], {}, InputError),
        ([[1, 2]], {}, InputError),
        (torch.zeros(3, WIDTH + 1), {}, InputError),
        ([0] * CONTEXT, {}, ContextTooLong),
        ([1], {"max_tokens": 0}, InputError),
        ([1], {"temperature": -1.0}, InputError),
        ([1], {"top_p": 0.0}, InputError),
        ([1], {"top_k": -1}, InputError),
    ],
)
async def test_what_does_not_fit_is_said_at_the_door(engine, wrong, params, error):
    with pytest.raises(error):
        await reply(engine, wrong, **params)
    assert engine.stats().forward_passes == 0


async def test_two_requests_cannot_share_an_id(engine):
    stream = engine.generate(prompt(4), SamplingParams(max_tokens=100), id="a")
    async with aclosing(stream):
        await anext(stream)
        with pytest.raises(InputError, match="'a'"):
            await reply(engine, prompt(4), id="a")


async def test_close_ends_the_thread_and_those_under_way(model):
    engine = TorchEngine(model, max_batch=1)
    tasks = [asyncio.create_task(reply(engine, prompt(4), max_tokens=250)) for _ in range(2)]
    await until(lambda: engine.stats().tokens > 0)
    engine.close()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(outcome, Gpt4VideoError)
    with pytest.raises(Gpt4VideoError, match="closed"):
        await reply(engine, prompt(4))
    engine.close()


def test_an_event_loop_that_ends_in_the_middle_leaves_no_work_behind(engine):
    async def leave():
        await anext(engine.generate(prompt(4), SamplingParams(max_tokens=250)))

    asyncio.run(leave())
    end = time.monotonic() + 10
    while engine.stats().running:
        assert time.monotonic() < end
        time.sleep(0.001)
    assert engine.stats().tokens < 250


async def test_askers_get_places_in_turn_however_long_ones_line_is(model):
    engine = TorchEngine(model, max_batch=2)
    order = []

    async def ask(asker):
        params = SamplingParams(max_tokens=12, asker=asker)
        async with aclosing(engine.generate([1, 2, 3], params)) as tokens:
            await anext(tokens)
            order.append(asker)
            async for _ in tokens:
                pass

    try:
        await asyncio.gather(*(ask("greedy") for _ in range(8)), ask("modest"))
    finally:
        engine.close()
    assert order.index("modest") <= 2, "whoever has no place comes before whoever has one"


async def test_the_times_of_a_request_are_told_as_stages(model):
    heard = []
    token = listener.set(heard.append)
    engine = TorchEngine(model)
    try:
        async with aclosing(engine.generate([1, 2, 3], SamplingParams(max_tokens=4))) as tokens:
            assert len([token async for token in tokens]) == 4
    finally:
        engine.close()
        listener.reset(token)
    assert [stage.name for stage in heard] == ["queue", "prefill", "words"]
    assert heard[0].ended == heard[1].began and all(stage.seconds >= 0 for stage in heard)
