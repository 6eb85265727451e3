"""The engine: one thread that reads prompts and writes tokens for many requests at once.

    generate() ---> waiting ---> reading the prompt ---> batch ---> tokens ---> the asker's event loop
                    (bounded)    (a chunk a turn)        (a token a turn)

    a turn:  let those go that left, read one chunk of one prompt, write one token for everybody in the batch

Each turn costs at most two forward passes, so a newcomer's long prompt does not hold up those who are reading
their answers. An error in a prompt ends that request, one in the batch ends those in it; the loop goes on.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Collection
from concurrent.futures import Future
from typing import Any

import torch
from torch import Tensor

from gpt4video.engine.batch import Batch
from gpt4video.engine.request import Outcome, Request, context_length, request_of, stop_ids
from gpt4video.engine.sampling import choose
from gpt4video.engine.threads import compute_here_with
from gpt4video.errors import Busy, ConfigError, Gpt4VideoError, InputError
from gpt4video.interfaces import EngineStats, Token
from gpt4video.messages import SamplingParams
from gpt4video.stages import tell

log = logging.getLogger("gpt4video.engine")


class TorchEngine:
    """Serves a transformers causal language model as an `interfaces.Engine`. `close()` ends its thread."""

    def __init__(
        self,
        model: Any,
        stops: Collection[int] = (),
        *,
        max_batch: int = 8,
        max_waiting: int = 64,
        prefill_chunk: int = 512,
        threads: int | None = None,
    ) -> None:
        """`stops` are the tokens that end a reply; without any, those of the model's own generation config.

        max_batch      most requests that decode together
        max_waiting    most requests that wait for a place; more get `Busy`
        prefill_chunk  most prompt tokens read in one forward pass
        threads        processor threads of a forward pass (None: torch's own number); others keep theirs
        """
        if threads is not None and threads < 1:
            raise ConfigError(f"threads: a forward pass takes at least one, got {threads}.")
        self._model = model.eval()
        self._stops = frozenset(stops or stop_ids(model))
        self._max_batch, self._max_waiting, self._chunk = max_batch, max_waiting, prefill_chunk
        self._wake = threading.Condition()  # guards the five below
        self._waiting: deque[Request] = deque()
        self._live: dict[str, Request] = {}
        self._leaving: set[str] = set()
        self._counts: Counter[str] = Counter()
        self._closing = False
        self._reading: Request | None = None  # these three belong to the thread
        self._running: list[Request] = []
        self._batch = Batch(self._model)
        begun: Future[None] = Future()
        self._thread = threading.Thread(target=self._serve, args=(threads, begun), name="engine", daemon=True)
        self._thread.start()
        begun.result()

    @property
    def context_length(self) -> int:
        """How many tokens one request can read and write in all."""
        return context_length(self._model)

    async def generate(
        self, prompt: Any, params: SamplingParams, *, id: str | None = None
    ) -> AsyncIterator[Token]:
        """Tokens as they are sampled; closing the iterator aborts.

        The last one says why it ended. After "stop" it is the end-of-turn token itself, which is no part of
        the text; "length" means `max_tokens`, or that the context is full. Raises `InputError` for what does
        not fit, `ContextTooLong`, `Busy`, and `Gpt4VideoError` when the model breaks.
        """
        loop = asyncio.get_running_loop()
        outcomes: asyncio.Queue[Outcome] = asyncio.Queue()

        def tell(outcome: Outcome) -> None:
            try:
                loop.call_soon_threadsafe(outcomes.put_nowait, outcome)
            except RuntimeError:  # the asker's event loop is closed: nobody listens any more
                self._leave(request)

        request = request_of(self._model, prompt, params, id, tell, self._stops)
        self._submit(request)
        try:
            while (outcome := await outcomes.get()) is not None:
                if isinstance(outcome, Exception):
                    raise outcome
                yield outcome
        finally:
            self._leave(request)
            _tell_stages(request)

    def abort(self, id: str) -> None:
        """Stop one request before the next forward pass; its iterator ends. Unknown ids are ignored."""
        with self._wake:
            if id in self._live:
                self._leaving.add(id)
                self._wake.notify()

    def stats(self) -> EngineStats:
        """Counters as of the last turn; `running` includes the request whose prompt is being read."""
        with self._wake:
            waiting = len(self._waiting)
            return EngineStats(running=len(self._live) - waiting, waiting=waiting, **self._counts)

    @property
    def alive(self) -> bool:
        """Whether the thread that does all the work is there."""
        return self._thread.is_alive()

    def close(self) -> None:
        """End the thread; requests under way get an error. Safe to call twice."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()

    # The askers' side.

    def _submit(self, request: Request) -> None:
        with self._wake:
            if self._closing:
                raise Gpt4VideoError("The language model is closed.")
            if request.id in self._live:
                raise InputError(f"A request with the id {request.id!r} is under way already.")
            if len(self._waiting) >= self._max_waiting:
                raise Busy(f"{self._max_waiting} requests are waiting already; try again later.")
            self._live[request.id] = request
            self._waiting.append(request)
            self._wake.notify()

    def _leave(self, request: Request) -> None:
        """The asker's iterator is closed, whatever the reason."""
        with self._wake:
            if self._live.get(request.id) is request:
                self._leaving.add(request.id)
                self._wake.notify()

    # The thread's side.

    def _serve(self, threads: int | None, begun: Future[None]) -> None:
        try:
            if threads is not None:
                compute_here_with(threads)
        except Exception as error:
            begun.set_exception(ConfigError(f"threads: torch does not compute with {threads}: {error}"))
            return
        begun.set_result(None)
        with torch.inference_mode():
            while self._wait_for_work():
                try:
                    self._let_go()
                    self._read()
                    self._write()
                except Exception as error:  # nobody may wait for ever because of a mistake here
                    self._broke(error, list(self._live.values()))
        self._end()

    def _wait_for_work(self) -> bool:
        """Whether there is another turn to take."""
        with self._wake:
            while not (self._closing or self._live):
                self._wake.wait()
            return not self._closing

    def _let_go(self) -> None:
        """Free the places of those who left."""
        with self._wake:
            gone = [self._live[id] for id in self._leaving if id in self._live]
            self._leaving.clear()
        self._count(aborted=len(gone))
        self._finish(gone, None)

    def _read(self) -> None:
        """One chunk of one prompt; with the last chunk come the first token and a place in the batch."""
        request = self._reading
        if request is None:
            with self._wake:
                if not self._waiting or len(self._running) >= self._max_batch:
                    return
                request = self._reading = self._next()
                request.begun = time.monotonic()
        try:
            chunk = request.prompt[request.read : request.read + self._chunk].to(self._model.device)
            logits_V = self._prefill(request, chunk)
            request.read += len(chunk)
            if request.read < len(request.prompt):
                return
            token = choose(logits_V[None], [request.sampler])[0]
            self._reading = None
            request.first = time.monotonic()
            if self._tell(request, token):
                self._batch.join(request.cache, request.read)
                self._running.append(request)
        except Exception as error:
            self._reading = None
            self._broke(error, [request])

    def _next(self) -> Request:
        """Take from the line whoever's asker has the fewest places; among equals who came first."""
        places = Counter(request.asker for request in self._running)
        request = min(self._waiting, key=lambda request: places[request.asker])
        self._waiting.remove(request)
        return request

    def _prefill(self, request: Request, chunk: Tensor) -> Tensor:
        """Read (L,) ids or (L, D) embeddings into the request's cache; scores (V,) of what comes next."""
        name = "inputs_embeds" if chunk.is_floating_point() else "input_ids"
        if chunk.is_floating_point():
            chunk = chunk.to(self._model.dtype)
        self._count(forward_passes=1)
        places = torch.arange(request.read, request.read + len(chunk), device=chunk.device)
        output = self._model(
            **{name: chunk[None]},
            position_ids=places[None],
            past_key_values=request.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits_V: Tensor = output.logits[0, -1].float()
        return logits_V

    def _write(self) -> None:
        """One token for everybody in the batch."""
        if not self._running:
            return
        try:
            self._count(forward_passes=1)
            logits_BV = self._batch.decode([request.newest for request in self._running])
            tokens = choose(logits_BV, [request.sampler for request in self._running])
            goes_on = [self._tell(r, token) for r, token in zip(list(self._running), tokens, strict=True)]
            self._keep([row for row, goes in enumerate(goes_on) if goes])
        except Exception as error:
            self._broke(error, list(self._running))

    def _tell(self, request: Request, token: int) -> bool:
        """Hand a token to its asker; whether there is more to come."""
        if token in self._stops:
            request.tell(Token(token, "stop"))
        else:
            request.tokens += 1
            request.newest = token
            self._count(tokens=1)
            request.tell(Token(token, "length" if request.tokens >= request.max_tokens else None))
            if request.tokens < request.max_tokens:
                return True
        self._over([request])
        request.tell(None)
        return False

    def _keep(self, rows: list[int]) -> None:
        self._running = [self._running[row] for row in rows]
        self._batch.keep(rows)

    def _finish(self, requests: list[Request], outcome: Outcome) -> None:
        """End these wherever they are, and tell their askers why."""
        if not requests:
            return
        self._over(requests)
        if self._reading in requests:
            self._reading = None
        self._keep([row for row, request in enumerate(self._running) if request not in requests])
        for request in requests:
            request.tell(outcome)

    def _over(self, requests: list[Request]) -> None:
        """Forget these: their ids and their places in the queue are free again."""
        with self._wake:
            for request in requests:
                self._live.pop(request.id, None)
                self._leaving.discard(request.id)
                if request in self._waiting:
                    self._waiting.remove(request)

    def _broke(self, error: Exception, requests: list[Request]) -> None:
        """The model raised: these requests fail with it, the loop goes on."""
        log.error("The language model broke in a batch of %d.", len(requests), exc_info=error)
        if any(request in self._running for request in requests):
            self._batch, self._running = Batch(self._model), []  # its cache may be half written
        told = Gpt4VideoError(f"The language model broke ({type(error).__name__}).")
        told.__cause__ = error
        self._finish(requests, told)

    def _end(self) -> None:
        with self._wake:
            left = list(self._live.values())
        self._finish(left, Gpt4VideoError("The language model was closed."))

    def _count(self, **more: int) -> None:
        with self._wake:
            self._counts.update(more)


def _tell_stages(request: Request) -> None:
    """How long a request waited, was read and wrote; of a stage that it did not reach, nothing."""
    times = (request.asked, request.begun, request.first, time.monotonic())
    for name, began, ended in zip(("queue", "prefill", "words"), times, times[1:], strict=False):
        if not ended:  # it left before this stage was over
            break
        tell(name, began, ended)
