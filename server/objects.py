"""The objects this server answers with, as its OpenAPI document describes them.

Nothing is built from these classes: records and answers write their own JSON. Tests hold every answer
against them, so that the document stays true.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class Described(BaseModel):
    """Objects may hold more than is described."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())


class ErrorDetail(Described):
    """What is wrong, for people (`message`) and for programs (`code`, and the `param` at fault)."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorObject(Described):
    """Every answer that is none."""

    error: ErrorDetail


class FileObject(Described):
    """A posted file; `video` is what a look inside said."""

    id: str
    object: Literal["file"]
    bytes: int
    created_at: int
    expires_at: int | None
    filename: str
    purpose: str
    status: Literal["uploaded", "processed", "error"]
    status_details: str | None
    video: dict[str, Any]


class FileList(Described):
    """A page of files."""

    object: Literal["list"]
    data: list[FileObject]
    first_id: str | None
    last_id: str | None
    has_more: bool


class Deleted(Described):
    """It is gone."""

    id: str
    object: Literal["file", "video.deleted"]
    deleted: Literal[True]


class VideoError(Described):
    """Why there is no video."""

    code: str
    message: str


class VideoObject(Described):
    """A video: asked for, being drawn, drawn or failed."""

    id: str
    object: Literal["video"]
    model: str
    status: Literal["queued", "in_progress", "completed", "failed"]
    progress: int
    created_at: int
    started_at: int | None
    completed_at: int | None
    expires_at: int | None
    prompt: str | None
    seconds: str
    size: str
    fps: float
    seed: int | None
    num_inference_steps: int | None
    guidance_scale: float | None
    remixed_from_video_id: str | None
    error: VideoError | None
    queue_position: int | None
    eta_seconds: float | None
    inference_time_s: float | None
    preview_url: str | None
    url: str | None


class VideoList(Described):
    """A page of videos."""

    object: Literal["list"]
    data: list[VideoObject]
    first_id: str | None
    last_id: str | None
    has_more: bool


class Capabilities(Described):
    """What goes in and what comes out."""

    input: list[str]
    output: list[str]


class ModelObject(Described):
    """The model, what it takes and what it draws (`video`)."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    max_model_len: int
    capabilities: Capabilities
    video: dict[str, Any] | None
    limits: dict[str, int]


class ModelList(Described):
    """All models."""

    object: Literal["list"]
    data: list[ModelObject]


class ModerationResult(Described):
    """A verdict in OpenAI's categories."""

    flagged: bool
    categories: dict[str, bool]
    category_scores: dict[str, float]
    category_applied_input_types: dict[str, list[str]]


class ModerationObject(Described):
    """Verdicts, one for each text, or one for all parts."""

    id: str
    model: str
    results: list[ModerationResult]


class Usage(Described):
    """Tokens; soft tokens of videos count as tokens of the prompt."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: dict[str, int]
    completion_tokens_details: dict[str, int]


class VideoInput(Described):
    """Frames that were looked at, and when each is shown, in seconds."""

    frames: int
    fps: float | None
    timestamps: list[float]
    duration: float
    cached: bool


FinishReason = Literal["stop", "length", "content_filter"]


class ChatAnswer(Described):
    """Words, and the videos that were drawn."""

    role: Literal["assistant"]
    content: str
    refusal: str | None
    videos: list[VideoObject]


class ChatChoice(Described):
    """The one answer."""

    index: int
    message: ChatAnswer
    logprobs: None
    finish_reason: FinishReason


class ChatCompletion(Described):
    """A whole answer. Streamed, it comes as `chat.completion.chunk` events, the last of them `[DONE]`."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChatChoice]
    usage: Usage
    video_inputs: list[VideoInput]


class AskAnswer(Described):
    """What `gpt4video ask --json` prints, too."""

    answer: str
    videos: list[VideoObject]
    usage: Usage
    finish_reason: FinishReason


class Health(Described):
    """It is alive."""

    status: str


class Ready(Described):
    """It can answer."""

    status: str
    model: str


class Version(Described):
    """What it is."""

    version: str
    model: str
