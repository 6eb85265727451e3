"""A chat request's messages as the library's `Conversation`.

    text                 words
    video_url  video     data: | file-… | video_…        or http(s), where allowed (`fetch.py`)
                         data:video/jpeg;base64,a,b,c    (or a list of pictures) is one clip of these frames
    image_url  image     the same                        a clip of one frame
    input_video          data, in base64                 as llama.cpp has it
    file                 file_id | file_data
    videos               on an assistant's message: what it drew, as the prompts it was drawn from

First every part is checked, and the length of all words, and nothing is decoded; then all videos are
decoded, each once. Where a video is meant, a picture of one frame is refused; a file may be either.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gpt4video.errors import InputError
from gpt4video.messages import Conversation, Drawn, Message, Part, Posted, Role, Text
from server.errors import ApiError, bad_request
from server.fetch import Fetcher
from server.media import ClipReader, Looked, demand_moving
from server.schemas import ChatMessage, VideoRef, VideoSampling, well_formed
from server.settings import Settings
from server.state.blobs import Asset
from server.state.records import FileRecord, VideoRecord
from server.state.store import Store

if TYPE_CHECKING:
    from gpt4video.assistant import Assistant


@dataclass(frozen=True)
class Source:
    """Where the bytes of a posted video are: in the request, whole or in frames, in a store, or elsewhere."""

    data: bytes | None = None
    pictures: tuple[bytes, ...] = ()
    store: Store[Any] | None = None
    id: str = ""
    param: str = ""
    fetcher: Fetcher | None = None
    moving: bool = False
    """Whether a video is meant: a picture of one frame is refused."""
    asset: Asset | None = None
    """What the store has of it, once it was found."""

    async def found(self, owner: str) -> Source:
        """Itself, where the bytes are here; else a 404 that names its place."""
        if self.store is None:
            return self
        try:
            return replace(self, asset=await self.store.asset(self.id, owner))
        except ApiError as error:
            told = error.body["error"]
            message = f"{self.param}: {told['message']}"
            raise ApiError(error.status_code, message, code=told["code"], param=self.param) from None

    async def read(self) -> bytes:
        """The bytes."""
        if self.data is not None:
            return self.data
        if self.fetcher is not None:
            return await self.fetcher.fetch(self.id)
        assert self.store is not None and self.asset is not None, "what has no bytes was found in a store"
        return await self.store.read(self.asset)


@dataclass(frozen=True)
class Heard:
    """A conversation as the library takes it, and how each of its videos was looked at, in order."""

    conversation: Conversation
    videos: tuple[Looked, ...]


Piece = Part | Source
NATIVE = VideoSampling()


class Reader:
    """Reads conversations; knows the stores that ids point into."""

    def __init__(
        self,
        files: Store[FileRecord],
        videos: Store[VideoRecord],
        clips: ClipReader,
        fetcher: Fetcher,
        settings: Settings,
    ) -> None:
        self._files = files
        self._videos = videos
        self._clips = clips
        self._fetcher = fetcher
        self._settings = settings

    async def conversation(
        self,
        messages: Sequence[ChatMessage],
        assistant: Assistant,
        owner: str,
        sampling: VideoSampling = NATIVE,
    ) -> Heard:
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
        sources = [await source.found(owner) for source in sources]
        _demand_a_question(messages[-1], drafts[-1])
        roles = [_ROLES[message.role] for message in messages]
        assistant.language_model.check(
            tuple(
                Message(role, tuple(part for part in parts if not isinstance(part, Source)))
                for role, parts in zip(roles, drafts, strict=True)
            )
        )
        looked = [await self._look(source, assistant, sampling) for source in sources]
        clips = iter(looked)
        conversation = tuple(
            Message(
                role, tuple(Posted(next(clips).clip) if isinstance(part, Source) else part for part in parts)
            )
            for role, parts in zip(roles, drafts, strict=True)
        )
        return Heard(conversation, tuple(looked))

    async def clip(self, data: bytes, param: str, assistant: Assistant) -> Looked:
        """One posted video from its bytes."""
        return await self._look(Source(data=data, param=param, moving=True), assistant, NATIVE)

    async def parts(
        self, parts: Sequence[dict[str, Any]], where: str, assistant: Assistant, owner: str
    ) -> list[str | Looked]:
        """Content parts by themselves, decoded."""
        read = [self._part(part, f"{where}[{i}]") for i, part in enumerate(parts)]
        read = [await part.found(owner) if isinstance(part, Source) else part for part in read]
        return [
            await self._look(part, assistant, NATIVE) if isinstance(part, Source) else part.text
            for part in read
            if isinstance(part, Source | Text)
        ]

    async def _look(self, source: Source, assistant: Assistant, sampling: VideoSampling) -> Looked:
        wanted = sampling.over(assistant.encoder.sampling)
        try:
            if source.pictures:
                return await self._clips.frames(source.pictures, sampling.fps or 1.0, wanted)
            if source.asset and (known := self._clips.known(source.asset.sha256, wanted, source.moving)):
                return known
            data = await source.read()
            if source.moving:
                demand_moving(data)
            return await self._clips.read(data, wanted)
        except InputError as error:
            param = f"media_io_kwargs.video.{error.param}" if error.param else source.param
            raise bad_request(error.message, code=error.code, param=param) from error

    def _parts(self, message: ChatMessage, where: str, drawn: Mapping[str, VideoRecord]) -> list[Piece]:
        """The parts of one message, undecoded."""
        if isinstance(message.content, str):
            parts: list[Piece] = [Text(_clean(message.content, f"{where}.content"))]
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

    def _part(self, part: dict[str, Any], where: str) -> Piece:
        kind = part.get("type")
        readers = {
            "text": self._text,
            "video_url": self._url,
            "image_url": self._url,
            "video": self._url,
            "image": self._url,
            "input_video": self._input,
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
        if part["type"] == "video" and isinstance(value, list) and value:
            where = f"{where}.video"
            return Source(
                pictures=tuple(_picture(url, f"{where}[{i}]") for i, url in enumerate(value)), param=where
            )
        url = value.get("url") if isinstance(value, dict) else value
        where = f"{where}.{part['type']}.url"
        if not isinstance(url, str) or not url:
            raise bad_request(f"{where} must be a string.", code="missing_required_parameter", param=where)
        source = self._address(url, where)
        return replace(source, moving=True) if part["type"].startswith("video") else source

    def _input(self, part: dict[str, Any], where: str) -> Source:
        value = part.get("input_video")
        where = f"{where}.input_video.data"
        if not isinstance(value, dict) or not isinstance(data := value.get("data"), str):
            raise bad_request(f"{where} must be a string.", code="missing_required_parameter", param=where)
        return Source(data=_base64(data, where), param=where, moving=True)

    def _file(self, part: dict[str, Any], where: str) -> Source:
        file = part.get("file")
        where = f"{where}.file"
        if isinstance(file, dict) and isinstance(id := file.get("file_id"), str):
            return self._address(id, f"{where}.file_id")
        if isinstance(file, dict) and isinstance(data := file.get("file_data"), str):
            where = f"{where}.file_data"
            return _data_url(data, where) if data.startswith("data:") else _inline(data, where)
        message = f"{where} must hold file_id or file_data."
        raise bad_request(message, code="missing_required_parameter", param=where)

    def _address(self, url: str, where: str) -> Source:
        """Where an address points. The table is the policy: what is not in it is not fetched."""
        scheme = url.split(":", 1)[0].lower() if ":" in url[:12] else ""
        if scheme == "data":
            return _data_url(url, where)
        if scheme in ("http", "https", "file", "ftp"):
            try:
                self._fetcher.check(url)
            except InputError as error:
                raise bad_request(f"{where}: {error.message}", code=error.code, param=where) from error
            return Source(fetcher=self._fetcher, id=url, param=where)
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


def _demand_a_question(last: ChatMessage, parts: Sequence[Piece]) -> None:
    """The last turn is a user's, and has words in it."""
    if last.role != "user":
        raise bad_request("messages: the last one must be a user's.", param="messages")
    if not any(isinstance(part, Text) and part.text.strip() for part in parts):
        message = "messages: the last one has no words in it; ask something."
        raise bad_request(message, code="missing_required_parameter", param="messages")


def _clean(text: str, where: str) -> str:
    """Words that every store can keep, or a 400."""
    try:
        return well_formed(text)
    except ValueError as error:
        raise bad_request(f"{where} {error}.", param=where) from None


def _data_url(url: str, where: str) -> Source:
    """The bytes in a data URL; of `video/jpeg`, frames with commas between them."""
    head, comma, body = url.partition(",")
    if not comma or not head.lower().endswith(";base64"):
        raise bad_request(f"{where} must be a data URL in base64: data:video/mp4;base64,…", param=where)
    if head.lower() == "data:video/jpeg;base64":
        return Source(pictures=tuple(_base64(frame, where) for frame in body.split(",")), param=where)
    return replace(_inline(body, where), moving=head.lower().startswith("data:video/"))


def _inline(body: str, where: str) -> Source:
    return Source(data=_base64(body, where), param=where)


def _picture(url: object, where: str) -> bytes:
    """One frame of a list."""
    if not isinstance(url, str) or not url.startswith("data:"):
        raise bad_request(f"{where} must be a data URL in base64: data:image/jpeg;base64,…", param=where)
    source = _data_url(url, where)
    if source.data is None:
        raise bad_request(f"{where} must be one picture.", param=where)
    return source.data


def _base64(body: str, where: str) -> bytes:
    try:
        data = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise bad_request(f"{where}: this is not base64.", param=where) from None
    if not data:
        raise bad_request(f"{where}: the video is empty.", code="invalid_video", param=where)
    return data
