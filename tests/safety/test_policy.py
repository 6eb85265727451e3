"""A policy is data: it ships, it is read strictly, and a checkpoint may bring its own."""

import pytest

from gpt4video.checkpoint import EMBEDDED
from gpt4video.errors import ConfigError
from gpt4video.safety import Policy, SafetyFilter
from gpt4video.safety.policy import DEFAULT

OWN = """
version: 1
message: No.
categories:
  house/rules:
    terms: [purple squ*]
    draw_terms: [orange]
    allow: [purple squid]
    doors: [instruction]
frames: {high: 0.9, low: 0.8, run: 3}
"""


def test_the_shipped_policy_is_read():
    assert {"sexual", "sexual/minors", "violence", "self-harm", "hate", "illicit"} <= set(
        Policy.from_file().categories
    )


def test_the_embedded_checkpoint_has_the_packages_own():
    assert (EMBEDDED / "safety" / "policy.yaml").read_bytes() == DEFAULT.read_bytes()


def test_a_checkpoint_may_bring_its_own_policy(tmp_path):
    (tmp_path / "policy.yaml").write_text(OWN)
    safety = SafetyFilter.from_folder(tmp_path)
    verdict = safety.text("a Purple  Square", "instruction")
    assert (verdict.allowed, verdict.categories, verdict.message) == (False, ("house/rules",), "No.")
    assert safety.text("a purple square", "question").allowed
    assert safety.text("a purple squid", "instruction").allowed
    assert not safety.text("an orange", "instruction").allowed
    assert safety.policy.frames.run == 3


def test_a_folder_with_nothing_in_it_means_the_shipped_policy(tmp_path):
    assert SafetyFilter.from_folder(tmp_path).policy == Policy.from_file()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("categories: {sexual: {term: [x]}}", "Did you mean 'terms'"),
        ("categories: {sexual: {doors: [window]}}", "must be one of"),
        ("categories: {sexual: {patterns: ['(']}}", "not a regular expression"),
        ("frames: {high: 0.2, low: 0.5}", "low <= high"),
        ("version: 2", "version must be 1"),
    ],
)
def test_a_policy_that_does_not_fit_says_why(tmp_path, text, says):
    (tmp_path / "policy.yaml").write_text(text)
    with pytest.raises(ConfigError, match=says):
        SafetyFilter.from_folder(tmp_path)
