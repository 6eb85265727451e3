"""Safety at four doors: the question, the posted video, the instruction, the drawn video.

normalise.py   one text seen in several ways, against disguises
policy.py      what is not welcome, where, and what people are told (`policy.yaml`)
text.py        words against the policy
frames.py      frames against the policy; checker.py opens Stable Diffusion's checker for it
filter.py      `SafetyFilter`, the room's one face
"""

from gpt4video.safety.filter import SafetyFilter
from gpt4video.safety.frames import FrameChecker
from gpt4video.safety.policy import Category, FrameRule, Policy

__all__ = ["Category", "FrameChecker", "FrameRule", "Policy", "SafetyFilter"]
