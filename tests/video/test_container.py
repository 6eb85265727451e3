import io
import zipfile

import pytest
from PIL import Image

from gpt4video.errors import InputError, VideoError
from gpt4video.video import Limits, open_video, probe


def picture(kind: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (32, 32)).save(file, kind)
    return file.getvalue()


def archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zipped:
        zipped.writestr("video.mp4", b"0" * 100)
    return file.getvalue()


NOT_VIDEOS = {
    "text": b"Dear Sir or Madam, please find attached the video.",
    "one byte": b"G",
    "png": picture("PNG"),
    "jpeg": picture("JPEG"),
    "avif": b"\x00\x00\x00\x20ftypavif\x00\x00\x00\x00avifmif1miaf",
    "zip": archive(),
    "wav": b"RIFF\x24\x00\x00\x00WAVEfmt ",
    "hls": b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n",
    "dash": b"<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011'></MPD>",
    "concat": b"ffconcat version 1.0\nfile '/etc/passwd'\n",
    "sdp": b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nm=video 5004 RTP/AVP 96\r\n",
    "zeros": bytes(4096),
}


@pytest.mark.parametrize("kind", NOT_VIDEOS)
def test_what_is_not_a_video_is_turned_away_by_its_first_bytes(kind, tmp_path):
    path = tmp_path / "video.mp4"  # whatever its name says
    path.write_bytes(NOT_VIDEOS[kind])
    for source in (NOT_VIDEOS[kind], path, str(path)):
        for look in (open_video, probe):
            with pytest.raises(VideoError, match="not a video of a known kind") as caught:
                look(source)
            assert caught.value.code == "unsupported_video_format"


def test_an_empty_file_is_said_to_be_empty(tmp_path):
    (tmp_path / "empty.mp4").touch()
    for source in (b"", tmp_path / "empty.mp4"):
        with pytest.raises(VideoError, match="is empty") as caught:
            open_video(source)
        assert caught.value.code == "invalid_video"


def test_a_file_that_is_not_there_is_the_callers_mistake(tmp_path):
    for source in (tmp_path / "nothing.mp4", str(tmp_path), "https://example.org/video.mp4"):
        with pytest.raises(InputError, match="There is no file") as caught:
            open_video(source)
        assert not isinstance(caught.value, VideoError)


@pytest.mark.parametrize(
    "start", [b"\x00\x00\x00\x18ftypisom", b"\x1a\x45\xdf\xa3", b"RIFF\0\0\0\0AVI ", b"GIF89a\1\0\1\0"]
)
def test_a_header_with_nothing_good_behind_it_is_a_damaged_file(start):
    with pytest.raises(VideoError) as caught:
        open_video(start + b"and then nothing that makes sense" * 20)
    assert caught.value.code in {"invalid_video", "no_video_stream"}


def test_a_playlist_inside_an_allowed_container_opens_nothing_else(tmp_path):
    """The demuxer is named, so bytes that only begin like a container are never taken for a playlist."""
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    playlist = f"GIF89a\n#EXTM3U\n#EXTINF:1,\nfile://{secret}\n".encode()
    with pytest.raises(VideoError):
        open_video(playlist)


def test_too_many_bytes_are_refused_before_they_are_looked_at(tmp_path):
    (tmp_path / "large.mp4").write_bytes(bytes(2000))
    for source in (bytes(2000), tmp_path / "large.mp4"):
        with pytest.raises(VideoError, match="at most") as caught:
            open_video(source, limits=Limits(max_bytes=1000))
        assert caught.value.code == "video_too_large"
