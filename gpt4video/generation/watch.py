"""Watching a pipeline at work: a call after every denoising step, and no words of people in its logs.

`callback_on_step_end` where the class has it; the deprecated ModelScope class and HunyuanVideo 1.5 have not,
and are watched through their scheduler, which every pipeline asks once a step.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from gpt4video.generation.pipelines import Accepts

OnStep = Callable[[Any], None]
"""Is given the latents after each step; what it raises ends the pipeline's call."""


@contextmanager
def watched(pipe: Any, takes: Accepts, on_step: OnStep) -> Iterator[dict[str, Any]]:
    """Call `on_step` after every step within; gives the arguments that the pipeline's call needs for it."""
    if takes.callback:

        def callback(pipe: Any, step: int, time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            on_step(tensors["latents"])
            return tensors

        yield {"callback_on_step_end": callback}
        return
    scheduler = pipe.scheduler
    plain_step = scheduler.step

    @functools.wraps(plain_step)  # pipelines read its signature
    def step(*args: Any, **kwargs: Any) -> Any:
        result = plain_step(*args, **kwargs)
        on_step(result[0])
        return result

    scheduler.step = step
    try:
        yield {}
    finally:
        del scheduler.step  # back to the class's own


def keep_prompts_out_of_logs(pipe: Any) -> None:
    """Pipelines log what their text encoder cannot read of a long prompt; from now on without the words."""
    logging.getLogger(type(pipe).__module__).addFilter(_without_words)


def _without_words(record: logging.LogRecord) -> bool:
    if "part of your input was truncated" in str(record.msg):
        record.msg, record.args = "A prompt is longer than its text encoder reads; its end was left out.", ()
    return True
