"""Many requests in one forward pass: their keys and values right-aligned in one cache.

    request a   . . . . a a a a a |      a dot is padding, masked
    request b   . b b b b b b b b |      every row writes its next token in the same column
    request c   . . . . . . . c c |      one joins: rows are padded on the left to the longest
                                         one leaves: its row goes, and the columns nobody needs any more

Positions count a row's own tokens, so padding changes nothing: a row gives what it would give alone.
Suffixes: B rows, S columns, H heads, E head width, L new positions, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers.cache_utils import Cache, DynamicLayer

GROWTH = 64
"""Columns by which a layer's memory grows: `DynamicLayer` copies everything at every token."""


class RoomyLayer(DynamicLayer):
    """A layer's keys and values (B, H, S, E) as views of memory with room on the right."""

    keys: Any
    values: Any
    _room: tuple[Tensor, Tensor]

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Append (B, H, L, E) to each; gives all of them, (B, H, S + L, E)."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.hold(key_states, value_states)
            return self.keys, self.values
        start, length = self.keys.shape[2], key_states.shape[2]
        end = start + length
        if end > self._room[0].shape[2]:
            self._room = (_with_room(self.keys, length + GROWTH), _with_room(self.values, length + GROWTH))
        for room, new in zip(self._room, (key_states, value_states), strict=True):
            room[:, :, start:end] = new
        self.keys, self.values = (room[:, :, :end] for room in self._room)
        return self.keys, self.values

    def hold(self, keys: Tensor, values: Tensor) -> None:
        """Hold exactly these from now on."""
        self.keys, self.values = keys, values
        self._room = (keys, values)


def new_cache() -> Cache:
    """An empty cache for one request's prompt, or for a batch."""
    return Cache(layer_class_to_replicate=RoomyLayer)


class Batch:
    """The rows that decode together. Row i of everything is the i-th of those that joined and stayed."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._cache = new_cache()
        self._lengths: list[int] = []

    def __len__(self) -> int:
        return len(self._lengths)

    def join(self, cache: Cache, length: int) -> None:
        """Take in a request whose prompt of `length` tokens has been read into `cache`."""
        if not self._lengths:
            self._cache, self._lengths = cache, [length]
            return
        width = max(length, *self._lengths)

        def both(old: Tensor, new: Tensor) -> Tensor:
            return torch.cat((_widened(old, width), _widened(new, width)))

        # All are made before any is held: when memory ends here, the batch is as it was.
        pairs = zip(self._cache.layers, cache.layers, strict=True)
        joined = [(both(old.keys, new.keys), both(old.values, new.values)) for old, new in pairs]
        for layer, (keys, values) in zip(self._cache.layers, joined, strict=True):
            layer.hold(keys, values)
        self._lengths.append(length)

    def keep(self, rows: list[int]) -> None:
        """Let all others go."""
        if len(rows) == len(self._lengths):
            return
        self._lengths = [self._lengths[row] for row in rows]
        if not rows:
            self._cache = new_cache()
            return
        width = max(self._lengths)
        for layer in self._cache.layers:
            layer.hold(layer.keys[rows, :, -width:], layer.values[rows, :, -width:])

    def decode(self, ids: list[int]) -> Tensor:
        """One forward pass: the newest token of each row in, the scores (B, V) of the next one out."""
        device = self._model.device
        lengths_B1 = torch.tensor(self._lengths, device=device)[:, None]
        self._lengths = [length + 1 for length in self._lengths]
        width = max(self._lengths)
        columns_S = torch.arange(width, device=device)
        output = self._model(
            input_ids=torch.tensor(ids, device=device)[:, None],
            attention_mask=(columns_S >= width - 1 - lengths_B1).long(),
            position_ids=lengths_B1,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits_BV: Tensor = output.logits[:, -1].float()
        return logits_BV


def _widened(x_BHSE: Tensor, width: int) -> Tensor:
    """With padding on the left until it has `width` columns."""
    return nn.functional.pad(x_BHSE, (0, 0, width - x_BHSE.shape[2], 0))


def _with_room(x_BHSE: Tensor, columns: int) -> Tensor:
    """With so many free columns on the right."""
    return nn.functional.pad(x_BHSE, (0, 0, 0, columns))
