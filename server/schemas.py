"""The requests this server reads. Fields nobody here knows are accepted and left alone.

JSON is read strictly: a number is a number. Forms hold nothing but words, so they are read by what the words
say: `parse(..., strict=False)`. The same classes are the request bodies of the OpenAPI document.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from gpt4video.instruction import OPEN
from gpt4video.messages import DrawOptions, SamplingParams
from gpt4video.video import Sampling
from server.errors import bad_request, of_validation

M = TypeVar("M", bound=BaseModel)


def _size(value: Any) -> Any:
    """`"64x48"` as (64, 48)."""
    if not isinstance(value, str) or not (match := re.fullmatch(r"(\d{1,5})x(\d{1,5})", value.strip())):
        raise ValueError("must be WIDTHxHEIGHT in pixels, such as 256x256")
    return int(match[1]), int(match[2])


def _seconds(value: Any) -> Any:
    """OpenAI writes seconds as a string; people write a number."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,5}(\.[0-9]{1,9})?", value):
        return float(value)
    return value


def _words(value: str) -> str:
    if not value.strip():
        raise ValueError("must have words in it")
    return well_formed(value)


def well_formed(value: str) -> str:
    """Words that every store can keep: JSON can smuggle in half a character, or a NUL."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("is not well-formed Unicode") from None
    if "\0" in value:
        raise ValueError("must not hold a NUL character")
    return value


def _list_of_stops(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _modalities(value: list[str]) -> list[str]:
    if not value or not set(value) <= set(MODALITIES):
        raise ValueError(f"{' and '.join(map(repr, MODALITIES))} fit")
    return value


MODALITIES = ("text", "video")
PLAIN = r"^[^\x00]*$"
"""What the document says of words: no NUL in them."""
NOT_BLANK = r"^\s*[^\s\x00][^\x00]*$"

Stop = Annotated[str, Field(min_length=1, max_length=200)]
Stops = Annotated[
    list[Stop],
    Field(max_length=4),
    BeforeValidator(_list_of_stops),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1, "maxLength": 200},
                {
                    "type": "array",
                    "maxItems": 4,
                    "items": {"type": "string", "minLength": 1, "maxLength": 200},
                },
            ]
        }
    ),
]
Size = Annotated[
    tuple[int, int],
    BeforeValidator(_size),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]{1,5}x[0-9]{1,5}$", "examples": ["128x128"]}),
]
Seconds = Annotated[
    float,
    Field(gt=0, le=3600),
    BeforeValidator(_seconds),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0, "maximum": 3600},
                {"type": "string", "pattern": "^[1-9][0-9]{0,2}$"},
            ],
            "examples": ["2"],
        }
    ),
]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Words = Annotated[
    str,
    Field(min_length=1, max_length=32_000),
    AfterValidator(_words),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 32_000, "pattern": NOT_BLANK}),
]
Modalities = Annotated[
    list[str],
    AfterValidator(_modalities),
    WithJsonSchema({"type": "array", "minItems": 1, "items": {"type": "string", "enum": list(MODALITIES)}}),
]
Name = Annotated[str, Field(max_length=512)]


def _one_of(*kinds: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": list(kinds)}


def _part(kind: str, required: str, value: dict[str, Any]) -> dict[str, Any]:
    """The document's schema of one kind of content part."""
    return {
        "type": "object",
        "title": kind,
        "required": ["type", required],
        "properties": {"type": {"type": "string", "enum": [kind]}, required: value},
    }


_TEXT = {"type": "string", "pattern": PLAIN}
_URL = {
    "type": "object",
    "required": ["url"],
    "properties": {
        "url": {
            "type": "string",
            "minLength": 1,
            "description": "data:video/mp4;base64,…, data:video/jpeg;base64,<jpg>,<jpg>, file-…, video_…, "
            "or an http(s) address where those are allowed",
        }
    },
}
_FILE = {
    "type": "object",
    "anyOf": [{"required": ["file_id"]}, {"required": ["file_data"]}],
    "properties": {
        "file_id": {"type": "string", "minLength": 1},
        "file_data": {"type": "string", "minLength": 1},
        "filename": {"type": "string"},
    },
}
PARTS = _one_of(
    _part("text", "text", _TEXT),
    _part("video_url", "video_url", _one_of(_URL, {"type": "string", "minLength": 1})),
    _part("image_url", "image_url", _one_of(_URL, {"type": "string", "minLength": 1})),
    _part("file", "file", _FILE),
    _part(
        "video",
        "video",
        _one_of(
            {"type": "string", "minLength": 1},
            {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 1}},
        ),
    ),
    _part("image", "image", {"type": "string", "minLength": 1}),
)
"""What the document says of content parts; `conversation.py` reads them and names the place of a misfit."""


class Lenient(BaseModel):
    """Unknown fields pass: SDK users add their own with `extra_body`."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False, protected_namespaces=(), strict=True)


class Drawing(Lenient):
    """How a video is drawn; what is left out is the drawer's own."""

    seconds: Seconds | None = None
    size: Size | None = None
    fps: Annotated[float, Field(gt=0, le=1000)] | None = None
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

    def refuse_what_is_not_drawn(self, where: str = "") -> None:
        """A 400 for fields of other servers that would change the video and are not followed here."""
        for name, (fits, instead) in _NOT_DRAWN.items():
            value = (self.model_extra or {}).get(name)
            if value is not None and value not in fits:
                message = f"{where}{name} is not supported here. {instead}"
                raise bad_request(message, code="unsupported_parameter", param=f"{where}{name}")


_NOT_DRAWN: dict[str, tuple[tuple[Any, ...], str]] = {
    "input_reference": ((), "Videos are drawn from words alone; leave it out."),
    "negative_prompt": (("",), "Say in the prompt what shall be there."),
    "n": ((1, "1"), "Only 1 fits."),
    "num_outputs_per_prompt": ((1, "1"), "Only 1 fits."),
    "num_frames": ((), "Use seconds."),
    "width": ((), "Use size, such as 128x128."),
    "height": ((), "Use size, such as 128x128."),
    "wait": ((True, "true"), "Answers wait for their videos; POST /v1/videos does not."),
}
"""Fields that peers know, the values that change nothing, and what to do instead."""


class VideoCreate(Drawing):
    """`POST /v1/videos`. The SDK sends a form in which every value is a string; curl users send JSON."""

    prompt: Words
    model: Name | None = None


class VideoRemix(Lenient):
    """`POST /v1/videos/{id}/remix`."""

    prompt: Words


class ExpiresAfter(Lenient):
    """When a file is forgotten."""

    anchor: Literal["created_at"] = "created_at"
    seconds: Annotated[int, Field(ge=3600, le=2_592_000)]


Purpose = Literal["user_data", "vision", "assistants", "evals", "batch", "fine-tune"]


class FileCreate(Lenient):
    """The fields of `POST /v1/files` beside the file."""

    purpose: Purpose = "user_data"
    expires_after: ExpiresAfter | None = None


class VideoRef(Lenient):
    """A video in an earlier turn; `prompt` and `status` stand in where the id is no longer known."""

    id: Name
    prompt: str | None = None
    status: str | None = "completed"


class ChatMessage(Lenient):
    """One turn as a client sends it."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[
        str | list[dict[str, Any]] | None,
        WithJsonSchema(_one_of(_TEXT, {"type": "array", "items": PARTS}, {"type": "null"})),
    ] = None
    videos: list[VideoRef] | None = None


class StreamOptions(Lenient):
    """`stream_options` of a streamed answer."""

    include_usage: bool | None = None


class VideoSampling(Lenient):
    """Which frames of posted videos are looked at: a number of them, or so many a second, of a stretch."""

    num_frames: Annotated[int, Field(ge=1, le=100_000)] | None = None
    fps: Annotated[float, Field(gt=0, le=1000)] | None = None
    start: Annotated[float, Field(ge=0, le=1e6)] | None = None
    end: Annotated[float, Field(gt=0, le=1e6)] | None = None

    @model_validator(mode="after")
    def _end_after_start(self) -> VideoSampling:
        if self.end is not None and self.end <= (self.start or 0.0):
            raise ValueError("end must come after start")
        return self

    def over(self, native: Sampling) -> Sampling:
        """As the decoder takes it; never more frames than the model itself wants."""
        kind = "fps" if self.fps is not None else "uniform" if self.num_frames is not None else native.kind
        return replace(
            native,
            kind=kind,
            num_frames=min(self.num_frames or native.num_frames, native.num_frames),
            fps=self.fps or native.fps,
            start=self.start or 0.0,
            end=self.end,
        )


class MediaOptions(Lenient):
    """`media_io_kwargs`, as vLLM has it."""

    video: VideoSampling | None = None


class ModerationPolicy(Lenient):
    """`moderation` of a chat: verdicts beside the answer. What is refused is refused with or without it."""

    model: Name | None = None
    policy: dict[str, Any] | None = None


class Sampled(Lenient):
    """How words are sampled."""

    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    min_tokens: Annotated[int, Field(ge=0)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=-1)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    repetition_penalty: Annotated[float, Field(gt=0, le=2)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    stop: Stops | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None

    def params(self) -> SamplingParams:
        """As the language model takes it; what is left out is its own."""
        longest = self.max_completion_tokens if self.max_completion_tokens is not None else self.max_tokens
        same = ("min_tokens", "temperature", "top_p", "min_p", "seed")
        penalties = ("repetition_penalty", "presence_penalty", "frequency_penalty")
        given = {name: getattr(self, name) for name in (*same, *penalties)} | {
            "max_tokens": longest,
            "top_k": None if self.top_k is None else max(0, self.top_k),  # vLLM writes -1 for all
            "stop": tuple(self.stop) if self.stop else None,
        }
        return SamplingParams(**{name: value for name, value in given.items() if value is not None})


class ChatRequest(Sampled):
    """`POST /v1/chat/completions`."""

    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    model: Name | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    modalities: Modalities | None = None
    video: Drawing | None = None
    media_io_kwargs: MediaOptions | None = None
    moderation: ModerationPolicy | None = None
    n: int | None = None
    user: str | None = None
    safety_identifier: str | None = None
    metadata: dict[str, Any] | None = None

    def refuse_the_unsupported(self) -> None:
        """A 400 for what would change the answer and is not done here, instead of ignoring it."""
        given = {"n": self.n, **(self.model_extra or {})}
        for name, (fits, words) in _UNSUPPORTED.items():
            value = given.get(name)
            if value is not None and not any(value == fit and type(value) is type(fit) for fit in fits):
                message = f"{name}: this value is not supported here. {words}"
                raise bad_request(message, code="unsupported_parameter", param=name)
        if self.video:
            self.video.refuse_what_is_not_drawn("video.")

    @property
    def allow_video(self) -> bool:
        """Whether the answer may draw: yes, unless `modalities` leaves it out."""
        return self.modalities is None or "video" in self.modalities

    @property
    def demands_video(self) -> bool:
        """Whether the answer has to draw: `modalities` names nothing else."""
        return self.modalities is not None and set(self.modalities) == {"video"}

    def params(self) -> SamplingParams:
        """A reply that has to draw is begun for the model, with the tag of the instruction."""
        params = super().params()
        return replace(params, begin=OPEN) if self.demands_video else params


_UNSUPPORTED: dict[str, tuple[tuple[Any, ...], str]] = {
    "n": ((1,), "Only 1 fits."),
    "best_of": ((1,), "Only 1 fits."),
    "tools": (([],), "Leave tools out; a video is drawn by itself where it is asked for."),
    "tool_choice": (("none", "auto"), "'none' and 'auto' fit."),
    "functions": (([],), "Leave functions out."),
    "function_call": (("none", "auto"), "'none' and 'auto' fit."),
    "logprobs": ((False,), "Leave logprobs out."),
    "top_logprobs": ((0,), "Leave top_logprobs out."),
    "logit_bias": (({},), "Leave logit_bias out."),
    "response_format": (({"type": "text"},), "Only {'type': 'text'} fits."),
    "audio": ((), "There is no voice here."),
    "prediction": ((), "Leave prediction out."),
    "ignore_eos": ((False,), "min_tokens makes an answer longer."),
}
"""Fields of OpenAI's and vLLM's APIs that would change the answer, and the values of them that do not."""


class AskRequest(Drawing, Sampled):
    """The fields of `POST /v1/ask` beside the video. One `seed` serves the words and the noise."""

    question: Words
    stream: bool | None = None


ModerationInput = Annotated[
    str | list[str] | list[dict[str, Any]],
    WithJsonSchema(
        _one_of(
            {"type": "string"},
            {"type": "array", "maxItems": 32, "items": {"type": "string"}},
            {
                "type": "array",
                "maxItems": 32,
                "items": _one_of(
                    _part("text", "text", {"type": "string"}),
                    _part("image_url", "image_url", _URL),
                    _part("video_url", "video_url", _URL),
                ),
            },
        )
    ),
]


class ModerationRequest(Lenient):
    """`POST /v1/moderations`."""

    input: ModerationInput
    model: Name | None = None


def parse(schema: type[M], data: dict[str, Any], *, strict: bool = True) -> M:
    """Plain data as `schema`, or a 400. Of a form (not strict) words are read, and empty fields left out."""
    if not strict:
        data = {name: value for name, value in data.items() if value != ""}
    try:
        return schema.model_validate(data, strict=strict)
    except ValidationError as error:
        raise of_validation(error.errors(include_url=False, include_context=False)) from error


def nested(form: dict[str, Any]) -> dict[str, Any]:
    """Form fields with brackets as the objects they stand for: `expires_after[seconds]`.

    The SDK writes objects so. One level is enough for everything that is read here.
    """
    data: dict[str, Any] = {}
    for name, value in form.items():
        match = re.fullmatch(r"([^\[\]]+)\[([^\[\]]+)\]", name)
        outer, inner = (match[1], match[2]) if match else (name, None)
        if inner is None:
            data[outer] = value
        elif isinstance(data.setdefault(outer, {}), dict):
            data[outer][inner] = value
        else:
            raise bad_request(f"{outer} came both as a value and in parts.", param=outer)
    return data
