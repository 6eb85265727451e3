"""What the load test's clients do; Locust runs this file, in an environment of its own.

    Chatter    asks about one posted video, streaming; then asks again
    Drawer     asks for a drawing, looks until it is there, fetches it; then asks again

Being turned away (429 or 503 with Retry-After) is no failure: the client waits as it was told. Everything
else that is not as it should be is one. The figures go into the file that LOAD_REPORT names.
"""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path
from typing import Any

from locust import HttpUser, constant, events, task

QUESTIONS = (
    "What color is the circle?",
    "Which way does it move?",
    "Describe the video.",
    "How many shapes are there?",
)
PROMPTS = ("a red circle moving left", "a blue square moving up", "a green star that spins")
FILE = os.environ.get("LOAD_FILE", "")
TURNED_AWAY = (429, 503)
LONGEST = 300.0
"""Seconds after which a drawing is given up, which is a failure."""


def fire(environment: Any, kind: str, name: str, seconds: float, error: Exception | None = None) -> None:
    """One figure for the table."""
    environment.events.request.fire(
        request_type=kind, name=name, response_time=1000 * seconds, response_length=0, exception=error
    )


class Client(HttpUser):
    """What both have in common."""

    abstract = True
    wait_time = constant(0)

    def turned_away(self, response: Any, began: float) -> bool:
        """Whether there was no room; waits as long as the server said."""
        if response.status_code not in TURNED_AWAY or "retry-after" not in response.headers:
            return False
        fire(self.environment, "TURNED AWAY", str(response.status_code), time.monotonic() - began)
        response.success()
        time.sleep(float(response.headers["retry-after"]) * random.uniform(1, 1.5))
        return True


class Chatter(Client):
    """A person with a video and questions."""

    @task
    def ask(self) -> None:
        """One streamed answer: first word, the time between words, the whole."""
        parts = [
            {"type": "file", "file": {"file_id": FILE}},
            {"type": "text", "text": random.choice(QUESTIONS)},
        ]
        body = {"messages": [{"role": "user", "content": parts}], "stream": True, "modalities": ["text"]}
        began = time.monotonic()
        with self.client.post(
            "/v1/chat/completions", json=body, stream=True, catch_response=True
        ) as response:
            if response.status_code != 200:
                if not self.turned_away(response, began):
                    response.failure(f"{response.status_code}: {response.text[:200]}")
                return
            pieces: list[float] = []
            reason, done = None, False
            for line in response.iter_lines():
                data = (line.decode() if isinstance(line, bytes) else line).removeprefix("data: ")
                if data == "[DONE]":
                    done = True
                elif data.startswith("{"):
                    chunk = json.loads(data)
                    if "error" in chunk:
                        response.failure(chunk["error"]["message"])
                        return
                    for choice in chunk["choices"]:
                        reason = choice["finish_reason"] or reason
                        if choice["delta"].get("content"):
                            pieces.append(time.monotonic())
            if not (done and pieces and reason):
                response.failure("The stream ended without an answer.")
                return
            response.success()
        fire(self.environment, "CHAT", "first token", pieces[0] - began)
        fire(self.environment, "CHAT", "whole answer", pieces[-1] - began)
        if len(pieces) > 1:
            fire(self.environment, "CHAT", "per token", (pieces[-1] - pieces[0]) / (len(pieces) - 1))


class Drawer(Client):
    """A person with wishes."""

    fixed_count = int(os.environ.get("LOAD_DRAWERS", "4"))

    @task
    def draw(self) -> None:
        """One job, from its creation to its file."""
        began = time.monotonic()
        form = {"prompt": random.choice(PROMPTS)}
        with self.client.post("/v1/videos", json=form, catch_response=True) as response:
            if response.status_code != 200:
                if not self.turned_away(response, began):
                    response.failure(f"{response.status_code}: {response.text[:200]}")
                return
            video = response.json()
        while video["status"] in ("queued", "in_progress"):
            if time.monotonic() - began > LONGEST:
                fire(self.environment, "DRAWING", "whole drawing", LONGEST, RuntimeError("It did not end."))
                return
            time.sleep(1)
            with self.client.get(
                f"/v1/videos/{video['id']}", name="/v1/videos/{id}", catch_response=True
            ) as looked:
                if looked.status_code != 200:
                    if not self.turned_away(looked, began):
                        looked.failure(f"{looked.status_code}: {looked.text[:200]}")
                    continue
                video = looked.json()
        error = None if video["status"] == "completed" else RuntimeError(str(video["error"]))
        fire(self.environment, "DRAWING", "whole drawing", time.monotonic() - began, error)
        self.client.get(f"/v1/videos/{video['id']}/content", name="/v1/videos/{id}/content")
        self.client.delete(f"/v1/videos/{video['id']}", name="/v1/videos/{id}")


@events.quitting.add_listener
def report(environment: Any, **_: Any) -> None:
    """Write every figure down."""
    told = {
        f"{kind} {name}": {
            "requests": entry.num_requests,
            "failures": entry.num_failures,
            **{f"p{p}": entry.get_response_time_percentile(p / 100) / 1000 for p in (50, 95, 99)},
        }
        for (name, kind), entry in environment.stats.entries.items()
        if entry.num_requests
    }
    faults = [f"{fault.method} {fault.name}: {fault.error}" for fault in environment.stats.errors.values()]
    faults += [raised["msg"] for raised in environment.runner.exceptions.values()]
    Path(os.environ["LOAD_REPORT"]).write_text(json.dumps({"figures": told, "faults": faults}))
