"""Whether hostile posts leave anything behind: the server's memory over many of them, as one JSON object.

    python benchmarks/untrusted.py [--posts 1000] > untrusted.json

It starts the real server as a process of its own and posts playlists, bombs and damaged files, in turn as
files and in chats (`tests/video/hostile.py` makes them). The first tenth warms up; memory is the resident
size (RSS) of the server's process and of its warm decode worker, in MiB, told ten times on the way.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "video"))

import hostile  # noqa: E402


def main() -> None:
    """Post, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--posts", type=int, default=1000, help="how many files are posted")
    posts = parser.parse_args().posts
    command = [sys.executable, "-m", "server.cli", "serve", "--port", "0"]
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        try:
            assert server.stderr is not None, "a pipe was asked for"
            url = next(word for word in server.stderr.readline().split() if word.startswith("http"))
            with httpx2.Client(base_url=url, timeout=300) as http:
                print(json.dumps(measured(http, server.pid, Path(folder), posts), indent=1))
        finally:
            server.terminate()
            server.wait(60)


def measured(http: httpx2.Client, server: int, folder: Path, posts: int) -> dict[str, Any]:
    """What was answered, and the memory on the way."""
    while http.get("/ready").status_code != 200:
        time.sleep(0.5)
    answers: Counter[str] = Counter()
    sizes: list[dict[str, float]] = []
    began = time.monotonic()
    for number, data in enumerate(files(folder, posts), 1):
        response = post(http, data, as_file=number % 2 == 0)
        if response.status_code >= 500:
            raise RuntimeError(f"post {number} was answered {response.status_code}")
        answers["read" if response.is_success else response.json()["error"]["code"]] += 1
        if number % (posts // 10) == 0:
            sizes.append({"posts": number, **resident(server)})
            print(sizes[-1], file=sys.stderr)
    warm, last = sizes[0], sizes[-1]
    return {
        "posts": posts,
        "seconds": round(time.monotonic() - began, 1),
        "answers": dict(answers),
        "memory_mib": sizes,
        "growth_mib": {name: round(last[name] - warm[name], 1) for name in ("server", "worker")},
    }


def files(folder: Path, posts: int) -> Iterator[bytes]:
    """Playlists and bombs once in a while, damaged files in between; none of these twice."""
    rng = random.Random(0)
    canary = folder / "canary"
    canary.write_text("secret")
    made = [*hostile.playlists("http://127.0.0.1:9/x.ts", canary).values()]
    made += [data for data, _ in hostile.bombs(folder).values()]
    whole = [*hostile.corpus(folder).values()]
    for number in range(posts):
        if number % 4 == 0:
            yield made[number // 4 % len(made)]
            continue
        data = bytearray(rng.choice(whole))
        for _ in range(rng.randint(1, 30)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        yield bytes(data[: rng.randint(len(data) // 2, len(data))])


def post(http: httpx2.Client, data: bytes, *, as_file: bool) -> httpx2.Response:
    """One file; what was kept of it is deleted again."""
    if as_file:
        response = http.post(
            "/v1/files", data={"purpose": "vision"}, files={"file": ("a.mp4", data, "video/mp4")}
        )
        if response.is_success:
            http.delete(f"/v1/files/{response.json()['id']}")
        return response
    video = {"type": "video_url", "video_url": {"url": "data:;base64," + base64.b64encode(data).decode()}}
    content = [video, {"type": "text", "text": "What?"}]
    body = {"messages": [{"role": "user", "content": content}], "max_tokens": 1}
    return http.post("/v1/chat/completions", json=body)


def resident(server: int) -> dict[str, float]:
    """Resident size of the server and of its children (the decode worker), in MiB."""
    threads = Path(f"/proc/{server}/task").iterdir()
    children = sorted({pid for thread in threads for pid in (thread / "children").read_text().split()})
    return {"server": _rss(server), "worker": sum(_rss(int(pid)) for pid in children)}


def _rss(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    kib = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
    return round(kib / 1024, 1)


if __name__ == "__main__":
    main()
