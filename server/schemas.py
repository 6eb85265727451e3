"""The requests this server reads. Fields nobody here knows are accepted and left alone."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)

from gpt4video.messages import DrawOptions, SamplingParams
from server.errors import bad_request, of_validation

M = TypeVar("M", bound=BaseModel)


def _size(value: Any) -> Any:
    """`"64x48"` as (64, 48)."""
    if not isinstance(value, str):
        return value
    if not (match := re.fullmatch(r"(\d{1,5})x(\d{1,5})", value.strip().lower())):
        raise ValueError("must be WIDTHxHEIGHT in pixels, such as 256x256")
    return int(match[1]), int(match[2])


def _not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("must have words in it")
    return value


def _list_of_stops(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Stop = Annotated[str, Field(min_length=1, max_length=200)]
Stops = Annotated[list[Stop], Field(max_length=4), BeforeValidator(_list_of_stops)]
Size = Annotated[tuple[int, int], BeforeValidator(_size)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Words = Annotated[str, Field(max_length=32_000), AfterValidator(_not_blank)]


class Lenient(BaseModel):
    """Unknown fields pass: SDK users add their own with `extra_body`."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False, protected_namespaces=())


class Drawing(Lenient):
    """How a video is drawn; what is left out is the drawer's own."""

    seconds: Annotated[float, Field(gt=0, le=3600)] | None = None
    size: Size | None = None
    steps: int | None = Field(
        None, ge=1, le=1000, validation_alias=AliasChoices("steps", "num_inference_steps")
    )
    guidance: float | None = Field(
        None, ge=0, le=100, validation_alias=AliasChoices("guidance", "guidance_scale")
    )
    seed: Seed | None = None

    def options(self) -> DrawOptions:
        """As the assistant takes it."""
        return DrawOptions(self.seconds, self.size, self.steps, self.guidance, self.seed)


class VideoCreate(Drawing):
    """`POST /v1/videos`. The SDK sends a form in which every value is a string; curl users send JSON."""

    prompt: Words
    model: str | None = None


class VideoRemix(Lenient):
    """`POST /v1/videos/{id}/remix`."""

    prompt: Words


class VideoRef(Lenient):
    """A video in an earlier turn; `prompt` and `status` stand in where the id is no longer known."""

    id: str
    prompt: str | None = None
    status: str | None = "completed"


class ChatMessage(Lenient):
    """One turn as a client sends it."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[dict[str, Any]] | None = None
    videos: list[VideoRef] | None = None


class StreamOptions(Lenient):
    """`stream_options` of a streamed answer."""

    include_usage: bool = False


class Sampled(Lenient):
    """How words are sampled."""

    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=0)] | None = None
    stop: Stops | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None

    def params(self) -> SamplingParams:
        """As the language model takes it; what is left out is its own."""
        longest = self.max_completion_tokens if self.max_completion_tokens is not None else self.max_tokens
        given = {
            "max_tokens": longest,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "top_k": self.top_k,
            "seed": self.seed,
            "stop": tuple(self.stop) if self.stop else None,
        }
        return SamplingParams(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]


class ChatRequest(Sampled):
    """`POST /v1/chat/completions`."""

    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    model: str | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    n: int | None = None
    modalities: list[str] | None = None
    video: Drawing | None = None
    tools: list[Any] | None = None
    functions: list[Any] | None = None
    logprobs: bool | None = None
    audio: dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None

    def refuse_the_unsupported(self) -> None:
        """A 400 for what would change the answer and is not done here, instead of ignoring it."""
        unsupported = {
            "n": self.n not in (None, 1),
            "tools": bool(self.tools),
            "functions": bool(self.functions),
            "logprobs": bool(self.logprobs),
            "audio": self.audio is not None,
            "response_format": (self.response_format or {}).get("type", "text") != "text",
            "modalities": not set(self.modalities or []) <= {"text", "video"},
        }
        fits = {
            "n": " Only 1 fits.",
            "modalities": " 'text' and 'video' fit.",
            "response_format": " Only 'text' fits.",
        }
        for name, wrong in unsupported.items():
            if wrong:
                message = f"{name}: this value is not supported here.{fits.get(name, '')}"
                raise bad_request(message, code="unsupported_parameter", param=name)

    @property
    def allow_video(self) -> bool:
        """Whether the answer may draw: yes, unless `modalities` leaves it out."""
        return self.modalities is None or "video" in self.modalities


class AskRequest(Drawing, Sampled):
    """The fields of `POST /v1/ask` beside the video. One `seed` serves the words and the noise."""

    question: Words
    stream: bool = False


class ModerationRequest(Lenient):
    """`POST /v1/moderations`."""

    input: str | list[str] | list[dict[str, Any]]
    model: str | None = None


def parse(schema: type[M], data: dict[str, Any]) -> M:
    """Plain data or form fields as `schema`, or a 400. Empty form fields count as left out."""
    try:
        return schema.model_validate({k: v for k, v in data.items() if v != ""})
    except ValidationError as error:
        raise of_validation(error.errors(include_url=False, include_context=False)) from error
