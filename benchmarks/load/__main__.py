"""The server under load for some minutes: one command, a table on stderr and one JSON object on stdout.

    python -m benchmarks.load --locust FILE [--minutes N] [--chats N] [--drawers N] > load.json

    overhead   the same questions to the library and, over HTTP, a server around the same assistant, in turns
    load       the real server in a process of its own; Locust asks, draws and counts; memory over time

Locust brings a world of its own (gevent), so it has an environment of its own; `--locust` is its program:

    uv venv /somewhere && uv pip install --python /somewhere/bin/python 'gpt4video[load]'
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import numpy as np

from benchmarks.load.client import client
from gpt4video.messages import SamplingParams, user
from gpt4video.video import Clip, encode_mp4, open_video

QUESTION = "Describe the video."
OVERHEAD_BAR = 0.05
"""What the server may add to the library's own time."""
GROWTH_BAR = 0.05
"""How much the memory's last quarter may lie over its second, as a part; the first warms caches up."""
PATIENCE = 600.0
"""Seconds after which a server that is not ready is given up."""


def clip(number: int = 0) -> bytes:
    """A red circle that moves to the left, two seconds of it; another number is another file."""
    frames = np.full((16, 64, 64, 3), 255, np.uint8)
    y, x = np.mgrid[:64, :64]
    for i, frame in enumerate(frames):
        frame[(x - 52 + 2.5 * i) ** 2 + (y - 32) ** 2 < 100] = (220, 30, 30)
        frame[number // 64 % 64, : number % 64] -= 8
    return encode_mp4(frames, 8.0)


def overhead(config: str | None, rounds: int) -> dict[str, dict[str, float]]:
    """Medians of the library and of the server around the same assistant, asked in turns.

    question        about a video that both have at hand: what HTTP costs
    first question  about one that neither has seen; the server reads it in a confined process

    The library has one event loop of the server's kind: a new one for each question would cost it 1 % more.
    """
    from server.app import create_app
    from server.cli import loader
    from server.process import Server

    assistant = loader(config)()
    server = Server(create_app(assistant))
    server.config.port = 0
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.05)
    address = server.servers[0].sockets[0].getsockname()
    url = f"http://127.0.0.1:{address[1]}"
    data = clip()
    params = SamplingParams()
    posted = open_video(data, assistant.encoder.sampling)  # the server keeps decoded clips, too

    async def ask(video: Clip | bytes) -> int:
        last: Any = None
        if isinstance(video, bytes):
            video = await asyncio.to_thread(open_video, video, assistant.encoder.sampling)
        async for event in assistant.respond((user(video, QUESTION),), params, allow_video=False):
            last = event
        return int(last.usage.completion_tokens)

    posting = httpx2.post(f"{url}/v1/files", files={"file": data}, timeout=PATIENCE, trust_env=False)
    file = posting.raise_for_status().json()["id"]
    parts = [{"type": "file", "file": {"file_id": file}}, {"type": "text", "text": QUESTION}]
    body = json.dumps({"messages": [{"role": "user", "content": parts}], "modalities": ["text"]})
    again = _post("/v1/chat/completions", "application/json", body.encode())
    times: dict[str, list[tuple[float, float]]] = {"question": [], "first question": []}
    loop = asyncio.Runner(loop_factory=server.config.get_loop_factory())
    with client(address, PATIENCE) as http, loop as runner:
        tokens = 0
        # One kind after the other: what is asked right after something else finds colder caches.
        for name in times:
            for turn in range(rounds + 2):
                new = name == "first question"
                video = clip(2 * turn + 1) if new else posted
                request = _form(clip(2 * turn + 2)) if new else again
                began = time.perf_counter()
                tokens = runner.run(ask(video))
                library = time.perf_counter() - began
                served, answer = http.ask(request)
                assert answer.startswith(b"HTTP/1.1 200"), "a question without fault has an answer"
                if turn >= 2:  # the first two fill the caches
                    times[name].append((library, served))
    server.should_exit = True
    gc.unfreeze()  # as `serve` does at its end
    told: dict[str, dict[str, float]] = {}
    for name, pairs in times.items():
        library, served = (statistics.median(pair[k] for pair in pairs) for k in (0, 1))
        told[name] = {"library": library, "server": served, "part": served / library - 1, "tokens": tokens}
    return told


def _post(path: str, media_type: str, body: bytes) -> bytes:
    """A request as it goes over the wire."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media_type}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _form(video: bytes) -> bytes:
    """The question to `/v1/ask`, with a video."""
    request = httpx2.Request("POST", "http://localhost", files={"video": video}, data={"question": QUESTION})
    return _post("/v1/ask", request.headers["content-type"], request.read())


@contextmanager
def serving(config: str | None, folder: Path) -> Iterator[tuple[str, int]]:
    """The real server in a process of its own: its address, once it is ready, and its process's id."""
    command = [sys.executable, "-m", "server.cli", "serve", "--port", "0", "--data", str(folder)]
    if config:
        command += ["--config", config]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None, "it was asked for"
    try:
        url = process.stderr.readline().split()[3]
        threading.Thread(target=lambda: sys.stderr.writelines(process.stderr or ()), daemon=True).start()
        end = time.monotonic() + PATIENCE
        while httpx2.get(f"{url}/ready", timeout=60, trust_env=False).status_code != 200:
            if time.monotonic() > end or process.poll() is not None:
                raise SystemExit("The server did not become ready.")
            time.sleep(0.5)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait(120)


def resident(pid: int) -> int:
    """Resident memory of a process, in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def load(args: argparse.Namespace) -> dict[str, Any]:
    """Figures of all clients, their faults, and the server's memory over time."""
    with tempfile.TemporaryDirectory() as place, serving(args.config, Path(place) / "data") as (url, pid):
        files = {"file": clip()}
        file = httpx2.post(f"{url}/v1/files", files=files, timeout=60, trust_env=False).json()["id"]
        report = Path(place) / "report.json"
        users = args.chats + args.drawers
        plan = {
            "locustfile": Path(__file__).parent / "locustfile.py",
            "host": url,
            "users": users,
            "spawn-rate": users,
            "run-time": f"{round(60 * args.minutes)}s",
            "stop-timeout": 120,
        }
        options = [word for name, value in plan.items() for word in (f"--{name}", str(value))]
        command = [args.locust, "--headless", "--only-summary", "--skip-log-setup", *options]
        more = {"LOAD_FILE": file, "LOAD_REPORT": str(report), "LOAD_DRAWERS": str(args.drawers)}
        # What went wrong is in the report; Locust's own status only says whether something did.
        clients = subprocess.Popen(command, env={**os.environ, **more}, stdout=subprocess.DEVNULL)
        memory = []
        try:
            while clients.poll() is None:
                memory.append(resident(pid))
                time.sleep(2)
        finally:
            clients.kill()
        told: dict[str, Any] = json.loads(report.read_text())
        quarter = max(1, len(memory) // 4)
        early = statistics.median(memory[quarter : 2 * quarter] or memory)
        late = statistics.median(memory[-quarter:])
        told["memory"] = {"early": early, "late": late, "most": max(memory), "growth": late / early - 1}
        return told


def main() -> int:
    """Run both, tell, and give 1 where a bar was missed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.load", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--locust", default="locust", help="the program (default: the one on the PATH)")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--chats", type=int, default=64, help="chats at the same time")
    parser.add_argument("--drawers", type=int, default=4, help="clients that draw at the same time")
    parser.add_argument("--rounds", type=int, default=200, help="questions to the library and to the server")
    parser.add_argument("--config", help="a config or checkpoint (default: the embedded model)")
    args = parser.parse_args()
    # Told to stop, it takes the server and the clients with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    told = {"overhead": overhead(args.config, args.rounds), **load(args)}
    print(json.dumps(told))
    bars = {
        "no error but 429 and 503": not told["faults"] and "CHAT first token" in told["figures"],
        f"memory grows by less than {GROWTH_BAR:.0%}": told["memory"]["growth"] < GROWTH_BAR,
        f"the server adds less than {OVERHEAD_BAR:.0%}": told["overhead"]["question"]["part"] < OVERHEAD_BAR,
    }
    lines = ["| what | requests | p50 | p95 | p99 |", "|---|---|---|---|---|"]
    for name, figure in told["figures"].items():
        lines.append(
            f"| {name} | {figure['requests']} | "
            + " | ".join(f"{figure[p]:.3f} s" for p in ("p50", "p95", "p99"))
            + " |"
        )
    lines += [
        *(
            f"{name}: library {t['library']:.4f} s, server {t['server']:.4f} s: {t['part']:+.1%}"
            for name, t in told["overhead"].items()
        ),
        f"memory {told['memory']['early'] / 1e9:.2f} GB early, {told['memory']['late'] / 1e9:.2f} GB late, "
        f"{told['memory']['most'] / 1e9:.2f} GB at most: {told['memory']['growth']:+.1%}",
        *told["faults"],
        *(f"{'kept' if kept else 'MISSED'}: {bar}" for bar, kept in bars.items()),
    ]
    print("\n".join(lines), file=sys.stderr)
    return 0 if all(bars.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
