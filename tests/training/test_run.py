"""`gpt4video train` from nothing to a checkpoint that opens, with every stage made tiny."""

import asyncio
import re
import shutil
from dataclasses import replace

import pytest
import torch
import yaml
from diffusers import DiffusionPipeline
from safetensors.torch import load_file

import gpt4video
from gpt4video.cli import main
from gpt4video.errors import InputError
from gpt4video.messages import Finished, VideoDone, user
from gpt4video.shapes.render import render
from gpt4video.shapes.world import Scene, Thing
from gpt4video.training import data
from gpt4video.training.loop import Randomness
from gpt4video.training.run import STAGES, read_training
from gpt4video.training.stages import drawer, seeing
from gpt4video.training.start import PLACES
from gpt4video.video import Clip

LOOP = {"steps": 2, "warmup": 1, "log_every": 1}
DRAWER = {"channels": [16, 32], "heads": 2, "clips": 16, "batch": 16, "loop": {**LOOP, "ema": 0.5}}
TINY = {
    "clip": {
        "width": 4,
        "layers": [1, 1, 1, 1],
        "text_width": 32,
        "text_layers": 1,
        "clips": 8,
        "batch": 4,
        "loop": LOOP,
    },
    "language": {
        "width": 32,
        "layers": 2,
        "heads": 2,
        "mlp_width": 32,
        "vocab_size": 600,
        "texts": 60,
        "dialogues": 4,
        "loop": LOOP,
    },
    "abstractor": {"width": 32, "layers": 1, "heads": 2, "clips": 8, "batch": 4, "loop": LOOP},
    "instruct": {"clips": 8, "foreign": 8, "batch": 2, "quiz": 2, "questions": 2, "looked": 4, "loop": LOOP},
    "vae": {"channels": [8, 8, 16, 16], "scenes": 2, "loop": {**LOOP, "ema": 0.5}},
    "decoder": {"kind": "decoder", "noise": 0.3, "scenes": 2, "loop": LOOP},
    "frames": {**DRAWER, "kind": "frames"},
    "motion": {**DRAWER, "kind": "motion"},
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    config = folder / "tiny.yaml"
    training = {"folder": str(folder), "checkpoint": str(folder / "checkpoint"), "stages": TINY}
    config.write_text(yaml.safe_dump({"training": training}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "SHARD", 8)
        patch.setattr(seeing, "SHARD", 8)
        patch.setattr(drawer, "BATCH", 16)
        assert main(["train", "--config", str(config)]) == 0
        yield folder, config


def test_every_stage_is_done_and_not_done_again(trained, capsys):
    folder, config = trained
    assert all((folder / stage / "done").exists() for stage in STAGES)
    assert main(["train", "--config", str(config)]) == 0
    assert capsys.readouterr().err.count("finished before") == len(STAGES)


def test_the_checkpoint_opens_answers_and_draws(trained):
    folder, _ = trained
    assistant = gpt4video.load(folder / "checkpoint")
    frames = render(Scene((Thing("red", "circle", "small", "left"),), "black"))

    async def both():
        talk = [e async for e in assistant.respond((user(Clip.of(frames, 8.0), "What moves?"),))]
        drawn = [e async for e in assistant.draw("a red circle moving left")]
        return talk, drawn

    talk, drawn = asyncio.run(both())
    assert isinstance(talk[-1], Finished)
    done = next(e for e in drawn if isinstance(e, VideoDone))
    assert done.clip.frames.shape == (16, 256, 256, 3)


def test_videos_in_which_something_happens_are_looked_at_more(trained, tmp_path):
    folder, _ = trained
    pool = data.Pool.make(folder / "pool", "training", 8)
    still = next(scene for scene in pool.scenes if not scene.event)
    gone = replace(still, things=(replace(still.things[0], event="vanishes"), *still.things[1:]))
    pool = replace(pool, scenes=[gone, *[still] * 7])
    parts = seeing.Parts(folder / "checkpoint" / "clip", folder / "language" / "model", folder / "abstractor")
    counts = []
    for share in (0.0, 1.0):
        stage = seeing.AbstractorStage(width=32, layers=1, heads=2, batch=40, told=1, events=share)
        task = seeing.SeeingTask(stage, parts, pool, tmp_path, "penultimate")
        scenes = [task.views[i].scene for i in task.chosen(Randomness.of(0, 0).numpy, 40)]
        counts.append(sum(scene.event is not None for scene in scenes))
    assert counts[0] < 20 and counts[1] == 40


def test_plain_diffusers_opens_the_drawer(trained):
    folder, _ = trained
    pipeline = DiffusionPipeline.from_pretrained(folder / "checkpoint" / "pipeline", local_files_only=True)
    assert type(pipeline).__name__ == "AnimateDiffPipeline"
    pipeline.set_progress_bar_config(disable=True)
    out = pipeline(
        "a red circle", num_frames=16, height=64, width=64, num_inference_steps=1, output_type="np"
    )
    assert out.frames.shape == (1, 16, 64, 64, 3)


def test_everything_shipped_is_safetensors(trained):
    folder, _ = trained
    weights = [p for p in (folder / "checkpoint").rglob("*") if p.stat().st_size > 100_000]
    assert {p.suffix for p in weights if p.is_file()} <= {".safetensors", ".json"}


def test_an_unknown_stage_is_one_line(trained, capsys):
    _, config = trained
    assert main(["train", "--config", str(config), "--stage", "nope"]) == 2
    assert "There is no stage 'nope'" in capsys.readouterr().err


def test_an_unfinished_run_is_not_thrown_away(trained, capsys):
    folder, config = trained
    (folder / "vae" / "done").unlink()
    try:
        assert main(["train", "--config", str(config), "--stage", "vae"]) == 2
        assert "--resume" in capsys.readouterr().err
    finally:
        (folder / "vae" / "done").touch()


@pytest.mark.parametrize("stage", ["language", "abstractor", "motion"])
def test_a_stage_begins_from_a_checkpoint_and_goes_on_from_its_own_state(trained, tmp_path, capsys, stage):
    folder, _ = trained
    slow = {**TINY, stage: {**TINY[stage], "loop": {**LOOP, "learning_rate": 1e-30, "weight_decay": 0.0}}}
    training = {"folder": str(tmp_path), "checkpoint": str(tmp_path / "checkpoint"), "stages": slow}
    config = tmp_path / "again.yaml"
    config.write_text(yaml.safe_dump({"training": training}))
    for made in ("checkpoint", "pool", "latents", "language", "abstractor", "frames"):
        shutil.copytree(folder / made, tmp_path / made)
    shutil.rmtree(tmp_path / stage, ignore_errors=True)
    capsys.readouterr()
    start = ["--start", str(folder / "checkpoint")]
    assert main(["train", "--config", str(config), "--stage", stage, *start]) == 0
    state = torch.load(tmp_path / stage / "state.pt", weights_only=True)
    module, place = next(iter(PLACES[stage].items()))
    assert not re.search(rf"{module}: \d", capsys.readouterr().err), "it is given whole"
    given: dict[str, torch.Tensor] = {}
    for file in (folder / "checkpoint" / place).glob("*.safetensors"):
        given |= load_file(file)
    for name, tensor in given.items():
        torch.testing.assert_close(state["modules"][module][name], tensor.float(), rtol=1e-6, atol=1e-7)


def test_conversations_are_learned_from_a_checkpoint_alone(trained, tmp_path):
    """Who has nothing but a checkpoint can go on teaching it: what earlier stages leave is copied."""
    folder, _ = trained
    training = {"folder": str(tmp_path), "checkpoint": str(tmp_path / "checkpoint"), "stages": TINY}
    config = tmp_path / "again.yaml"
    config.write_text(yaml.safe_dump({"training": training}))
    start = ["--start", str(folder / "checkpoint"), "--stage", "instruct"]
    assert main(["train", "--config", str(config), *start]) == 0
    for part in ("abstractor", "language_model"):
        assert list((tmp_path / "checkpoint" / part).glob("*.safetensors"))


def test_what_cannot_begin_from_a_checkpoint_is_one_line(trained, capsys):
    folder, config = trained
    start = ["--resume", "--start", str(folder / "checkpoint")]
    for more, said in ((["--stage", "frames"], "'frames' cannot begin"), ([], "--start needs --stage")):
        assert main(["train", "--config", str(config), *start, *more]) == 2
        assert said in capsys.readouterr().err


def test_the_shipped_config_reads():
    assert read_training("shapes").stages.motion.kind == "motion"


def test_conversations_about_foreign_videos_need_some():
    with pytest.raises(InputError, match="foreign must be at least 1"):
        seeing.InstructStage(foreign=0)
    with pytest.raises(InputError, match="foreign must be at least 1"):
        seeing.InstructStage(foreign=0, kinds={"foreign": 0.1, "qa": 0.9})
    assert not seeing.InstructStage(foreign=0, kinds={"qa": 1.0}).asks_of_foreign
