"""Promises of the drawer, kept on real pipelines of four families made tiny, saved and opened again."""

import asyncio
import logging
import threading
from contextlib import aclosing

import numpy as np
import pytest
import tiny
import torch
from diffusers import DDIMPipeline, DDIMScheduler, HeunDiscreteScheduler, UNet2DModel

from gpt4video.errors import ConfigError, DrawerHangs, GenerationFailed, InputError
from gpt4video.generation import DiffusersDrawer, DrawerConfig, PreviewMap
from gpt4video.interfaces import Drawing, Step
from gpt4video.messages import DrawOptions, GenerationRequest

COLOURS = PreviewMap(weights=((0.1, 0.2, 0.3),) * 4)
FAMILIES = {
    "animatediff": DrawerConfig(
        num_frames=4, steps=3, enlarge=4, lengths=(8,), preview=COLOURS, guidance=2.0
    ),
    "modelscope": DrawerConfig(num_frames=4, steps=3, preview=COLOURS),
    "wan": DrawerConfig(num_frames=5, steps=3, width=32, height=16),
    "ltx": DrawerConfig(num_frames=9, steps=3, width=32, height=32, fps=12, call={"decode_timestep": 0.05}),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """One saved pipeline, with its sidecar, for each family."""
    root = tmp_path_factory.mktemp("pipelines")
    for name, config in FAMILIES.items():
        getattr(tiny, name)().save_pretrained(root / name)
        config.write(root / name)
    return root


@pytest.fixture(scope="module")
def drawers(folders):
    """The same pipelines, opened from their folders."""
    return {name: DiffusersDrawer.from_pretrained(folders / name) for name in FAMILIES}


@pytest.fixture
def drawer(drawers):
    return drawers["animatediff"]


async def drawn(drawer, prompt="a red circle", **options):
    return [event async for event in drawer.draw(GenerationRequest(prompt, DrawOptions(**options)))]


def count_calls(drawer):
    """Counts how often the denoiser runs."""
    calls = []
    pipe = drawer._pipe
    denoiser = pipe.unet if hasattr(pipe, "unet") else pipe.transformer
    return calls, denoiser.register_forward_pre_hook(lambda *_: calls.append(1))


@pytest.mark.parametrize("family", FAMILIES)
async def test_every_family_draws_from_its_folder_step_by_step(drawers, family):
    config, drawer = FAMILIES[family], drawers[family]
    *steps, drawing = await drawn(drawer, seed=3)
    assert [(s.step, s.steps) for s in steps] == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert isinstance(drawing, Drawing) and drawing.seed == 3
    width, height = drawer.limits.size
    assert drawing.clip.frames.shape == (config.num_frames, height, width, 3)
    assert drawing.clip.duration == drawer.limits.seconds
    assert drawing.clip.fps == pytest.approx(drawer.limits.fps)


@pytest.mark.parametrize("family", FAMILIES)
async def test_leaving_stops_before_the_next_step(drawers, family):
    drawer = drawers[family]
    calls, hook = count_calls(drawer)
    async with aclosing(drawer.draw(GenerationRequest("a circle", DrawOptions(steps=50)))) as events:
        async for event in events:
            if event.step == 2:
                break
    *_, drawing = await drawn(drawer, steps=1, seed=0)  # the thread is free again, nothing is broken
    hook.remove()
    assert isinstance(drawing, Drawing)
    assert len(calls) < 20, "the drawing went on although nobody was there"


@pytest.mark.parametrize("family", ["animatediff", "modelscope"])
async def test_previews_are_small_pictures(drawers, family):
    first, *steps, _ = await drawn(drawers[family], seed=0)
    assert first.preview is None
    for step in steps:
        assert step.preview.dtype == np.uint8
        assert step.preview.shape == (64, 64, 3)


async def test_the_same_seed_gives_the_same_clip_and_another_seed_another(drawer):
    first, again, other = [(await drawn(drawer, seed=s))[-1].clip for s in (7, 7, 8)]
    assert first.hash == again.hash
    assert first.hash != other.hash


async def test_without_a_seed_one_is_drawn_and_told(drawer):
    one, two = (await drawn(drawer))[-1], (await drawn(drawer))[-1]
    assert one.seed != two.seed
    assert (await drawn(drawer, seed=one.seed))[-1].clip.hash == one.clip.hash


async def test_files_are_enlarged_by_whole_pixels(drawer):
    frames = (await drawn(drawer, seed=1))[-1].clip.frames
    assert drawer.limits.size == (128, 128)
    small = frames[:, ::4, ::4]
    assert np.array_equal(small.repeat(4, axis=1).repeat(4, axis=2), frames)


async def test_two_requests_take_turns(drawer):
    order = []

    async def ask(name):
        async for event in drawer.draw(GenerationRequest("a circle", DrawOptions(seed=1))):
            order.append((name, type(event).__name__, getattr(event, "step", None)))

    await asyncio.gather(ask("first"), ask("second"))
    # What is drawn is told while the next one begins: only the steps are in one line.
    assert [name for name, kind, _ in order if kind == "Step"] == ["first"] * 4 + ["second"] * 4
    assert [name for name, kind, _ in order if kind != "Step"] == ["first", "second"]


async def test_who_leaves_the_queue_is_never_drawn(drawer):
    calls, hook = count_calls(drawer)
    first = asyncio.create_task(drawn(drawer, seed=1))
    await asyncio.sleep(0)
    waiting = asyncio.create_task(drawn(drawer, seed=2, steps=50))
    await asyncio.sleep(0)
    waiting.cancel()
    await first
    await drawn(drawer, seed=3)
    hook.remove()
    assert len(calls) == 6


@pytest.mark.parametrize(
    ("options", "param", "fits"),
    [
        ({"seconds": 3.0}, "seconds", "one of 0.5, 1"),
        ({"size": (64, 64)}, "size", "128x128"),
        ({"steps": 0}, "steps", "1 to 100"),
        ({"steps": 101}, "steps", "1 to 100"),
        ({"guidance": float("nan")}, "guidance", "0 or more"),
        ({"seed": -1}, "seed", "0 to 2"),
    ],
)
async def test_what_cannot_be_drawn_is_refused_with_what_fits(drawer, options, param, fits):
    with pytest.raises(InputError, match="must be") as caught:
        await drawn(drawer, **options)
    assert caught.value.param == param
    assert fits in caught.value.message


async def test_lengths_on_offer_are_drawn(drawer):
    assert drawer.limits.lengths == (0.5, 1.0)
    clip = (await drawn(drawer, seconds=1.0, size=(128, 128), guidance=1.0, steps=1))[-1].clip
    assert len(clip.frames) == 8


async def test_a_broken_pipeline_fails_the_request_and_not_the_drawer(drawer):
    hook = drawer._pipe.unet.register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(GenerationFailed, match="ZeroDivisionError"):
        await drawn(drawer, "a secret wish")
    hook.remove()
    assert isinstance((await drawn(drawer))[-1], Drawing)


async def test_a_drawing_that_never_ends_is_told_to_whoever_waits_behind_it():
    goes_on, pipe = threading.Event(), tiny.animatediff()
    config = DrawerConfig(width=32, height=32, num_frames=2, steps=2, stuck_seconds=0.2)
    drawer = DiffusersDrawer(pipe, config)
    pipe.unet.register_forward_pre_hook(lambda *_: goes_on.wait(120) and None)
    try:
        async with aclosing(drawer.draw(GenerationRequest("a red circle"))) as steps:
            async for _ in steps:  # its turn has come, and that is the last that is heard of it
                break
        assert drawer.alive and not drawer.idle
        with pytest.raises(DrawerHangs, match="hangs in an earlier drawing"):
            await drawn(drawer)
        assert not drawer.alive
    finally:
        goes_on.set()
    while not drawer.idle:
        await asyncio.sleep(0.01)
    assert [type(event) for event in await drawn(drawer)][-1] is Drawing
    assert drawer.alive
    drawer.close()


async def test_numbers_that_are_not_finite_are_not_a_video(drawer):
    hook = drawer._pipe.vae.decoder.register_forward_hook(lambda _m, _i, out: out * float("nan"))
    with pytest.raises(GenerationFailed, match="not finite"):
        await drawn(drawer)
    hook.remove()


async def test_a_scheduler_with_more_turns_still_counts_to_the_steps_asked_for(folders):
    drawer = DiffusersDrawer.from_pretrained(folders / "animatediff")
    drawer._pipe.scheduler = HeunDiscreteScheduler.from_config(drawer._pipe.scheduler.config)
    *steps, _ = await drawn(drawer, steps=3)
    assert [s.step for s in steps] == sorted(s.step for s in steps)
    assert steps[-1].step == steps[-1].steps == 3


async def test_a_long_prompt_is_drawn_and_stays_out_of_the_logs(drawer, caplog):
    logger = logging.getLogger("diffusers")
    logger.addHandler(caplog.handler)
    try:
        with caplog.at_level(logging.WARNING, logger="diffusers"):
            assert isinstance((await drawn(drawer, "circle " * 40 + "secret"))[-1], Drawing)
    finally:
        logger.removeHandler(caplog.handler)
    assert "longer than its text encoder reads" in caplog.text
    assert "circle" not in caplog.text and "secret" not in caplog.text


async def test_a_closed_drawer_says_so(folders):
    drawer = DiffusersDrawer.from_pretrained(folders / "animatediff")
    drawer.close()
    with pytest.raises(GenerationFailed, match="closed"):
        await drawn(drawer)


def test_without_a_sidecar_the_pipelines_own_defaults_count():
    limits = DiffusersDrawer(tiny.animatediff()).limits
    assert (limits.size, limits.seconds, limits.fps, limits.steps) == ((32, 32), 2.0, 8.0, 50)
    limits = DiffusersDrawer(tiny.ltx()).limits
    assert (limits.size, limits.seconds, limits.fps) == ((704, 512), 161 / 25, 25.0)


@pytest.mark.parametrize(
    ("family", "config", "fits"),
    [
        ("animatediff", DrawerConfig(lengths=(33,)), "at most 32"),
        ("wan", DrawerConfig(num_frames=16), "13 and 17"),
        ("animatediff", DrawerConfig(width=30, height=32), "multiples of 8"),
        ("wan", DrawerConfig(num_frames=5, call={"clip_skip": 1}), "takes no clip_skip"),
    ],
)
def test_a_sidecar_that_the_pipeline_cannot_honour_is_refused_when_opened(family, config, fits):
    with pytest.raises(ConfigError, match=fits):
        DiffusersDrawer(getattr(tiny, family)(), config)


def test_a_pipeline_that_draws_pictures_is_refused():
    unet = UNet2DModel(
        sample_size=8, block_out_channels=(8,), norm_num_groups=4, layers_per_block=1,
        down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",),
    )  # fmt: skip
    with pytest.raises(ConfigError, match="does not turn text alone into video"):
        DiffusersDrawer(DDIMPipeline(unet, DDIMScheduler()))


def test_a_folder_without_a_pipeline_is_one_clear_error(tmp_path):
    with pytest.raises(ConfigError, match="Cannot open the drawing pipeline"):
        DiffusersDrawer.from_pretrained(tmp_path)


def test_another_dtype_is_honoured(folders):
    drawer = DiffusersDrawer.from_pretrained(folders / "animatediff", dtype=torch.bfloat16)
    assert drawer._pipe.unet.dtype == torch.bfloat16
    assert isinstance(asyncio.run(drawn(drawer))[-1], Drawing)


async def test_steps_start_as_soon_as_drawing_starts(drawer):
    events = drawer.draw(GenerationRequest("a circle"))
    assert await anext(events) == Step(0, 3)
    await events.aclose()
