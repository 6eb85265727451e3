"""Files made to hurt are a 4xx with a code, open nothing, cost little, and the next request is answered."""

import base64
import os
import signal
import socket
import threading
import time
from pathlib import Path

import hostile
import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from web_stand_ins import make_assistant, running

from gpt4video.errors import InputError
from gpt4video.video import Sampling
from gpt4video.video.picture import is_picture
from server.app import create_app
from server.media import sandbox_of
from server.settings import Settings

CODES = {
    "invalid_video",
    "no_video_stream",
    "unsupported_video_codec",
    "unsupported_video_format",
    "video_too_large",
    "video_too_long",
}
SAMPLING = Sampling(num_frames=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@pytest.fixture(scope="module")
def app():
    return create_app(make_assistant(), Settings(decode_seconds=20.0))


@pytest.fixture(scope="module")
def http(app):
    """One server for all: what was posted before must not have hurt it."""
    with running(app) as url, httpx2.Client(base_url=url, timeout=120) as client:
        yield client


def ways_in(http, data: bytes) -> dict[str, httpx2.Response]:
    """What each way into the server says to a file."""
    url = "data:video/mp4;base64," + base64.b64encode(data).decode()
    content = [{"type": "video_url", "video_url": {"url": url}}, {"type": "text", "text": "What?"}]
    upload = ("video.mp4", data, "video/mp4")
    return {
        "chat": http.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": content}]}),
        "file": http.post("/v1/files", data={"purpose": "vision"}, files={"file": upload}),
        "ask": http.post("/v1/ask", data={"question": "What?"}, files={"video": upload}),
    }


def refused(http, data: bytes) -> set[str]:
    """The codes that all ways in answer with; fails for an answer that is no refusal."""
    codes = set()
    for way, response in ways_in(http, data).items():
        assert response.status_code == 400, (way, response.text[:300])
        error = response.json()["error"]
        assert error["type"] == "invalid_request_error" and len(error["message"]) < 500
        codes.add(error["code"])
    return codes


def still_answers(http, red: bytes) -> None:
    said = ways_in(http, red)["chat"].json()["choices"][0]["message"]["content"]
    assert said == "The video is red."


def test_what_points_elsewhere_opens_nothing(http, folder, red):
    canary = folder / "canary.ts"
    canary.write_bytes(hostile.corpus(folder)["ts"])
    read = canary.stat().st_atime_ns
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.5)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/x.ts"
        for name, data in hostile.playlists(address, canary).items():
            assert refused(http, data) <= CODES, name
        with pytest.raises(TimeoutError):
            listener.accept()
    assert canary.stat().st_atime_ns == read
    still_answers(http, red)


def test_what_is_small_on_the_wire_and_huge_when_opened_is_turned_away(http, folder, red):
    for name, (data, code) in hostile.bombs(folder).items():
        assert len(data) < 4_000_000, name
        assert refused(http, data) == {code}, name
    still_answers(http, red)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_picture_where_a_video_is_asked_for_is_refused_and_told_where_it_belongs(http, red, kind):
    data = hostile.picture(kind)
    for way, response in ways_in(http, data).items():
        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (400, "unsupported_video_format"), way
        assert "This is a picture" in error["message"] and "image_url" in error["message"]
    still_answers(http, red)


def test_a_picture_is_kept_as_a_file_under_its_own_name_and_asked_about_as_an_image(http):
    upload = ("red.png", hostile.picture("PNG"), "image/png")
    file = http.post("/v1/files", data={"purpose": "vision"}, files={"file": upload}).json()
    assert file["video"]["num_frames"] == 1
    words = {"type": "text", "text": "What?"}
    url = "data:image/png;base64," + base64.b64encode(upload[1]).decode()
    for part, status in (
        ({"type": "image_url", "image_url": {"url": file["id"]}}, 200),
        ({"type": "file", "file": {"file_id": file["id"]}}, 200),
        ({"type": "image_url", "image_url": {"url": url}}, 200),
        ({"type": "video_url", "video_url": {"url": file["id"]}}, 400),
        ({"type": "video_url", "video_url": {"url": url}}, 400),
        ({"type": "input_video", "input_video": {"data": url.partition(",")[2]}}, 400),
    ):
        body = {"messages": [{"role": "user", "content": [part, words]}]}
        assert http.post("/v1/chat/completions", json=body).status_code == status, part["type"]


def test_the_name_or_the_type_of_a_file_says_that_a_video_is_meant(http):
    data = hostile.picture("PNG")
    for name, kind, status in (
        ("a.MP4", "application/octet-stream", 400),
        ("a.png", "video/mp4", 400),
        ("a", "application/octet-stream", 200),
    ):
        upload = {"file": (name, data, kind)}
        assert http.post("/v1/files", data={"purpose": "vision"}, files=upload).status_code == status, name


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_a_picture_that_moves_is_a_video(http, kind):
    import files

    for way, response in ways_in(http, hostile.moving(kind, files.counting(8))).items():
        assert response.status_code == 200, (way, response.text)


@pytest.mark.parametrize("kind", ["mp4", "mov", "mkv", "webm", "avi", "gif"])
def test_a_file_cut_short_anywhere_is_refused(http, folder, red, kind):
    whole = hostile.corpus(folder)[kind]
    for part in (1, 3, 5, 7):
        assert refused(http, whole[: len(whole) * part // 8]) == {"invalid_video"}
    still_answers(http, red)


def decoding(app, seconds: float = 30.0) -> int:
    """The process that reads a file at the moment."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        worker = app.state.service.clips._sandbox.process
        if worker and (found := Path(f"/proc/{worker}/task/{worker}/children").read_text().split()):
            return int(found[0])
        time.sleep(0.002)
    raise AssertionError("no file is read")


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP])
def test_a_decoder_that_dies_or_hangs_is_a_refusal_and_the_next_video_is_answered(folder, red, blow):
    import files
    import numpy as np

    long = np.tile(files.counting(16, 128, 96), (60, 1, 1, 1))
    data = files.write(folder / f"{blow}.mp4", long, g="2000", pix_fmt="yuv420p").read_bytes()
    app = create_app(make_assistant(), Settings(decode_seconds=4.0 if blow is signal.SIGSTOP else 60.0))
    url = "data:video/mp4;base64," + base64.b64encode(data).decode()
    content = [{"type": "video_url", "video_url": {"url": url}}, {"type": "text", "text": "What?"}]
    with running(app) as address, httpx2.Client(base_url=address, timeout=120) as http:
        still_answers(http, red)
        hit = threading.Thread(target=lambda: os.kill(decoding(app), blow))
        hit.start()
        response = http.post(
            "/v1/chat/completions", json={"messages": [{"role": "user", "content": content}]}
        )
        hit.join()
        assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_video")
        still_answers(http, red)


# --- generated ones ------------------------------------------------------------------------------------


@st.composite
def damage(draw: st.DrawFn) -> tuple[str, list[tuple[str, float, int, int]]]:
    """Which whole file, and what is done to it: places are shares of its length."""
    kind = draw(
        st.sampled_from(
            [
                *("mp4", "mov", "mkv", "webm", "avi", "gif", "ts", "mpg", "flv"),
                *("png", "jpeg", "webp", "moving png", "moving webp"),
            ]
        )
    )
    # Headers are at the beginning, or (mp4) at the end: hit those more often.
    place = st.one_of(st.floats(0, 0.1), st.floats(0, 1), st.floats(0.7, 1))
    blow = st.tuples(
        st.sampled_from(["flip", "set", "cut", "drop", "repeat"]),
        place,
        st.integers(0, 255),
        st.integers(1, 64),
    )
    return kind, draw(st.lists(blow, min_size=1, max_size=12))


def damaged(whole: bytes, blows: list[tuple[str, float, int, int]]) -> bytes:
    data = bytearray(whole)
    for what, share, value, length in blows:
        at = int(share * (len(data) - 1)) if data else 0
        match what:
            case "flip":
                data[at : at + 1] = bytes(byte ^ (1 << value % 8) for byte in data[at : at + 1])
            case "set":
                data[at : at + length] = bytes([value]) * len(data[at : at + length])
            case "cut":
                del data[max(at, 16) :]
            case "drop":
                del data[at : at + length]
            case "repeat":
                data[at:at] = data[at : at + length]
    return bytes(data)


@pytest.fixture(scope="module")
def corpus(folder) -> dict[str, bytes]:
    return hostile.corpus(folder)


@pytest.fixture(scope="module")
def sandbox():
    with sandbox_of(Settings(decode_seconds=20.0)) as sandbox:
        yield sandbox


def generated(examples: int):
    checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=checks
    )


def survives(case, corpus, sandbox, caplog) -> None:
    """A damaged file gives a clip within bounds, or a refusal with a code; never a mistake of ours."""
    kind, blows = case
    data = damaged(corpus[kind], blows)
    try:
        read = sandbox.open_picture if is_picture(data) else sandbox.open_video
        clip = read(data, SAMPLING, max_side=1024)
    except InputError as error:
        assert error.code in CODES
    else:
        assert 1 <= len(clip.frames) <= 4
        assert clip.frames.nbytes <= Settings.max_clip_bytes
    assert not caplog.records, caplog.text


@generated(300)
@given(case=damage())
def test_a_damaged_file_is_read_as_far_as_it_goes_or_refused(case, corpus, sandbox, caplog):
    survives(case, corpus, sandbox, caplog)


@pytest.mark.slow  # minutes on a busy machine; the three hundred above run always
@generated(2_500)
@given(case=damage())
def test_thousands_of_damaged_files_are_read_as_far_as_they_go_or_refused(case, corpus, sandbox, caplog):
    survives(case, corpus, sandbox, caplog)
