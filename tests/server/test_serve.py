"""`gpt4video serve` as a command."""

import signal
import socket
import subprocess
import sys
import time

import httpx2
from web_stand_ins import until

from server.cli import loader, main


def test_a_config_that_is_not_there_is_one_line_and_status_2(capsys):
    assert main(["serve", "--config", "nowhere.yaml"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_options_are_told(capsys):
    assert main(["serve", "--help"]) == 0
    told = capsys.readouterr().out
    assert all(option in told for option in ("--config", "--host", "--port", "127.0.0.1", "8000"))


def test_a_way_to_load_imports_nothing_heavy():
    code = (
        "import sys, server.app; from server.cli import loader; loader(None); print('torch' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False"
    assert callable(loader(None))


def test_the_page_is_there_soon_after_the_start_and_ends_on_a_signal(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    # An empty folder is no checkpoint: the model cannot load, the page is there all the same.
    command = [sys.executable, "-m", "server.cli", "serve", "--port", str(port), "--config", str(tmp_path)]
    began = time.monotonic()
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:

        def there():
            try:
                return httpx2.get(f"http://127.0.0.1:{port}/").status_code == 200
            except httpx2.TransportError:
                return False

        until(there, 15)
        print(f"the page answered after {time.monotonic() - began:.1f} s")
        process.send_signal(signal.SIGINT)
        process.wait(10)
    finally:
        process.kill()
