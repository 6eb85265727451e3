"""A chat request's messages as the library's `Conversation`.

    text        words
    video_url   data: | file-… | video_…        http(s) and file addresses are refused
    image_url   data:                           a clip of one frame
    file        file_id | file_data
    videos      on an assistant's message: what it drew, read back as the prompts it was drawn from

First every part is checked, and the length of all words, and nothing is decoded; then all videos are
decoded, each once.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpt4video.errors import VideoError
from gpt4video.messages import Conversation, Drawn, Message, Part, Posted, Role, Text
from gpt4video.video import Clip, Sampling
from server.errors import ApiError, bad_request
from server.media import ClipReader
from server.schemas import ChatMessage, VideoRef
from server.settings import Settings
from server.state.records import FileRecord, VideoRecord
from server.state.store import Store

if TYPE_CHECKING:
    from gpt4video.assistant import Assistant


@dataclass(frozen=True)
class Source:
    """Where the bytes of a posted video are: in the request, or in a store under an id."""

    data: bytes | None = None
    store: Store[Any] | None = None
    id: str = ""
    param: str = ""

    async def check(self, owner: str) -> None:
        """A 404 that names its place, unless the bytes are here."""
        if self.store is None:
            return
        try:
            await self.store.asset(self.id, owner)
        except ApiError as error:
            told = error.body["error"]
            message = f"{self.param}: {told['message']}"
            raise ApiError(error.status_code, message, code=told["code"], param=self.param) from None

    async def read(self, owner: str) -> bytes:
        """The bytes."""
        if self.data is not None:
            return self.data
        assert self.store is not None, "a source without bytes names a store"
        return await self.store.read(self.id, owner)


class Reader:
    """Reads conversations; knows the stores that ids point into."""

    def __init__(
        self, files: Store[FileRecord], videos: Store[VideoRecord], clips: ClipReader, settings: Settings
    ) -> None:
        self._files = files
        self._videos = videos
        self._clips = clips
        self._settings = settings

    async def conversation(
        self, messages: Sequence[ChatMessage], assistant: Assistant, owner: str
    ) -> Conversation:
        """The conversation, decoded for `assistant`; every misfit is a 400 that names its place.

        Ids name what is the owner's: what somebody else posted or drew is a 404.
        """
        most = self._settings.max_messages
        if len(messages) > most:
            raise bad_request(f"messages: {len(messages)} came, at most {most} fit.", param="messages")
        drawn = await self._videos.known(
            [ref.id for message in messages for ref in message.videos or []], owner
        )
        drafts = [self._parts(message, f"messages[{i}]", drawn) for i, message in enumerate(messages)]
        sources = [part for parts in drafts for part in parts if isinstance(part, Source)]
        if len(sources) > self._settings.max_videos:
            message = f"messages: {len(sources)} videos came, at most {self._settings.max_videos} fit."
            raise bad_request(message, param="messages")
        for source in sources:
            await source.check(owner)
        _demand_a_question(messages[-1], drafts[-1])
        roles = [_ROLES[message.role] for message in messages]
        assistant.language_model.check(
            tuple(
                Message(role, tuple(part for part in parts if not isinstance(part, Source)))
                for role, parts in zip(roles, drafts, strict=True)
            )
        )
        sampling = assistant.encoder.sampling
        clips = iter([await self._clip(source, sampling, owner) for source in sources])
        return tuple(
            Message(role, tuple(Posted(next(clips)) if isinstance(part, Source) else part for part in parts))
            for role, parts in zip(roles, drafts, strict=True)
        )

    async def clip(self, data: bytes, sampling: Sampling, param: str, owner: str) -> Clip:
        """One posted video from its bytes."""
        return await self._clip(Source(data=data, param=param), sampling, owner)

    async def _clip(self, source: Source, sampling: Sampling, owner: str) -> Clip:
        try:
            return (await self._clips.read(await source.read(owner), sampling)).clip
        except VideoError as error:
            raise bad_request(error.message, code=error.code, param=source.param) from error

    def _parts(
        self, message: ChatMessage, where: str, drawn: Mapping[str, VideoRecord]
    ) -> list[Part | Source]:
        """The parts of one message, undecoded."""
        if isinstance(message.content, str):
            parts: list[Part | Source] = [Text(_clean(message.content, f"{where}.content"))]
        else:
            parts = [
                self._part(part, f"{where}.content[{i}]") for i, part in enumerate(message.content or [])
            ]
        if message.role != "user" and any(isinstance(part, Source) for part in parts):
            raise bad_request(f"{where}.content: only a user posts videos.", param=f"{where}.content")
        if message.videos:
            if message.role != "assistant":
                raise bad_request(f"{where}.videos: only an assistant draws.", param=f"{where}.videos")
            for i, ref in enumerate(message.videos):
                parts += self._drawn(drawn.get(ref.id, ref), f"{where}.videos[{i}]")
        return parts

    def _drawn(self, video: VideoRecord | VideoRef, where: str) -> list[Drawn]:
        """The drawing, if there is one: a video that failed was never drawn."""
        if video.status != "completed":
            return []
        if not video.prompt:
            message = f"{where}: there is no such video here, and no prompt came with it."
            raise bad_request(message, code="video_not_found", param=where)
        return [Drawn(_clean(video.prompt, where))]

    def _part(self, part: dict[str, Any], where: str) -> Part | Source:
        kind = part.get("type")
        readers: dict[str, Callable[[dict[str, Any], str], Part | Source]] = {
            "text": self._text,
            "video_url": self._url,
            "image_url": self._url,
            "file": self._file,
        }
        if not isinstance(kind, str) or kind not in readers:
            message = f"{where}.type: nobody here knows this part; {', '.join(readers)} fit."
            raise bad_request(message, param=f"{where}.type")
        return readers[kind](part, where)

    def _text(self, part: dict[str, Any], where: str) -> Part:
        if not isinstance(text := part.get("text"), str):
            raise bad_request(f"{where}.text must be a string.", param=f"{where}.text")
        return Text(_clean(text, f"{where}.text"))

    def _url(self, part: dict[str, Any], where: str) -> Source:
        value = part.get(part["type"])
        url = value.get("url") if isinstance(value, dict) else value
        where = f"{where}.{part['type']}.url"
        if not isinstance(url, str) or not url:
            raise bad_request(f"{where} must be a string.", code="missing_required_parameter", param=where)
        return self._address(url, where)

    def _file(self, part: dict[str, Any], where: str) -> Source:
        file = part.get("file")
        where = f"{where}.file"
        if isinstance(file, dict) and isinstance(id := file.get("file_id"), str):
            return self._address(id, f"{where}.file_id")
        if isinstance(file, dict) and isinstance(data := file.get("file_data"), str):
            found = _data_url(data, where) if data.startswith("data:") else _base64(data, where)
            return Source(data=found, param=f"{where}.file_data")
        message = f"{where} must hold file_id or file_data."
        raise bad_request(message, code="missing_required_parameter", param=where)

    def _address(self, url: str, where: str) -> Source:
        """Where an address points. The table is the policy: what is not in it is not fetched."""
        scheme = url.split(":", 1)[0].lower() if ":" in url[:12] else ""
        if scheme == "data":
            return Source(data=_data_url(url, where), param=where)
        if scheme in ("http", "https", "file", "ftp"):
            message = f"{where}: {scheme} addresses are not fetched; send a data URL, or upload to /v1/files."
            raise bad_request(message, code="media_url_not_allowed", param=where)
        stores: dict[str, Store[Any]] = {"file-": self._files, "video_": self._videos}
        for prefix, store in stores.items():
            if url.startswith(prefix):
                return Source(store=store, id=url, param=where)
        message = f"{where} must be a data URL, or the id of a file (file-…) or of a drawn video (video_…)."
        raise bad_request(message, param=where)


_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}


def _demand_a_question(last: ChatMessage, parts: Sequence[Part | Source]) -> None:
    """The last turn is a user's, and has words in it."""
    if last.role != "user":
        raise bad_request("messages: the last one must be a user's.", param="messages")
    if not any(isinstance(part, Text) and part.text.strip() for part in parts):
        message = "messages: the last one has no words in it; ask something."
        raise bad_request(message, code="missing_required_parameter", param="messages")


def _clean(text: str, where: str) -> str:
    """Words that can be written as UTF-8: JSON can smuggle in half a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise bad_request(f"{where} is not well-formed Unicode.", param=where) from None
    return text


def _data_url(url: str, where: str) -> bytes:
    head, comma, body = url.partition(",")
    if not comma or not head.lower().endswith(";base64"):
        raise bad_request(f"{where} must be a data URL in base64: data:video/mp4;base64,…", param=where)
    return _base64(body, where)


def _base64(body: str, where: str) -> bytes:
    try:
        data = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise bad_request(f"{where}: this is not base64.", param=where) from None
    if not data:
        raise bad_request(f"{where}: the video is empty.", code="invalid_video", param=where)
    return data
