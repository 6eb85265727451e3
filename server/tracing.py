"""Traces through OpenTelemetry: one span for each request, one inside it for each stage of its answer.

    traceparent ->  POST /v1/chat/completions  |---------------------------------------|
                      decode                     |--|
                      encode                        |-|
                      queue, prefill, words           |-|----|-----------|
                      diffusion_queue, diffusion                  |------|---------|
                      mux                                                          |--|

    draw video                a drawing from the queue is a trace of its own, later and maybe elsewhere;
       diffusion, mux         it has a link to the request that asked for it

Stages are told when they are over, so their spans are made whole, with both times: nothing is left open when
a client leaves. Attributes are those of vLLM and of OpenTelemetry's `gen_ai`; no prompt is among them.
The packages are an extra (`gpt4video[tracing]`) and are imported only where an endpoint is set.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import gpt4video
from gpt4video.errors import ConfigError
from gpt4video.stages import Stage

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

traceparent: ContextVar[str | None] = ContextVar("traceparent", default=None)
"""The span of this context's request, as W3C writes it; None where nothing is traced."""

NO_SPAN = ("token", "diffusion_step")
"""Stages that come by the hundred: they are for histograms alone."""


class Traces:
    """Makes spans and sends them on, in a thread of its own."""

    def __init__(self, exporter: SpanExporter, model: str) -> None:
        from opentelemetry import trace
        from opentelemetry.context import Context
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        version = gpt4video.__version__
        resource = Resource.create({"service.name": "gpt4video", "service.version": version})
        # No global provider: two apps in one process keep their spans apart.
        self._provider = TracerProvider(resource=resource)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("gpt4video", version)
        propagator = TraceContextTextMapPropagator()
        self._extract: Callable[[Mapping[str, str]], Any] = propagator.extract
        self._inject: Callable[[dict[str, str], Any], None] = propagator.inject
        self._context: Callable[[], Any] = Context  # an empty one: a root, whatever runs around it
        self._trace = trace
        self._model = model

    @classmethod
    def to(cls, endpoint: str, model: str) -> Traces:
        """Send spans to an OTLP endpoint over HTTP, `http://collector:4318/v1/traces`.

        Raises `ConfigError` where the extra is not installed.
        """
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        except ImportError as error:
            message = "otlp_endpoint needs the extra: pip install 'gpt4video[tracing]'."
            raise ConfigError(message) from error
        return cls(OTLPSpanExporter(endpoint=endpoint), model)

    def begin(self, headers: Mapping[str, str]) -> Span:
        """The span of a request; a child of the caller's where it sent a `traceparent`."""
        context = self._extract(headers)
        span = self._tracer.start_span("request", context=context, kind=self._trace.SpanKind.SERVER)
        told: dict[str, str] = {}
        here = self._trace.set_span_in_context(span)
        self._inject(told, here)
        traceparent.set(told.get("traceparent"))
        return Span(self._tracer, span, here, self._model)

    def begin_drawing(self, asked: str | None) -> Span:
        """The span of a drawing from the queue, linked to the request with this `traceparent`."""
        asker = self._trace.get_current_span(self._extract({"traceparent": asked or ""})).get_span_context()
        links = [self._trace.Link(asker)] if asker.is_valid else []
        span = self._tracer.start_span(
            "draw video", context=self._context(), kind=self._trace.SpanKind.CONSUMER, links=links
        )
        return Span(self._tracer, span, self._trace.set_span_in_context(span), self._model)

    def close(self) -> None:
        """Send what is left. Blocking."""
        self._provider.shutdown()


class Span:
    """The span of one request, or of one drawing from the queue, and those of its stages."""

    def __init__(self, tracer: Any, span: Any, context: Any, model: str) -> None:
        self._tracer, self._span, self._context, self._model = tracer, span, context, model

    def take(self, stage: Stage) -> None:
        """A span for a stage that is over; what is known of the whole answer goes to the request's own."""
        if stage.name in NO_SPAN:
            return
        if (facts := ABOUT_THE_ANSWER.get(stage.name)) is not None:
            self._span.set_attributes({"gen_ai.request.model": self._model, **facts(stage)})
            return
        if (name := LATENCIES.get(stage.name)) is not None:
            self._span.set_attribute(name, stage.seconds)
        offset = time.time() - time.monotonic()
        child = self._tracer.start_span(
            stage.name,
            context=self._context,
            start_time=_nanoseconds(stage.began + offset),
            attributes={f"gpt4video.{name}": value for name, value in stage.facts.items()},
        )
        child.end(_nanoseconds(stage.ended + offset))

    def end(self, method: str, route: str, status: int, request_id: str) -> None:
        """The request is over."""
        from opentelemetry.trace import StatusCode

        self._span.update_name(f"{method} {route}")
        self._span.set_attributes(
            {
                "http.request.method": method,
                "http.route": route,
                "http.response.status_code": status,
                "gen_ai.request.id": request_id,
            }
        )
        if status >= 500:
            self._span.set_status(StatusCode.ERROR)
        self._span.end()

    def end_drawing(self, status: str, error: str | None) -> None:
        """The drawing is over, or this server's part in it; `error` is the code of one that failed."""
        from opentelemetry.trace import StatusCode

        self._span.set_attributes({"gen_ai.request.model": self._model, "gpt4video.video.status": status})
        if error is not None:
            self._span.set_attribute("error.type", error)
            self._span.set_status(StatusCode.ERROR)
        self._span.end()


def _answer(stage: Stage) -> dict[str, Any]:
    facts = stage.facts
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.usage.input_tokens": facts["prompt_tokens"],
        "gen_ai.usage.output_tokens": facts["completion_tokens"],
        "gen_ai.usage.prompt_tokens": facts["prompt_tokens"],
        "gen_ai.usage.completion_tokens": facts["completion_tokens"],
        "gen_ai.response.finish_reasons": [facts["finish_reason"]],
        "gen_ai.latency.e2e": stage.seconds,
    }


ABOUT_THE_ANSWER: dict[str, Callable[[Stage], dict[str, Any]]] = {
    "answer": _answer,
    "first_token": lambda stage: {"gen_ai.latency.time_to_first_token": stage.seconds},
}
"""Stages that are the whole request, seen from the person: attributes of its span."""

LATENCIES = {
    "queue": "gen_ai.latency.time_in_queue",
    "prefill": "gen_ai.latency.time_in_model_prefill",
    "words": "gen_ai.latency.time_in_model_decode",
}
"""Stages that have a span, and an attribute by which vLLM's users know them."""


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
