"""Plain text of the world, for the tokenizer and for pre-training the language model.

    Video: a red circle moving left; the red circle vanishes
    User: What color is it?
    Assistant: The circle is red.

A description stands where a video will stand later, so that the model can reason over what is shown before
it has ever seen a frame.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gpt4video.shapes.language.describe import caption, event_phrase, prompt, request_of
from gpt4video.shapes.language.dialogues import Dialogue, sample_dialogue
from gpt4video.shapes.language.questions import questions
from gpt4video.shapes.language.refer import description
from gpt4video.shapes.language.requests import rephrase
from gpt4video.shapes.world import Part, Scene, sample_scene


def shown(scene: Scene) -> str:
    """All that a video shows, in words: what its frames will say later."""
    if scene.foreign:
        return scene.background
    happens = f"; {event_phrase(scene.event)}" if scene.event else ""
    if scene.first is not None:
        first = scene.things[scene.first]
        happens += f"; the {first.color} {first.shape} moves first"
    return description(scene) + happens


def as_text(dialogue: Dialogue) -> str:
    """A conversation with descriptions in the place of its videos."""
    lines = []
    for turn in dialogue.turns:
        videos = " ".join(f"[Video: {shown(dialogue.scenes[k])}]" for k in turn.videos)
        lines.append(f"{turn.role.capitalize()}: {' '.join(p for p in (videos, turn.text) if p)}")
    return "\n".join(lines)


def corpus(rng: np.random.Generator, part: Part, n: int) -> Iterator[str]:
    """`n` texts: captions, prompts beside their paraphrases, questions over descriptions, conversations."""
    for _ in range(n):
        toss = rng.random()
        if toss < 0.15:
            yield caption(sample_scene(rng, part), rng, part)
        elif toss < 0.3:
            request = request_of(sample_scene(rng, part), rng)
            yield f"User: {rephrase(request, rng, part)}\nAssistant: {prompt(request)}"
        elif toss < 0.5:
            scene = sample_scene(rng, part)
            asked = questions(scene, rng, part)
            lines = [f"Video: {shown(scene)}"]
            lines += [
                f"User: {asked[i].question}\nAssistant: {asked[i].answer}"
                for i in rng.permutation(len(asked))
            ]
            yield "\n".join(lines)
        else:
            yield as_text(sample_dialogue(rng, part))
