"""Serving a language model: many conversations, one loop, plain data.

loop.py      `TorchEngine`: schedule, run, process aborts, update, in one thread of its own
request.py   one generation, and the check at the door
batch.py     the keys and values of many requests, right-aligned, in one forward pass
sampling.py  from scores to a token, the same whoever else is in the batch
"""

from gpt4video.engine.loop import TorchEngine
from gpt4video.engine.request import context_length

__all__ = ["TorchEngine", "context_length"]
