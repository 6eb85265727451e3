"""Frames at the door: the rule over time, and Stable Diffusion's checker made tiny."""

import numpy as np
import pytest
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from transformers import CLIPConfig, CLIPImageProcessor

from gpt4video.errors import ConfigError
from gpt4video.safety import FrameRule, Policy, SafetyFilter
from gpt4video.safety.frames import condemned, thinned
from gpt4video.video import Clip

RULE = FrameRule(high=0.65, low=0.5, run=2)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.1, 0.1, 0.7, 0.1], True),
        ([0.1, 0.6, 0.6, 0.1], True),
        ([0.6, 0.1, 0.6, 0.1], False),
        ([0.1] * 10, False),
        ([0.6], True),
        ([0.5], False),
    ],
)
def test_one_clear_frame_or_a_doubtful_run_condemns_a_clip(scores, expected):
    assert condemned(np.array(scores), RULE) is expected


def test_long_clips_are_thinned_evenly_with_both_ends():
    frames = np.arange(100, dtype=np.uint8)[:, None, None, None].repeat(3, axis=3)
    kept = thinned(Clip.of(frames, 8.0), 5)[:, 0, 0, 0]
    assert kept.tolist() == [0, 25, 50, 74, 99]


class Bright:
    """A checker of five lines: how bright a frame is."""

    categories = ("sexual",)
    asked = 0

    def scores(self, frames):
        self.asked += 1
        return frames.mean(axis=(1, 2, 3))[:, None] / 255


def clip(*levels):
    return Clip.of(
        np.array(levels, dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 3), np.uint8), 8.0
    )


def test_a_checker_stands_at_both_doors_of_frames():
    safety = SafetyFilter(checker=Bright())
    for door in ("posted_video", "drawn_video"):
        assert safety.clip(clip(0, 20, 40), door).allowed
        verdict = safety.clip(clip(0, 255, 0), door)
        assert (verdict.allowed, verdict.categories, dict(verdict.scores)["sexual"]) == (
            False,
            ("sexual",),
            1.0,
        )
        assert "sexual content" in verdict.message


def test_a_clip_that_comes_again_is_not_looked_at_again():
    checker = Bright()
    safety = SafetyFilter(checker=checker)
    for _ in range(3):
        assert not safety.clip(clip(255), "posted_video").allowed
    assert checker.asked == 1


def test_without_a_checker_clips_pass_and_nothing_is_claimed():
    verdict = SafetyFilter().clip(clip(255), "drawn_video")
    assert verdict.allowed
    assert verdict.scores == ()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny checker whose one concept is the picture of a red frame."""
    torch.manual_seed(0)
    small = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision = small | {"image_size": 32, "patch_size": 8}
    model = StableDiffusionSafetyChecker(
        CLIPConfig(text_config=small, vision_config=vision, projection_dim=16)
    )
    processor = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    model.eval()
    pixels = processor([painted("red")[0]], return_tensors="pt").pixel_values
    with torch.no_grad():
        model.concept_embeds[:] = model.visual_projection(model.vision_model(pixels)[1])
        model.concept_embeds_weights[:] = 0.999
        model.special_care_embeds_weights[:] = 2.0
    path = tmp_path_factory.mktemp("safety")
    model.save_pretrained(path)
    processor.save_pretrained(path)
    return path


def painted(colour, count=4):
    rgb = {"red": (255, 0, 0), "blue": (0, 0, 255), "grey": (128, 128, 128)}[colour]
    return np.tile(np.array(rgb, np.uint8), (count, 48, 48, 1))


def test_a_checkpoints_own_checker_is_opened_and_asked(folder):
    safety = SafetyFilter.from_folder(folder)
    assert safety.policy == Policy.from_file()
    assert safety.clip(Clip.of(painted("blue"), 8.0), "drawn_video").allowed
    mixed = np.concatenate([painted("blue"), painted("red", 2), painted("blue")])
    assert not safety.clip(Clip.of(mixed, 8.0), "drawn_video").allowed


def test_scores_agree_with_the_checkers_own_verdict(folder):
    safety = SafetyFilter.from_folder(folder)
    frames = np.concatenate([painted(c, 1) for c in ("red", "blue", "grey")])
    scores = safety._checker.scores(frames)[:, 0]
    model = StableDiffusionSafetyChecker.from_pretrained(folder)
    inputs = CLIPImageProcessor.from_pretrained(folder)(list(frames), return_tensors="pt").pixel_values
    _, flagged = model(clip_input=inputs, images=np.zeros((3, 8, 8, 3)))
    assert (scores > 0.5).tolist() == flagged == [True, False, False]


def test_a_broken_checker_is_one_clear_error(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match="Cannot open the frame checker"):
        SafetyFilter.from_folder(tmp_path)
