"""`/metrics`: how busy this server is and how long things take, in the names that dashboards for vLLM know.

    stages of an answer (gpt4video.stages) ---> histograms and counters      one line for each stage in `take`
    requests as they end (server.observe)  ---> http_…, sse_clients, admission_rejections
    what is there right now                ---> gauges, read when somebody asks

One registry for each app, so that two apps in one process do not count each other's requests.
Labels are kinds, codes, routes and statuses; never an id, a key or a prompt: each would be a series for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from gpt4video.stages import Stage

CONTENT_TYPE = CONTENT_TYPE_LATEST
PREFIX = "gpt4video:"

QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Buckets of what should take parts of a second, in seconds."""
SLOW = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
"""Buckets of whole answers and drawings, in seconds."""
TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384)
"""Buckets of lengths, in tokens."""
REJECTED = (429, 503)
"""Statuses that turn a request away although nothing is wrong with it."""


class Metrics:
    """All series of one app."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)

        self._running = self._gauge("num_requests_running", "Answers being read or written")
        self._waiting = self._gauge("num_requests_waiting", "Answers that wait for a place")
        self._prompt_tokens = self._counter("prompt_tokens", "Prompt tokens read")
        self._generation_tokens = self._counter("generation_tokens", "Tokens written")
        self._success = self._counter("request_success", "Answers that ended", "finished_reason")
        self._first_token = self._histogram(
            "time_to_first_token_seconds", "From the request's arrival to its first word"
        )
        self._between = self._histogram("inter_token_latency_seconds", "Between two pieces of text")
        self._per_token = self._histogram(
            "request_time_per_output_token_seconds", "Writing time of an answer by its tokens"
        )
        self._whole = self._histogram("e2e_request_latency_seconds", "Whole answers", buckets=SLOW)
        self._queued = self._histogram("request_queue_time_seconds", "Waiting for a place in the batch")
        self._prefill = self._histogram("request_prefill_time_seconds", "Reading the prompt")
        self._words = self._histogram("request_decode_time_seconds", "Writing the reply", buckets=SLOW)
        self._prompt_length = self._histogram("request_prompt_tokens", "Prompt tokens", buckets=TOKENS)
        self._answer_length = self._histogram("request_generation_tokens", "Tokens written", buckets=TOKENS)
        self._encoder_asked = self._counter("mm_cache_queries", "Posted clips that were wanted encoded")
        self._encoder_hits = self._counter("mm_cache_hits", "Of these, those that were encoded already")
        self._encode = self._histogram("video_encode_seconds", "Encoding posted clips that were not cached")

        self._drawings_waiting = self._gauge("diffusion_num_queue_reqs", "Drawings that wait")
        self._drawings_running = self._gauge("diffusion_num_running_reqs", "Drawings under way")
        self._drawings = self._counter("diffusion_requests", "Drawings that ended", "status")
        self._drawing = self._histogram("diffusion_request_latency_seconds", "Drawing", buckets=SLOW)
        self._drawing_queued = self._histogram(
            "diffusion_queue_time_seconds", "Waiting for the drawer", buckets=SLOW
        )
        self._step = self._histogram("diffusion_step_seconds", "One denoising step")
        self._host = self._histogram(
            "diffusion_stage_host_latency_seconds", "What surrounds the drawing", "stage"
        )
        self._jobs = self._gauge("jobs", "Videos kept, by their status", "status")

        self._decode = self._histogram("video_decode_seconds", "Decoding posted videos", "backend", "outcome")
        self._undecoded = self._counter("video_decode_rejected", "Posted videos not decoded", "reason")
        self._fetch = self._histogram("media_fetch_seconds", "Fetching posted addresses", "outcome")
        self._fetched = self._counter("media_fetch_bytes", "Bytes fetched from posted addresses")
        self._verdicts = self._counter(
            "safety_decisions", "What the filter said", "where", "decision", "category"
        )

        self._requests = self._counter("http_requests", "Requests", "method", "route", "status")
        self._request = self._histogram(
            "http_request_duration_seconds", "Requests, streams to their end", "method", "route"
        )
        self._rejected = self._counter("admission_rejections", "Requests turned away", "reason")
        self.sse_clients = self._gauge("sse_clients", "Streams that are open")
        self._left = self._counter("client_disconnects", "Clients that left before their answer was whole")

        self._takes: dict[str, Callable[[Stage], None]] = {
            "answer": self._answered,
            "first_token": lambda s: self._first_token.observe(s.seconds),
            "token": lambda s: self._between.observe(s.seconds),
            "queue": lambda s: self._queued.observe(s.seconds),
            "prefill": lambda s: self._prefill.observe(s.seconds),
            "words": lambda s: self._words.observe(s.seconds),
            "encode": self._encoded,
            "diffusion_queue": lambda s: self._drawing_queued.observe(s.seconds),
            "diffusion_step": lambda s: self._step.observe(s.seconds),
            "diffusion": self._drawn,
            "mux": lambda s: self._host.labels("mux").observe(s.seconds),
            "decode": self._decoded,
            "fetch": self._was_fetched,
            "safety": self._judged,
        }

    def take(self, stage: Stage) -> None:
        """Count one stage; those without a line above are for traces alone."""
        if (take := self._takes.get(stage.name)) is not None:
            take(stage)

    def request(self, method: str, route: str, status: int, seconds: float, code: str | None) -> None:
        """Count one request; `code` is that of its error object."""
        self._requests.labels(method, route, str(status)).inc()
        self._request.labels(method, route).observe(seconds)
        if status in REJECTED:
            self._rejected.labels(code or "other").inc()

    def client_left(self) -> None:
        """Count one that did not wait for the end."""
        self._left.inc()

    def now(self, *, running: int, waiting: int, drawing: tuple[int, int], jobs: Mapping[str, int]) -> bytes:
        """Everything as text, with what is there right now; `drawing` is (waiting, under way)."""
        self._running.set(running)
        self._waiting.set(waiting)
        self._drawings_waiting.set(drawing[0])
        self._drawings_running.set(drawing[1])
        for status in ("queued", "in_progress", "completed", "failed"):
            self._jobs.labels(status).set(jobs.get(status, 0))
        return generate_latest(self.registry)

    def _answered(self, stage: Stage) -> None:
        facts = stage.facts
        read, written = int(facts["prompt_tokens"]), int(facts["completion_tokens"])
        self._success.labels(str(facts["finish_reason"])).inc()
        self._prompt_tokens.inc(read)
        self._generation_tokens.inc(written)
        self._prompt_length.observe(read)
        self._answer_length.observe(written)
        self._whole.observe(stage.seconds)
        if written > 1:
            self._per_token.observe(float(facts["writing_seconds"]) / (written - 1))

    def _encoded(self, stage: Stage) -> None:
        self._encoder_asked.inc()
        if stage.facts.get("cached"):
            self._encoder_hits.inc()
        else:
            self._encode.observe(stage.seconds)

    def _drawn(self, stage: Stage) -> None:
        self._drawings.labels(str(stage.facts["outcome"])).inc()
        self._drawing.observe(stage.seconds)

    def _decoded(self, stage: Stage) -> None:
        outcome = str(stage.facts["outcome"])
        self._decode.labels(str(stage.facts.get("backend", "pyav")), outcome).observe(stage.seconds)
        if outcome not in ("ok", "cancelled"):
            self._undecoded.labels(outcome).inc()

    def _was_fetched(self, stage: Stage) -> None:
        self._fetch.labels(str(stage.facts["outcome"])).observe(stage.seconds)
        self._fetched.inc(int(stage.facts.get("bytes", 0)))

    def _judged(self, stage: Stage) -> None:
        if "decision" not in stage.facts:  # whoever asked has left, or the filter broke
            return
        where, decision = str(stage.facts["door"]), str(stage.facts["decision"])
        for category in str(stage.facts["categories"]).split(","):
            self._verdicts.labels(where, decision, category or "none").inc()

    def _gauge(self, name: str, words: str, *labels: str) -> Gauge:
        return Gauge(PREFIX + name, words, labels, registry=self.registry)

    def _counter(self, name: str, words: str, *labels: str) -> Counter:
        return Counter(PREFIX + name, words, labels, registry=self.registry)

    def _histogram(
        self, name: str, words: str, *labels: str, buckets: tuple[float, ...] = QUICK
    ) -> Histogram:
        return Histogram(PREFIX + name, words, labels, buckets=buckets, registry=self.registry)
