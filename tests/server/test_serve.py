"""`gpt4video serve` as a command."""

import json
import re
import signal
import socket
import subprocess
import sys
import time

import httpx2
import pytest
from web_stand_ins import until

from gpt4video.checkpoint import EMBEDDED
from server.cli import loader, main


def refusal(capsys, *words):
    """The one line that `serve` with these options says before it gives up."""
    assert main(["serve", *words]) == 2
    [line] = capsys.readouterr().err.splitlines()
    return line


DESCRIPTIONS = {
    "nothing in it": ({}, "has no assistant.yaml"),
    "a misspelt field": ({"generatoin": {"kind": "none"}}, "Did you mean 'generation'?"),
    "a part left out": ({"understanding": {}}, "has no 'generation'"),
    "a base that is not there": ({"checkpoint": "nowhere"}, "There is no config 'nowhere'"),
    "another format": ({"format_version": 2}, "format_version must be 1"),
}


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_a_config_that_cannot_be_served_is_one_line_and_status_2(capsys, tmp_path, name):
    description, said = DESCRIPTIONS[name]
    if description:
        (tmp_path / "assistant.yaml").write_text(json.dumps(description))
    assert said in refusal(capsys, "--config", str(tmp_path))
    assert "There is no config" in refusal(capsys, "--config", "nowhere.yaml")


def test_an_address_that_cannot_be_had_is_one_line_and_status_2(capsys):
    for port in ("99999", "-1", "eighty"):
        assert "must be 0 to 65535" in refusal(capsys, "--port", port)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"port {port}: Address already in use." in refusal(capsys, "--port", port)
    assert "Cannot listen on 203.0.113.1" in refusal(
        capsys, "--host", "203.0.113.1", "--port", "0", "--allow-anonymous"
    )


def test_the_options_are_told(capsys):
    assert main(["serve", "--help"]) == 0
    told = capsys.readouterr().out
    options = ("--config", "--host", "--port", "--decoder {pyav,decord}", "--unconfined-decoding")
    assert all(told_of in told for told_of in (*options, "127.0.0.1", "8000", "default pyav"))
    assert "--decoder: invalid choice: 'opencv'" in refusal(capsys, "--decoder", "opencv")


def test_a_way_to_load_imports_nothing_heavy():
    code = (
        "import sys, server.app; from server.cli import loader; loader(None); print('torch' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False"
    assert callable(loader(None))


def test_the_page_is_there_soon_after_the_start_and_ends_on_a_signal(tmp_path):
    # A description without its folders: the model cannot load, the page is there all the same.
    (tmp_path / "assistant.yaml").write_bytes((EMBEDDED / "assistant.yaml").read_bytes())
    command = [sys.executable, "-m", "server.cli", "serve", "--port", "0", "--config", str(tmp_path)]
    began = time.monotonic()
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        url = re.match(r"gpt4video is on (http://127\.0\.0\.1:\d+) ", process.stderr.readline())[1]
        assert httpx2.get(url, timeout=30).status_code == 200
        print(f"the page answered after {time.monotonic() - began:.1f} s")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    finally:
        process.kill()


@pytest.mark.slow  # loads the whole model in a process of its own
def test_a_start_says_where_it_is_and_when_it_is_ready_and_nothing_else():
    command = [sys.executable, "-m", "server.cli", "serve", "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        url = process.stderr.readline().split()[3]
        until(lambda: httpx2.get(f"{url}/ready", timeout=30).status_code == 200, 120)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20)[1].splitlines() == ["INFO: The model is loaded."]
    finally:
        process.kill()
