"""A client in a process of its own, as clients are, and as quick as one can be: its time counts."""

from __future__ import annotations

import multiprocessing
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any


class Client:
    """Asks one server one thing after the other, over one connection."""

    def __init__(self, there: Connection) -> None:
        self._there = there

    def ask(self, request: bytes) -> tuple[float, bytes]:
        """Seconds from the request's first byte to its answer's last one, and the answer: one JSON object."""
        self._there.send_bytes(request)
        told: tuple[float, bytes] = self._there.recv()
        return told


@contextmanager
def client(address: tuple[Any, ...], patience: float) -> Iterator[Client]:
    """One that is there, and ends afterwards."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=_ask, args=(there, address, patience), daemon=True)
    process.start()
    there.close()
    try:
        yield Client(here)
    finally:
        here.close()
        process.join()


def _ask(here: Connection, address: tuple[Any, ...], patience: float) -> None:
    with socket.create_connection(address, patience) as server:
        while True:
            try:
                request = here.recv_bytes()
            except EOFError:
                return
            began = time.perf_counter()
            server.sendall(request)
            answer = server.recv(1 << 16)
            while not answer.endswith(b"}"):
                answer += (more := server.recv(1 << 16))
                assert more, "an answer is whole"
            here.send((time.perf_counter() - began, answer))
