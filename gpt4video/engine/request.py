"""One generation on its way through the engine, and the check of what was asked for at the door."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from gpt4video.engine.batch import new_cache
from gpt4video.engine.sampling import Sampler, check
from gpt4video.errors import ContextTooLong, InputError
from gpt4video.interfaces import Token
from gpt4video.messages import SamplingParams

Outcome = Token | Exception | None
"""What the loop tells an asker: a token, what went wrong, or that it is over."""


@dataclass(eq=False)
class Request:
    """One generation: what was asked for, and how far it is."""

    prompt: Tensor
    """(L,) ids or (L, D) embeddings."""
    max_tokens: int
    """Most tokens it may write."""
    sampler: Sampler
    tell: Callable[[Outcome], None]
    """Hands an outcome to the asker; called on the engine's thread."""
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    cache: Cache = field(default_factory=new_cache)
    """Keys and values of the prompt."""
    read: int = 0
    """How much of the prompt has been read."""
    tokens: int = 0
    """How many tokens have been written."""
    newest: int = 0
    """The newest of them."""
    asker: str = ""
    """Who asked; see `SamplingParams.asker`."""
    asked: float = field(default_factory=time.monotonic)
    """When it was asked for, by `time.monotonic()`; the next two by the same clock."""
    begun: float = 0.0
    """When the reading of its prompt began; 0 as long as it waits."""
    first: float = 0.0
    """When its first token was there."""


def request_of(
    model: Any,
    prompt: Any,
    params: SamplingParams,
    id: str | None,
    tell: Callable[[Outcome], None],
    stops: Collection[int] = (),
) -> Request:
    """A request that fits `model`. Raises `InputError`, or `ContextTooLong` without room for an answer."""
    check(params)
    prompt = torch.as_tensor(prompt)
    vocabulary, width = model.get_input_embeddings().weight.shape
    words = not prompt.is_floating_point()
    fits = prompt.dim() == 1 if words else prompt.dim() == 2 and prompt.shape[1] == width
    if not fits or not len(prompt):
        raise InputError(f"A prompt is ids (L,) or embeddings (L, {width}), got {tuple(prompt.shape)}.")
    if words and not 0 <= int(prompt.min()) <= int(prompt.max()) < vocabulary:
        raise InputError(f"The ids of a prompt must be 0 to {vocabulary - 1}.")
    context = context_length(model)
    room = context - len(prompt)
    if room < 1:
        raise ContextTooLong(
            f"The conversation has {len(prompt)} tokens; the model reads at most {context - 1} and needs "
            "room to answer. Leave out earlier turns."
        )
    sampler = Sampler(params, stops)
    request = Request(prompt, min(params.max_tokens, room), sampler, tell, asker=params.asker)
    if id is not None:
        request.id = id
    return request


def context_length(model: Any) -> int:
    """How many tokens a transformers model can read and write in all."""
    return int(model.config.get_text_config().max_position_embeddings)


def stop_ids(model: Any) -> list[int]:
    """The tokens that the model itself says end a reply."""
    ids = getattr(model.generation_config, "eos_token_id", None)
    if ids is None:
        ids = model.config.get_text_config().eos_token_id
    if ids is None:
        return []
    return [ids] if isinstance(ids, int) else list(ids)
