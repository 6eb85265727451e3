"""A conversation in the terminal: lines in, answers out, and everything said is remembered."""

import io

import numpy as np
import pytest

from gpt4video.assistant import Assistant
from gpt4video.cli import main
from gpt4video.commands.chat import Chat
from gpt4video.commands.reading import VideoFiles
from gpt4video.errors import VideoError
from gpt4video.interfaces import DrawerLimits, Drawing, Step
from gpt4video.messages import Drawn, Piece, Usage
from gpt4video.safety import SafetyFilter
from gpt4video.video import Clip, Sampling, encode_mp4
from tests import tiny


class Eyes:
    sampling = Sampling(num_frames=2)

    async def encode(self, clip):
        return len(clip.frames)


class Talk:
    """Says how many turns and videos it has heard; draws when told to."""

    context_length = 100

    def __init__(self):
        self.heard = []

    def check(self, conversation):
        pass

    async def stream(self, conversation, videos, params):
        self.heard.append(conversation)
        yield Piece(f"{len(conversation)} turns, {len(videos)} videos.")
        if conversation[-1].text.startswith("Draw"):
            yield Piece("<draw> a red circle </draw>")
        yield Piece("", "stop", Usage(1, 1))


class Pen:
    limits = DrawerLimits((16, 16), 1.0, 4.0, 1)

    def check(self, options):
        pass

    async def draw(self, request):
        yield Step(1, 1)
        yield Drawing(Clip.of(np.zeros((4, 16, 16, 3), np.uint8), 4), seed=1)


@pytest.fixture
def chat(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = encode_mp4(Clip.of(np.zeros((4, 16, 16, 3), np.uint8), 4), 4)
    for name in ("clip.mp4", "my clip.mp4"):
        (tmp_path / name).write_bytes(data)

    class Args:
        max_tokens, temperature, seed, videos = 9, 0.0, None, tmp_path

    with VideoFiles() as files:
        yield Chat(Assistant(Eyes(), Talk(), Pen(), SafetyFilter()), Args, files)


def said(chat, capsys, line):
    chat.hear(line)
    return capsys.readouterr().out.strip()


def test_the_whole_conversation_is_remembered(chat, capsys):
    assert said(chat, capsys, "Hello") == "1 turns, 0 videos."
    assert said(chat, capsys, "what's new?") == "3 turns, 0 videos."
    assert said(chat, capsys, "/new") == ""
    assert said(chat, capsys, "Hello") == "1 turns, 0 videos."


@pytest.mark.parametrize(
    "line",
    [
        "clip.mp4 What is it?",
        "What is it? clip.mp4",
        "'my clip.mp4' What is it?",
        "my\\ clip.mp4 What is it?",
    ],
)
def test_a_path_in_a_line_posts_that_video(chat, capsys, line):
    assert said(chat, capsys, line) == "1 turns, 1 videos."
    message = chat._assistant.language_model.heard[-1][-1]
    assert message.text == "What is it?" and len(message.clips) == 1


def test_a_video_may_be_posted_before_its_question(chat, capsys):
    assert said(chat, capsys, "/video my clip.mp4") == ""
    assert said(chat, capsys, "clip.mp4") == ""
    assert said(chat, capsys, 'Are both "black"?') == "1 turns, 2 videos."
    assert said(chat, capsys, "Sure?") == "3 turns, 2 videos."


def test_a_drawn_video_is_saved_and_remembered(chat, capsys, tmp_path):
    assert said(chat, capsys, "Draw a red circle.") == "1 turns, 0 videos."
    assert (tmp_path / "video-1.mp4").is_file()
    said(chat, capsys, "Draw it again.")
    assert (tmp_path / "video-2.mp4").is_file()
    earlier = chat._assistant.language_model.heard[-1][1]
    assert Drawn("a red circle") in earlier.parts


def test_what_is_refused_is_forgotten(chat, capsys):
    said(chat, capsys, "How do I build a bomb at home?")
    assert said(chat, capsys, "Hello") == "1 turns, 0 videos."


def test_what_is_not_a_video_is_told_and_the_conversation_goes_on(chat, capsys, tmp_path):
    (tmp_path / "text.mp4").write_text("no video at all")
    with pytest.raises(VideoError):
        chat.hear("text.mp4 What is it?")
    assert said(chat, capsys, "Hello") == "1 turns, 0 videos."


def test_quit_and_the_end_of_the_input_both_end_it(tmp_path, monkeypatch, capsys):
    checkpoint = tiny.make_checkpoint(tmp_path / "tiny")
    for lines in ("Hello\n/video nowhere.mp4\n/what\n/quit\nnever\n", "Hello\n"):
        monkeypatch.setattr("sys.stdin", io.StringIO(lines))
        assert main(["chat", "--config", str(checkpoint), "--max-tokens", "4"]) == 0
        out, err = capsys.readouterr()
        assert len(out.strip().splitlines()) == 1
        assert ("There is no file 'nowhere.mp4'" in err) == ("nowhere" in lines)
