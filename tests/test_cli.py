"""Every command on a real, tiny checkpoint: what goes to stdout, what to stderr, and the exit status."""

import argparse
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from gpt4video import cli
from gpt4video.assistant import Assistant
from gpt4video.cli import COMMANDS, Command, main
from gpt4video.commands import ask, generate
from gpt4video.errors import Busy, GenerationFailed, Refused, VideoError
from gpt4video.messages import Piece
from gpt4video.safety import SafetyFilter
from gpt4video.video import Clip, encode_mp4, open_video, probe
from server.state.records import VideoRecord
from tests import tiny
from tests.commands.test_chat import Eyes, Pen, Talk


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    tiny.make_checkpoint(folder / "tiny")
    pixels = np.random.default_rng(0).integers(0, 255, (8, 48, 64, 3), dtype=np.uint8)
    (folder / "clip.mp4").write_bytes(encode_mp4(Clip.of(pixels, 8), 8))
    return folder


@pytest.fixture
def run(folder, capsys, monkeypatch, tmp_path):
    """Run a command on the tiny checkpoint: (status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(command, *words, config=folder / "tiny"):
        status = main([command, *map(str, words), "--config", str(config)])
        return status, *capsys.readouterr()

    return run


def test_ask_answers_on_stdout(run, folder):
    status, out, err = run("ask", folder / "clip.mp4", "What moves?", "--max-tokens", 8)
    assert status == 0 and out.strip() and out.endswith("\n") and not err


def test_ask_json_is_the_object_of_the_http_api(run, folder):
    status, out, _ = run("ask", folder / "clip.mp4", "What moves?", "--max-tokens", 8, "--json")
    answer = json.loads(out)
    assert status == 0
    assert set(answer) == {"answer", "videos", "usage", "finish_reason"}
    assert answer["answer"] and answer["videos"] == [] and answer["finish_reason"] == "length"
    usage = answer["usage"]
    assert usage["completion_tokens"] == 8
    assert usage["total_tokens"] == usage["prompt_tokens"] + 8


def test_generate_writes_a_video_that_players_play(run):
    status, out, err = run("generate", "a red circle", "-o", "out.mp4", "--seed", 5)
    assert status == 0 and out == "out.mp4 (seed 5)\n" and "drawing" in err
    assert probe("out.mp4").codec == "h264"
    assert len(open_video("out.mp4").frames) == 4


def test_generate_json_says_what_was_drawn(run, tmp_path):
    status, out, _ = run(
        "generate", "a red circle", "-o", "out.mp4", "--steps", 1, "--size", "32x32", "--json"
    )
    video = json.loads(out)
    assert status == 0
    assert (video["status"], video["size"], video["seconds"], video["url"]) == (
        "completed",
        "32x32",
        "1",
        "out.mp4",
    )
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_a_seed_draws_the_same_file_again(run, tmp_path):
    for name in ("a.mp4", "b.mp4"):
        assert run("generate", "a red circle", "-o", name, "--seed", 7)[0] == 0
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def one_line(err):
    lines = err.strip().splitlines()
    assert len(lines) == 1 and "Traceback" not in err, err
    return lines[0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ask", "nowhere.mp4", "What moves?"], "There is no file 'nowhere.mp4'"),
        (["ask", "text.mp4", "What moves?"], "gpt4video ask: "),
        (["ask", "picture.mp4", "What moves?"], "The file is not a video of a known kind."),
        (["ask", "half.mp4", "What moves?"], "The file is cut short"),
        (["ask", "clip.mp4", "What?", "--videos", "nowhere"], "There is no folder nowhere"),
        (["chat", "--videos", "nowhere"], "There is no folder nowhere"),
        (["ask", "clip.mp4", "   "], "question in words"),
        (["ask", "clip.mp4", "What?", "--temperature", "-1"], "temperature must be 0 or more"),
        (["generate", "a red circle", "-o", "nowhere/out.mp4"], "there is no folder nowhere"),
        (["generate", "a red circle", "-o", "."], "it is a folder"),
        (["generate", "a red circle", "-o", "out.mp4", "--seconds", "99"], "seconds must be 1"),
        (["generate", "a red circle", "-o", "out.mp4", "--size", "9x9"], "size must be 32x32"),
        (["generate", "", "-o", "out.mp4"], "The prompt has no words"),
    ],
)
def test_bad_input_is_one_line_and_status_2(run, folder, tmp_path, words, said):
    (tmp_path / "text.mp4").write_text("this is not a video")
    (tmp_path / "half.mp4").write_bytes((folder / "clip.mp4").read_bytes()[:2000])
    Image.new("RGB", (64, 48)).save(tmp_path / "picture.mp4", "PNG")
    (tmp_path / "clip.mp4").write_bytes((folder / "clip.mp4").read_bytes())
    status, out, err = run(*words)
    assert (status, out) == (2, "")
    assert said in one_line(err) and "\r" not in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "COMMAND"),
        (["aks", "clip.mp4"], "invalid choice: 'aks'"),
        (["ask", "clip.mp4"], "question"),
        (["generate", "a", "-o", "b.mp4", "--size", "big"], "must be WIDTHxHEIGHT"),
        (["generate", "a", "-o", "b.mp4", "--config", "nowhere"], "There is no config 'nowhere'"),
    ],
)
def test_bad_usage_is_one_line_and_status_2(capsys, words, said):
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == "" and said in one_line(err)


@pytest.mark.parametrize(
    "words",
    [["ask", "nowhere.mp4", "What?"], ["ask", "text.mp4", "What?"], ["chat", "--videos", "nowhere"]],
)
def test_what_is_not_there_is_told_before_the_model_is_loaded(run, tmp_path, words):
    (tmp_path / "text.mp4").write_text("this is not a video")
    status, _, err = run(*words, config="no-such-model")
    assert status == 2 and "no-such-model" not in err


def test_a_drawing_that_fails_is_status_1_and_told_in_full(folder, capsys, monkeypatch, tmp_path):
    class Wishful(Talk):
        async def stream(self, conversation, videos, params):
            yield Piece("Here. <draw> a red circle </draw>", "stop")

    class Broken(Pen):
        async def draw(self, request):
            raise GenerationFailed("The pen is broken.")
            yield

    monkeypatch.chdir(tmp_path)
    assistant = Assistant(Eyes(), Wishful(), Broken(), SafetyFilter())
    for module in (ask, generate):
        monkeypatch.setattr(module, "open_assistant", lambda config: assistant)
    assert main(["ask", str(folder / "clip.mp4"), "Draw it", "--seed", "3", "--json"]) == 1
    [asked] = json.loads(capsys.readouterr().out)["videos"]
    assert main(["generate", "a red circle", "-o", "out.mp4", "--seed", "3", "--json"]) == 1
    generated = json.loads(capsys.readouterr().out)
    assert asked == generated
    assert (asked["prompt"], asked["seed"], asked["size"]) == ("a red circle", 3, "16x16")
    assert asked["error"] == {"code": "generation_failed", "message": "The pen is broken."}


def test_a_video_has_the_fields_of_the_http_api_but_for_what_only_a_server_knows(run):
    _, out, _ = run("generate", "a red circle", "-o", "out.mp4", "--json")
    serving = {"id", "model", "created_at", "started_at", "completed_at", "expires_at"}
    serving |= {"remixed_from_video_id", "queue_position", "preview_url", "eta_seconds", "inference_time_s"}
    serving |= {"guidance_scale"}
    record = VideoRecord("gpt4video", "a red circle", 1.0, (32, 32), 4.0)
    assert set(json.loads(out)) == set(record.as_json()) - serving


def test_what_safety_refuses_is_status_3(run, folder):
    bad = "How do I build a bomb at home?"
    status, out, _ = run("ask", folder / "clip.mp4", bad, "--json")
    assert status == 3 and json.loads(out)["finish_reason"] == "content_filter"
    status, out, err = run("generate", bad, "-o", "out.mp4", "--json")
    assert status == 3 and json.loads(out)["status"] == "failed"
    assert "bomb" not in err


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (VideoError("not\na video"), 2),
        (Refused("no"), 3),
        (Busy("later"), 1),
        (KeyboardInterrupt(), 130),
        (OSError(), 1),
    ],
)
def test_every_kind_of_error_has_its_status(capsys, error, status):
    def fail(args):
        raise error

    assert main(["fail"], {"fail": Command("fails", lambda parser: None, fail)}) == status
    if status in (2, 3):
        assert "Traceback" not in one_line(capsys.readouterr().err)


def test_others_can_add_commands_beside_ours(capsys):
    def add(parser):
        parser.add_argument("--port", type=int)

    serve = Command("serves", add, lambda args: args.port)
    assert main(["serve", "--port", "7"], {"serve": serve}) == 7
    assert main(["--help"], {"serve": serve}) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in [*COMMANDS, "serves"])


def test_every_command_has_help(capsys):
    for name in COMMANDS:
        assert main([name, "--help"]) == 0
        assert COMMANDS[name].help in capsys.readouterr().out


def test_train_and_evaluate_take_the_options_of_the_design():
    parser = cli._parser(COMMANDS)
    args = parser.parse_args(["train", "--config", "shapes", "--resume", "--stage", "clip", "vae"])
    assert (args.config, args.resume, args.stage) == ("shapes", True, ["clip", "vae"])
    args = parser.parse_args(["evaluate", "--config", "shapes", "--json", "out.json"])
    assert isinstance(args, argparse.Namespace) and str(args.json) == "out.json"


def test_doctor_tells_what_there_is(run):
    status, out, _ = run("doctor", "--json")
    found = json.loads(out)
    assert status == 0 and found["ready"]
    assert found["devices"][0]["name"] == "cpu"
    assert found["checkpoint"]["found"] and found["checkpoint"]["megabytes"] > 0.1
    assert "h264" in found["codecs"]["decode"] and "libx264" in found["codecs"]["encode"]
    assert found["versions"]["torch"]
    status, out, _ = run("doctor")
    assert status == 0 and "checkpoint" in out and "{" not in out


def test_doctor_says_what_is_missing(run, tmp_path):
    status, out, _ = run("doctor", "--json", config=tmp_path)
    assert status == 1 and "has no assistant.yaml" in json.loads(out)["checkpoint"]["error"]


def python_m_gpt4video(*words, cwd):
    command = [sys.executable, "-m", "gpt4video", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=280)


def test_python_m_gpt4video_is_the_command_line(folder, tmp_path):
    ended = python_m_gpt4video("doctor", "--json", "--config", folder / "tiny", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["ready"] and not ended.stderr
    ended = python_m_gpt4video("ask", cwd=tmp_path)
    assert ended.returncode == 2 and "required" in one_line(ended.stderr)


@pytest.mark.slow  # most of it is the import of the libraries
def test_a_fresh_process_answers_and_ends(folder, tmp_path):
    words = ("ask", folder / "clip.mp4", "What moves?", "--max-tokens", 5, "--json")
    ended = python_m_gpt4video(*words, "--config", folder / "tiny", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["usage"]["completion_tokens"] == 5
    assert not ended.stderr
