"""The process that decodes is killed: its file is refused, the next is read, and the server is well."""

from __future__ import annotations

import os
import signal
import threading
import time

import httpx2
from web_stand_ins import make_assistant, mp4_of, running

from server.app import create_app
from server.settings import Settings

PATIENCE = 60


def test_a_killed_decoder_costs_one_request_at_most_and_the_server_is_well(red):
    app = create_app(make_assistant(), Settings(decode_threads=1, decode_seconds=3600))
    with running(app) as url, httpx2.Client(base_url=url, timeout=PATIENCE) as http:

        def ask(video):
            return http.post("/v1/ask", files={"video": video}, data={"question": "Which colour?"})

        assert ask(mp4_of("blue")).json()["answer"] == "The video is blue."
        decoder = app.state.service.clips._sandbox.process
        os.kill(decoder, signal.SIGSTOP)  # so that the next request is surely in its hands
        answers = []
        asking = threading.Thread(target=lambda: answers.append(ask(red)))
        asking.start()
        time.sleep(0.5)
        os.kill(decoder, signal.SIGKILL)
        asking.join(PATIENCE)
        [refused] = answers
        if refused.status_code != 200:  # another decoder may have taken the file over
            assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_video")
        assert ask(mp4_of("green")).json()["answer"] == "The video is green."
        assert ask(red).json()["answer"] == "The video is red."
        assert http.get("/health").status_code == 200
