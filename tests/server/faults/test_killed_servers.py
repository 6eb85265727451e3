"""`kill -9` at any moment: every job ends with one result or one error; nothing is lost or left behind."""

from __future__ import annotations

import json
import signal
import threading

import httpx2
import pytest
from fault_ground import until


def test_jobs_that_wait_and_the_one_that_is_drawn_outlive_their_server(ground):
    ground.hold("drawing")
    first = ground.start("first")
    ids = [first.ask() for _ in range(3)]
    until(lambda: first.status(ids[0]) == "in_progress", "the first drawing")
    first.kill()
    ground.let_go("drawing")
    second = ground.start("second")
    until(lambda: second.finished(ids), "the end of all jobs")
    rows = ground.check(ids)
    assert {row["status"] for row in rows.values()} == {"completed"}
    assert [rows[id]["attempts"] for id in ids] == [2, 1, 1]


def test_a_server_killed_between_the_bytes_and_the_record_leaves_one_result(ground):
    ground.hold("storing")
    first = ground.start("first")
    id = first.ask()
    until((ground.steering / "storing").exists, "the storing")
    first.kill()
    ground.let_go("storing")
    second = ground.start("second")
    until(lambda: second.finished([id]), "the end of the job")
    assert (ground.drawn_by("first"), ground.drawn_by("second")) == (1, 1)
    assert ground.check([id])[id]["status"] == "completed"


def test_a_server_that_lost_its_lease_publishes_nothing(ground):
    ground.hold("storing")
    first = ground.start("first")
    id = first.ask()
    until((ground.steering / "storing").exists, "the storing")
    first.process.send_signal(signal.SIGSTOP)  # it is away for longer than its lease
    ground.let_go("storing")
    second = ground.start("second")
    until(lambda: second.finished([id]), "the end of the job")
    done = second.http.get(f"/v1/videos/{id}/content").content
    first.process.send_signal(signal.SIGCONT)
    until(first.answers, "the first server's return")
    assert second.http.get(f"/v1/videos/{id}/content").content == done
    other = first.ask()
    until(lambda: first.finished([other]), "the next job")
    ground.check([id, other])


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_two_servers_draw_what_a_killed_one_had_queued(ground, kind, request):
    if kind == "postgresql":
        ground.database_url = request.getfixturevalue("postgres_url")
    ground.hold("drawing")
    dead = ground.start("dead")
    ids = [dead.ask(f"video {i}") for i in range(20)]
    until(lambda: dead.status(ids[0]) == "in_progress", "the first drawing")
    dead.kill()
    two = [ground.start(name) for name in ("one", "two")]
    ground.let_go("drawing")
    until(lambda: two[0].finished(ids), "the end of all jobs")
    rows = ground.check(ids)
    assert {row["status"] for row in rows.values()} == {"completed"}
    assert ground.drawn_by("one") + ground.drawn_by("two") == 20
    assert min(ground.drawn_by("one"), ground.drawn_by("two")) > 0


def test_cancelling_and_deleting_reach_the_server_that_draws(ground):
    ground.hold("drawing")
    drawing = ground.start("drawing")
    first, second = drawing.ask(), drawing.ask()
    until(lambda: drawing.status(first) == "in_progress", "the first drawing")
    other = ground.start("other")
    assert other.http.delete(f"/v1/videos/{first}").json()["deleted"]
    until(lambda: drawing.status(second) == "in_progress", "the next drawing, by whichever server")
    ground.let_go("drawing")
    until(lambda: other.finished([second]), "the end of the second job")
    ground.check([second])


def test_a_video_of_a_chat_fails_with_its_server(ground):
    ground.hold("drawing")
    first = ground.start("first")
    told: list[dict] = []

    def chat() -> None:
        body = {"messages": [{"role": "user", "content": "Draw a red circle"}], "stream": True}
        try:
            with first.http.stream("POST", "/v1/chat/completions", json=body) as stream:
                for line in stream.iter_lines():
                    if '"video":{' in line:
                        told.append(json.loads(line[6:])["choices"][0]["delta"]["video"])
        except httpx2.TransportError:
            pass

    thread = threading.Thread(target=chat)
    thread.start()
    until(lambda: told and told[-1]["status"] == "in_progress", "the drawing")
    first.kill()
    thread.join()
    id = told[-1]["id"]
    second = ground.start("second")
    until(lambda: second.finished([id]), "the end of the record")
    assert ground.check([id])[id]["error"]["code"] == "interrupted"


def test_a_server_that_ends_in_order_gives_its_job_to_the_next_at_once(ground):
    ground.hold("drawing")
    first = ground.start("first", lease_seconds=600.0)
    id = first.ask()
    until(lambda: first.status(id) == "in_progress", "the drawing")
    first.process.send_signal(signal.SIGTERM)
    first.process.wait(60)
    ground.let_go("drawing")
    second = ground.start("second", lease_seconds=600.0)
    until(lambda: second.finished([id]), "the end of the job")
    assert ground.check([id])[id]["attempts"] == 1
