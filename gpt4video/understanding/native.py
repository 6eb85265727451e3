"""Our own stack: CLIP and the abstractor read videos, the backbone behind an engine reads and writes words.

    clip -> frames -> patch tokens -> soft tokens (Q + 1, D) ----\\
    conversation -> ids, one <|video|> a clip -> embeddings (L, D) with soft tokens in place of <|video|>
                 -> engine -> token ids -> detokenizer -> stop strings -> pieces

Suffixes: L tokens of a prompt, Q soft tokens, D width of the language model.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from gpt4video.engine import TorchEngine, context_length
from gpt4video.errors import ConfigError, ContextTooLong, InputError
from gpt4video.interfaces import Token
from gpt4video.messages import Conversation, Drawn, FinishReason, Piece, SamplingParams, Text, Usage
from gpt4video.models.abstractor import Abstractor
from gpt4video.models.clip import ClipEncoder
from gpt4video.models.tokenizer import (
    END,
    EOS,
    VIDEO,
    encode_conversation,
    encode_reply,
    load_tokenizer,
)
from gpt4video.understanding.detokenizer import Detokenizer
from gpt4video.understanding.stopping import StopStrings
from gpt4video.video import Clip, Sampling
from gpt4video.video.timeline import Timeline, choose


class NativeEncoder:
    """Clips to soft tokens, one clip at a time in a thread of its own. Implements `interfaces.Encoder`."""

    def __init__(self, clip: ClipEncoder, abstractor: Abstractor, sampling: Sampling | None = None) -> None:
        """Raises `ConfigError` when the abstractor was not made for this CLIP."""
        made_for = (abstractor.config.grid, abstractor.config.encoder_width)
        if made_for != (clip.grid, clip.width):
            raise ConfigError(
                f"The abstractor reads a grid of {made_for[0]} patches of width {made_for[1]}; this CLIP "
                f"gives {clip.grid} of width {clip.width}."
            )
        self._clip, self._abstractor = clip.eval(), abstractor.eval()
        self._sampling = sampling or Sampling()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="encoder")

    @property
    def sampling(self) -> Sampling:
        """Which frames of a posted video it wants to see."""
        return self._sampling

    async def encode(self, clip: Clip) -> Tensor:
        """Soft tokens (Q + 1, D) of one clip; of a clip with more frames than it wants, it chooses."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._encode, clip)

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    @torch.inference_mode()
    def _encode(self, clip: Clip) -> Tensor:
        frames, times = clip.frames, clip.times
        if len(frames) > self._sampling.num_frames:
            chosen = choose(Timeline(times, np.arange(len(times)), clip.duration), self._sampling)
            frames, times = frames[chosen], times[chosen]
        patches_TNC = self._clip.patch_tokens(self._clip.preprocess(np.ascontiguousarray(frames)))
        times_T = torch.as_tensor(times, dtype=torch.float32, device=patches_TNC.device)
        soft_QD: Tensor = self._abstractor(patches_TNC[None], times_T[None])[0]
        return soft_QD


class NativeLanguageModel:
    """The backbone with its tokenizer, served by an engine. Implements `interfaces.LanguageModel`."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        max_batch: int = 8,
        max_waiting: int = 64,
        threads: int | None = None,
    ) -> None:
        """Starts an engine for `model`: see `TorchEngine` for the numbers. `close()` ends it."""
        self._model, self._tokenizer = model, tokenizer
        stops = [tokenizer.convert_tokens_to_ids(tag) for tag in (END, EOS)]
        self.engine = TorchEngine(model, stops, max_batch=max_batch, max_waiting=max_waiting, threads=threads)
        self._video_id: int = tokenizer.convert_tokens_to_ids(VIDEO)
        self._longest_token = max(map(len, tokenizer.get_vocab()))
        # One reader at a time: a fast tokenizer keeps state between its calls.
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="reader")

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        *,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        max_batch: int = 8,
        max_waiting: int = 64,
        threads: int | None = None,
    ) -> NativeLanguageModel:
        """Open a folder with a model and its tokenizer. Raises `ConfigError` where it is incomplete."""
        model, tokenizer = open_language_model(Path(folder), dtype)
        return cls(model.to(device), tokenizer, max_batch=max_batch, max_waiting=max_waiting, threads=threads)

    @property
    def context_length(self) -> int:
        """How many tokens it can read and write in all."""
        return context_length(self._model)

    @property
    def width(self) -> int:
        """D, the width of the soft tokens it reads."""
        width: int = self._model.get_input_embeddings().weight.shape[1]
        return width

    def check(self, conversation: Conversation) -> None:
        """Raise `ContextTooLong` for what cannot fit whatever its words are, without reading it all."""
        parts = [part for message in conversation for part in message.parts]
        letters = sum(len(p.text.strip()) for p in parts if isinstance(p, Text))
        letters += sum(len(p.prompt) for p in parts if isinstance(p, Drawn))
        # Every message has a tag on either side. Four letters may become one when they are normalised (NFC).
        least = 2 * len(conversation) + letters // (4 * self._longest_token)
        if least > self.context_length:
            raise ContextTooLong(
                f"The conversation has more than {least} tokens; the model reads at most "
                f"{self.context_length - 1}. Leave out earlier turns."
            )

    async def stream(
        self, conversation: Conversation, videos: Sequence[Tensor], params: SamplingParams
    ) -> AsyncIterator[Piece]:
        """Pieces of the reply. `videos` holds the soft tokens (Q + 1, D) of every `Posted` part, in order.

        Raises `ContextTooLong` and `Busy` before the first piece. Closing the iterator aborts in the engine.
        """
        loop = asyncio.get_running_loop()
        begin, prompt = await loop.run_in_executor(
            self._reader, self._prompt, conversation, videos, params.begin
        )
        text, stop = Detokenizer(self._tokenizer), StopStrings(params.stop)
        reason: FinishReason | None = None
        written = 0
        tokens = cast("AsyncGenerator[Token, None]", self.engine.generate(prompt, params))
        async with aclosing(tokens):
            # The beginning is no news to who asked for it, so stop strings are not looked for in it.
            begun = "".join(map(text.feed, begin))
            async for token in tokens:
                reason = token.finish_reason
                if reason == "stop":
                    break
                written += 1
                piece, begun = begun + stop.feed(text.feed(token.id)), ""
                if piece:
                    yield Piece(piece)
                if stop.found:
                    reason = "stop"
                    break
        usage = Usage(len(prompt), written, sum(map(len, videos)))
        yield Piece(begun + stop.close(), reason or "stop", usage)

    @property
    def alive(self) -> bool:
        """Whether its engine still runs."""
        return self.engine.alive

    def close(self) -> None:
        """End the threads."""
        self._reader.shutdown(wait=False, cancel_futures=True)
        self.engine.close()

    def _prompt(
        self, conversation: Conversation, videos: Sequence[Tensor], begin: str
    ) -> tuple[list[int], Tensor]:
        """Ids of the reply's beginning; ids (L,) of a conversation without videos, embeddings (L, D) of one
        with, up to and with that beginning."""
        self.check(conversation)
        begun = encode_reply(self._tokenizer, begin)
        ids_L = torch.tensor([*encode_conversation(self._tokenizer, conversation), *begun])
        with torch.no_grad():
            prompt = with_soft_tokens(self._model.get_input_embeddings(), ids_L, videos, self._video_id)
        return begun, prompt


def with_soft_tokens(
    embed: torch.nn.Module, ids_L: Tensor, videos: Sequence[Tensor], video_id: int
) -> Tensor:
    """Embeddings (L', D) of ids in which the n-th `video_id` is replaced by the n-th video's (Q + 1, D).

    Without videos, the ids themselves. Raises `InputError` when there are more of one than of the other.
    """
    places = (ids_L == video_id).nonzero().flatten().tolist()
    if len(places) != len(videos):
        raise InputError(f"The conversation has {len(places)} videos, but the soft tokens of {len(videos)}.")
    if not videos:
        return ids_L
    weight: Tensor = next(embed.parameters())
    embeddings_LD = embed(ids_L.to(weight.device))
    parts: list[Tensor] = []
    start = 0
    for place, soft_QD in zip(places, videos, strict=True):
        parts += [embeddings_LD[start:place], soft_QD.to(embeddings_LD)]
        start = place + 1
    return torch.cat([*parts, embeddings_LD[start:]])


def open_language_model(folder: Path, dtype: torch.dtype = torch.float32) -> tuple[Any, Any]:
    """A causal language model and its tokenizer. Raises `ConfigError` where the folder is incomplete."""
    for name in ("config.json", "tokenizer.json", "*.safetensors"):
        if not any(folder.glob(name)):
            raise ConfigError(f"{folder} is not a language model: it has no {name}.")
    try:
        model, info = AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, use_safetensors=True, local_files_only=True, output_loading_info=True
        )
        tokenizer = load_tokenizer(folder)
    except Exception as error:  # transformers, tokenizers and safetensors raise a dozen kinds
        raise ConfigError(f"{folder} cannot be opened as a language model: {error}") from error
    if info["missing_keys"]:
        # transformers would go on with random numbers in their place.
        raise ConfigError(f"{folder} lacks weights: {', '.join(sorted(info['missing_keys'])[:3])} …")
    if len(tokenizer) > (known := model.config.vocab_size):
        raise ConfigError(f"{folder}: the model knows {known} tokens, its tokenizer {len(tokenizer)}.")
    return model.eval(), tokenizer
