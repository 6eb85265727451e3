"""A complete checkpoint on disk opens as an assistant, and whatever is wrong with one is said in one line."""

import shutil

import numpy as np
import pytest
import yaml

import gpt4video
from gpt4video.checkpoint import find
from gpt4video.errors import ConfigError
from gpt4video.loading import GENERATION, SAFETY, UNDERSTANDING, load
from gpt4video.messages import DrawOptions, SamplingParams, VideoDone, VideoProgress, user
from gpt4video.video import Clip
from tests import tiny


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return tiny.make_checkpoint(tmp_path_factory.mktemp("checkpoints") / "tiny")


@pytest.fixture
def broken(checkpoint, tmp_path):
    return shutil.copytree(checkpoint, tmp_path / "broken")


def describe(folder, **changes):
    """Write `assistant.yaml` anew, with these fields changed."""
    fields = yaml.safe_load((folder / "assistant.yaml").read_text())
    (folder / "assistant.yaml").write_text(yaml.safe_dump({**fields, **changes}))


def a_clip():
    return Clip.of(np.random.default_rng(0).integers(0, 255, (8, 48, 64, 3), dtype=np.uint8), 8)


async def test_a_checkpoint_answers_and_draws(checkpoint):
    assistant = gpt4video.load(checkpoint)
    assert assistant.encoder.sampling.num_frames == 4
    params = SamplingParams(max_tokens=12)
    events = [event async for event in assistant.respond((user(a_clip(), "What moves?"),), params)]
    assert events[-1].usage.completion_tokens == 12
    assert "".join(e.text for e in events[:-1]).strip()
    events = [event async for event in assistant.draw("a red circle", DrawOptions(seed=1))]
    done = next(event for event in events if isinstance(event, VideoDone))
    assert done.clip.frames.shape == (4, 32, 32, 3) and done.seed == 1
    assert [e.step for e in events if isinstance(e, VideoProgress)] == [0, 1, 2]


def test_a_checkpoint_opened_twice_says_the_same(checkpoint):
    first, second = (load(str(checkpoint)).ask(a_clip(), "What moves?") for _ in range(2))
    assert first.text == second.text and first.text


def test_a_config_takes_what_it_lacks_from_its_checkpoint(checkpoint, tmp_path):
    shutil.copytree(checkpoint / "pipeline", tmp_path / "slow")
    config = tmp_path / "mine.yaml"
    config.write_text(
        f"checkpoint: {checkpoint}\ngeneration: {{pipeline: slow, options: {{steps: 7, num_frames: 4}}}}"
    )
    assistant = load(config)
    assert assistant.drawer.limits.steps == 7
    assert assistant.encoder.sampling.num_frames == 4


def test_an_assistant_may_draw_nothing(checkpoint, tmp_path):
    config = tmp_path / "mine.yaml"
    config.write_text(f"checkpoint: {checkpoint}\ngeneration: {{kind: none}}")
    assert load(config).drawer is None


def test_safety_left_out_is_not_switched_off(broken):
    fields = yaml.safe_load((broken / "assistant.yaml").read_text())
    del fields["safety"]
    (broken / "assistant.yaml").write_text(yaml.safe_dump(fields))
    shutil.rmtree(broken / "safety")
    assert not load(broken).safety.text("how do I build a bomb at home", "question").allowed


@pytest.mark.parametrize("part", ["clip", "abstractor", "language_model"])
def test_a_missing_folder_is_named_with_its_part(broken, part):
    shutil.rmtree(broken / part)
    with pytest.raises(ConfigError, match=f"assistant.yaml: understanding: there is no folder '{part}'"):
        load(broken)


def test_a_missing_pipeline_is_named_with_its_part(broken):
    shutil.rmtree(broken / "pipeline")
    with pytest.raises(ConfigError, match=r"assistant.yaml: generation: there is no folder 'pipeline'"):
        load(broken)


@pytest.mark.parametrize(
    "file",
    [
        "clip/open_clip_config.json", "clip/open_clip_model.safetensors", "abstractor/config.json",
        "abstractor/model.safetensors", "language_model/config.json", "language_model/model.safetensors",
        "language_model/tokenizer.json", "pipeline/model_index.json",
    ],
)  # fmt: skip
def test_a_missing_file_is_a_config_error_that_names_the_part(broken, file):
    (broken / file).unlink()
    part = "generation" if file.startswith("pipeline") else "understanding"
    with pytest.raises(ConfigError, match=f"assistant.yaml: {part}: "):
        load(broken)


@pytest.mark.parametrize(
    "file",
    [
        "abstractor/model.safetensors", "clip/open_clip_model.safetensors",
        "language_model/model.safetensors",
        "pipeline/unet/diffusion_pytorch_model.safetensors",
    ],
)  # fmt: skip
def test_weights_that_are_cut_off_are_a_config_error(broken, file):
    data = (broken / file).read_bytes()
    (broken / file).write_bytes(data[: len(data) // 2])
    with pytest.raises(ConfigError, match=r"assistant.yaml: (understanding|generation): "):
        load(broken)


def test_a_language_model_that_lacks_weights_does_not_go_on_with_random_ones(broken):
    from safetensors.torch import load_file, save_file

    file = broken / "language_model" / "model.safetensors"
    weights = load_file(file)
    del weights["lm_head.weight"]
    save_file(weights, file, {"format": "pt"})
    with pytest.raises(ConfigError, match=r"lacks weights: lm_head.weight"):
        load(broken)


def test_parts_that_do_not_fit_together_are_refused(broken, tmp_path):
    from gpt4video.models import Abstractor, AbstractorConfig

    config = AbstractorConfig(encoder_width=16, grid=(2, 2), language_width=48, width=16, num_heads=2)
    Abstractor(config).save_pretrained(broken / "abstractor")
    with pytest.raises(ConfigError, match="width 48; the language model reads 32"):
        load(broken)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"understanding": {"kind": "natve"}}, "there is no kind 'natve'. Did you mean 'native'"),
        ({"generation": {"kind": "magic"}}, "There is: diffusers, none"),
        ({"understanding": {"kind": "native", "cilp": "clip"}}, "has no field 'cilp'. Did you mean 'clip'"),
        ({"understanding": {"sampling": {"num_frames": 0}}}, "num_frames must be at least 1"),
        ({"understanding": {"threads": 0}}, "threads must be at least 1, got 0"),
        ({"generation": {"dtype": "float12"}}, "dtype must be one of"),
        ({"genration": {}}, "has no field 'genration'. Did you mean 'generation'"),
        ({"format_version": 2}, "format_version must be 1, got 2"),
        ({"device": "toaster"}, "device 'toaster' is not here"),
        ({"generation": None}, "has no 'generation'"),
    ],
)
def test_an_unknown_word_gets_a_suggestion(broken, changes, said):
    describe(broken, **changes)
    with pytest.raises(ConfigError) as error:
        load(broken)
    assert said in error.value.message and "assistant.yaml" in error.value.message


def test_a_folder_without_a_description_is_no_checkpoint(tmp_path):
    with pytest.raises(ConfigError, match=r"it has no assistant.yaml"):
        load(tmp_path)
    with pytest.raises(ConfigError, match="There is no config 'nowhere'"):
        load("nowhere")


def test_checkpoints_that_name_each_other_are_told(tmp_path):
    for name, other in (("a", "b"), ("b", "a")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "assistant.yaml").write_text(f"checkpoint: ../{other}\n")
    with pytest.raises(ConfigError, match="'checkpoint' leads back to"):
        load(tmp_path / "a")


def test_nothing_named_means_the_embedded_checkpoint():
    where = gpt4video.__path__[0] + "/embedded/assistant.yaml"
    try:
        assert str(find()) == str(find("embedded")) == where
    except ConfigError as error:  # before its weights are trained there is no such folder
        assert "embedded is not a checkpoint" in error.message


def test_every_kind_reads_its_fields_from_defaults():
    for table in (UNDERSTANDING, GENERATION, SAFETY):
        for kind in table.values():
            kind.config()
