"""How fast the server is on this machine: one command, a table on stderr and one JSON object on stdout.

    python benchmarks/speed.py [--config FILE] [--rounds N] [--cores N] > speed.json

It starts the real server as a process of its own and talks to it as any client does.

    start ── page answers ── ready ── a question about a posted clip ── a drawing asked for in words ── stop
                                      first word                        first progress, step, video
                                                                        the same as a job, without the words

Every clip is new, so nothing is in a cache; the first round warms up and does not count. Figures are medians.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import openai
from numpy.typing import NDArray

import gpt4video
from gpt4video.video import encode_mp4

PATIENCE = 300.0
"""Seconds after which a server that is not ready is given up."""
QUESTION = "What color is the circle?"
WISH = "Draw a red circle moving to the left."
PROMPT = "a red circle moving to the left"


@dataclass(frozen=True)
class Measure:
    """One line of the table."""

    what: str
    """In words."""
    unit: str
    """s or GB."""
    bar: float
    """What it should stay under on 2 cores."""


MEASURES = {
    "page": Measure("the page answers after the start", "s", 3.0),
    "ready": Measure("/ready after the start", "s", 20.0),
    "first_word": Measure("first word about a posted 2-second clip", "s", 0.7),
    "chat_progress": Measure("asked in words to draw: first progress event", "s", 0.5),
    "chat_step": Measure("asked in words to draw: first step drawn", "s", 0.5),
    "chat_video": Measure("asked in words to draw: the video", "s", 4.0),
    "job_progress": Measure("a /v1/videos job: first progress event", "s", 0.5),
    "job_step": Measure("a /v1/videos job: first step drawn", "s", 0.5),
    "job_video": Measure("a /v1/videos job: the video", "s", 4.0),
    "memory": Measure("resident memory at the end", "GB", 2.0),
    "memory_peak": Measure("resident memory at its most", "GB", 2.0),
}


def main() -> int:
    """Measure and print; 1 where the server does not come up."""
    parser = argparse.ArgumentParser(description="Measure how fast the server is on this machine.")
    parser.add_argument("--config", metavar="FILE", help="a config or checkpoint (default: the embedded one)")
    parser.add_argument("--rounds", type=int, default=5, help="times each is measured (default %(default)s)")
    parser.add_argument("--cores", type=int, help="let the server use only so many cores (Linux)")
    args = parser.parse_args()
    os.environ["NO_PROXY"] = "127.0.0.1"
    found: dict[str, list[float]] = {name: [] for name in MEASURES}
    try:
        measure(found, args.config, args.cores, args.rounds)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    measures = {name: summary(MEASURES[name], values) for name, values in found.items()}
    print(table(measures), file=sys.stderr)
    print(json.dumps({"machine": machine(args.cores), "measures": measures}))
    return 0


def measure(found: dict[str, list[float]], config: str | None, cores: int | None, rounds: int) -> None:
    """Start a server, ask it everything, and put each figure into `found`."""
    with server(config, cores) as (url, process, began):
        found["page"] = [until(process, began, lambda: answers(url))]
        found["ready"] = [until(process, began, lambda: ready(url))]
        with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=120) as client:
            for i in range(rounds + 1):
                kept = found if i else {name: [] for name in MEASURES}  # round 0 warms up
                note(kept, "first_word", first_word(client, clip(i)))
                for name, times in (("chat", chat_drawing(client, seed=i)), ("job", job(url, seed=i))):
                    for what, seconds in times.items():
                        note(kept, f"{name}_{what}", seconds)
        found["memory"], found["memory_peak"] = memory(process.pid)


@contextmanager
def server(config: str | None, cores: int | None) -> Iterator[tuple[str, subprocess.Popen[bytes], float]]:
    """A server on a free port: its address, its process, and when it was started."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "server.cli", "serve", "--port", str(port)]
    if config is not None:
        command += ["--config", config]
    pin: Callable[[], None] | None = None
    if cores is not None:
        chosen = sorted(os.sched_getaffinity(0))[:cores]
        pin = lambda: os.sched_setaffinity(0, chosen)  # noqa: E731
    with tempfile.TemporaryFile() as log:
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=pin)
        try:
            yield f"http://127.0.0.1:{port}", process, began
        except Exception:
            log.seek(0)
            print(log.read().decode(errors="replace")[-3000:], file=sys.stderr)
            raise
        finally:
            process.terminate()
            process.wait(30)


def until(process: subprocess.Popen[bytes], began: float, there: Callable[[], bool]) -> float:
    """Seconds since `began` when `there()` holds for the first time."""
    while not there():
        if process.poll() is not None:
            raise RuntimeError(f"The server ended with status {process.returncode}.")
        if time.monotonic() - began > PATIENCE:
            raise RuntimeError(f"The server was not ready after {PATIENCE:.0f} s.")
        time.sleep(0.02)
    return time.monotonic() - began


def answers(url: str) -> bool:
    """Whether this address says 200."""
    try:
        return httpx2.get(url, timeout=30).status_code == 200
    except httpx2.TransportError:
        return False


def ready(url: str) -> bool:
    """Whether the model is loaded. Raises `RuntimeError` where it never will be."""
    if answers(f"{url}/ready"):
        return True
    if not answers(f"{url}/health"):
        raise RuntimeError("The server could not load its model.")
    return False


def clip(number: int) -> bytes:
    """An mp4 of 2 seconds, 320x240 at 16 frames a second: a disc on its way. Another number, other bytes."""
    height, width, count = 240, 320, 32
    y, x = np.mgrid[:height, :width]
    frames: NDArray[np.uint8] = np.full((count, height, width, 3), 235, np.uint8)
    for t, frame in enumerate(frames):
        inside = (x - 40 - 7 * t) ** 2 + (y - 60 - 20 * (number % 7)) ** 2 < 30**2
        frame[inside] = (220, 40 + number % 100, 40)
    return encode_mp4(frames, 16.0)


def first_word(client: openai.OpenAI, video: bytes) -> float | None:
    """Seconds from sending a clip and a question to the first word of the answer; None where none came."""
    data = f"data:video/mp4;base64,{base64.b64encode(video).decode()}"
    parts: list[Any] = [
        {"type": "video_url", "video_url": {"url": data}},
        {"type": "text", "text": QUESTION},
    ]
    sent = time.monotonic()
    first: float | None = None
    messages: list[Any] = [{"role": "user", "content": parts}]
    for chunk in client.chat.completions.create(
        model="gpt4video", messages=messages, stream=True, max_tokens=64
    ):
        if first is None and chunk.choices and chunk.choices[0].delta.content:
            first = time.monotonic() - sent
    return first


REACHED: dict[str, Callable[[dict[str, Any]], bool]] = {
    "progress": lambda video: video["status"] != "queued",
    "step": lambda video: video["progress"] > 0,
    "video": lambda video: video["status"] == "completed",
}
"""How a video object tells that a drawing has begun, that its first step is done, and that it is there."""


def reached(times: dict[str, float], video: dict[str, Any], sent: float) -> None:
    """Note the seconds since `sent` of all that this video object is the first to tell."""
    for what, is_so in REACHED.items():
        if video["status"] != "failed" and is_so(video):
            times.setdefault(what, time.monotonic() - sent)


def chat_drawing(client: openai.OpenAI, seed: int) -> dict[str, float]:
    """Seconds from asking for a drawing in words to each of `REACHED`."""
    sent = time.monotonic()
    times: dict[str, float] = {}
    messages: list[Any] = [{"role": "user", "content": WISH}]
    for chunk in client.chat.completions.create(
        model="gpt4video", messages=messages, stream=True, max_tokens=64, extra_body={"video": {"seed": seed}}
    ):
        extra = chunk.choices[0].delta.model_extra if chunk.choices else None
        if video := (extra or {}).get("video"):
            reached(times, video, sent)
    return times


def job(url: str, seed: int) -> dict[str, float]:
    """Seconds from posting a drawing job to each of `REACHED`."""
    times: dict[str, float] = {}
    with httpx2.Client(base_url=f"{url}/v1", timeout=120) as client:
        sent = time.monotonic()
        video = client.post("/videos", json={"prompt": PROMPT, "seed": seed}).json()
        while video.get("status") in ("queued", "in_progress"):
            time.sleep(0.01)
            video = client.get(f"/videos/{video['id']}").json()
            reached(times, video, sent)
    return times


def memory(pid: int) -> tuple[list[float], list[float]]:
    """Resident memory of a process now and at its most, in GB; nothing where the system does not tell."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        now, most = (int(fields[name].split()[0]) * 1024 / 1e9 for name in ("VmRSS", "VmHWM"))
        return [now], [most]
    told = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return [int(told.stdout) * 1024 / 1e9] if told.stdout.strip() else [], []


def note(found: dict[str, list[float]], name: str, value: float | None) -> None:
    """Keep a value, if it was measured."""
    if value is not None:
        found[name].append(value)


def summary(measure: Measure, values: list[float]) -> dict[str, Any]:
    """Median and worst of some values; None where nothing came to be measured."""
    return {
        "value": round(statistics.median(values), 3) if values else None,
        "worst": round(max(values), 3) if values else None,
        "n": len(values),
        "unit": measure.unit,
        "bar": measure.bar,
        "kept": max(values) <= measure.bar if values else None,
    }


def machine(cores: int | None) -> dict[str, Any]:
    """What these figures are figures of."""
    return {
        "platform": platform.platform(),
        "cores": cores or os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "gpt4video": gpt4video.__version__,
    }


def table(measures: dict[str, dict[str, Any]]) -> str:
    """The measures for people, as Markdown."""
    words = {True: "yes", False: "no", None: "-"}
    lines = ["| measure | median | worst | at most | kept |", "|---|---|---|---|---|"]
    for name, found in measures.items():
        unit = found["unit"]
        value, worst = (f"{found[k]:.2f} {unit}" if found[k] is not None else "-" for k in ("value", "worst"))
        what, bar = MEASURES[name].what, f"{found['bar']:g} {unit}"
        lines.append(f"| {what} | {value} | {worst} | {bar} | {words[found['kept']]} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
