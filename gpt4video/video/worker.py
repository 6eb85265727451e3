"""The other end of `sandbox.py`: a process that has loaded the decoders, and one child of it for each file.

    server -- a job: four open files --> mother --fork--> child   confines itself, reads the one file,
       ^                                   |               |      writes frames, says what they are, ends
       |-- frames, answer ------------------------------- -|
       `-- lets go of the leash ---------> kills it

The mother never looks at a file, so each child begins clean, and what a file does to it ends with it. She
has dropped all rights before the first. A fork costs a few milliseconds, where a new Python costs a few
hundred.

This module is run as a program of its own, with no environment and no installed hooks; see `sandbox.BOOT`.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import pkgutil
import select
import signal
import socket
import sys
import traceback
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import av
import numpy as np
from PIL import Image

from gpt4video.errors import InputError, VideoError
from gpt4video.video import confine, seccomp
from gpt4video.video.clip import Clip, Sampling
from gpt4video.video.decode import decode, facts
from gpt4video.video.picture import FORMATS, read_picture
from gpt4video.video.reader import Limits

THREADED = {"decord"}
"""Decoders that cannot work in a single thread."""

FILES_OF_A_JOB = 4
"""Sent along with each: the line home, the leash, the media, and where the frames go."""


class Opened:
    """A file that is open, as far as a decoder needs one: the bytes of a descriptor, from the start."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._size = os.lseek(descriptor, 0, os.SEEK_END)
        self._at = 0

    def read(self, size: int = -1) -> bytes:
        """The next bytes, at most `size`; all that are left where it is negative."""
        left = max(0, self._size - self._at)
        data = os.pread(self._descriptor, left if size < 0 else min(size, left), self._at)
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place; returns it."""
        self._at = max(0, {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence] + offset)
        return self._at

    def tell(self) -> int:
        """The place at hand."""
        return self._at


def main(control: int, decoders: list[str]) -> None:
    """Be the mother until the server closes its end of `control`, a connected Unix socket."""
    _load(decoders)
    network, no_new_privs = confine.drop()
    held = confine.Held(
        no_new_privs, _seccomp_holds(), network, limits=True, unprivileged=os.geteuid() != 0 or network
    )
    with socket.socket(fileno=control) as line:
        line.sendall(json.dumps(asdict(held)).encode() + b"\n")
        _serve(line)


def _load(decoders: list[str]) -> None:
    """Bring in all that a child will want and could not open any more."""
    if "decord" in decoders:
        import decord  # noqa: F401
    for module in pkgutil.walk_packages(av.__path__, "av."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    _rehearse()
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)


def _rehearse() -> None:
    """Read a picture of each kind, and one video, all our own: whatever is loaded late is loaded now."""
    image = Image.new("RGB", (16, 16))
    for kind in FORMATS:
        image.save(file := io.BytesIO(), kind)
        read_picture(file.getvalue(), Limits())
    image.save(file := io.BytesIO(), "GIF", save_all=True, append_images=[Image.new("RGB", (16, 16), "red")])
    decode(file.getvalue(), "gif", Sampling(num_frames=1), "pyav", Limits(max_threads=1), 8)


def _seccomp_holds() -> bool:
    """Whether the filter shuts what it should, tried in a child."""
    read, write = os.pipe()
    if (pid := os.fork()) == 0:
        shut = seccomp.install(threads=False) and not confine.doors_open()
        os.write(write, b"1" if shut else b"0")
        os._exit(0)
    os.close(write)
    shut = os.read(read, 1) == b"1"
    os.close(read)
    os.waitpid(pid, 0)
    return shut


def _serve(line: socket.socket) -> None:
    """Fork for every job that comes; kill whose leash is let go; bury the dead."""
    bell, ring = os.pipe()
    os.set_blocking(ring, False)
    signal.set_wakeup_fd(ring, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    events = select.poll()
    events.register(line, select.POLLIN)
    events.register(bell, select.POLLIN)
    alive: dict[int, tuple[int, int]] = {}  # pid -> its line home and its leash
    leashes: dict[int, int] = {}  # leash -> pid
    while True:
        for descriptor, _ in events.poll():
            if descriptor == line.fileno():
                _, files, _, _ = socket.recv_fds(line, 1, FILES_OF_A_JOB)
                if len(files) < FILES_OF_A_JOB:
                    os._exit(0)  # the server is gone; children go with their parent
                home, leash, media, output = files
                if (pid := os.fork()) == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    for other in (
                        line.fileno(),
                        bell,
                        ring,
                        leash,
                        *(f for two in alive.values() for f in two),
                    ):
                        os.close(other)
                    _work(home, media, output)
                os.close(media)
                os.close(output)
                alive[pid], leashes[leash] = (home, leash), pid
                events.register(leash, 0)  # only its end is of interest
            elif descriptor == bell:
                os.read(bell, 4096)
                for pid in _dead():
                    home, leash = alive.pop(pid)
                    if leashes.pop(leash, None):
                        events.unregister(leash)
                    os.close(leash)
                    os.close(home)  # the last one to hold it: the server now knows
            else:
                events.unregister(descriptor)
                os.kill(leashes.pop(descriptor), signal.SIGKILL)


def _dead() -> list[int]:
    pids = []
    with suppress(ChildProcessError):
        while (pid := os.waitpid(-1, os.WNOHANG)[0]) != 0:
            pids.append(pid)
    return pids


def _work(home: int, media: int, output: int) -> None:
    """Be the child of one job, and end."""
    try:
        confine.die_with_parent()
        job = json.loads(_read_line(home))
        threads = job["decoder"] in THREADED
        confine.bound(job["memory"], job["seconds"], job["limits"]["max_output_bytes"], threads=threads)
        seccomp.install(threads=threads)
        answer = _answer(job, Opened(media), output)
        data = json.dumps(answer).encode() + b"\n"
        while data:
            data = data[os.write(home, data) :]
    finally:
        os._exit(0)


def _read_line(descriptor: int) -> bytes:
    data = b""
    while not data.endswith(b"\n"):
        piece = os.read(descriptor, 65536)
        if not piece:
            os._exit(0)
        data += piece
    return data


def _answer(job: dict[str, Any], media: Opened, output: int) -> dict[str, Any]:
    try:
        limits = Limits(**job["limits"])
        if job["wanted"] == "facts":
            return {"facts": asdict(facts(media, job["container"], limits))}
        sampling = Sampling(**job["sampling"])
        if job["wanted"] == "picture":
            clip = read_picture(media, limits, job["max_side"], sampling)
        else:
            clip = decode(media, job["container"], sampling, job["decoder"], limits, job["max_side"])
        return _put(clip, output)
    except InputError as error:
        kind = "video" if isinstance(error, VideoError) else "input"
        return {"error": kind, "message": error.message, "code": error.code, "param": error.param}
    except MemoryError:
        return {"error": "memory"}
    except Exception:
        # Ours to mend, but a file made it happen. The trace names our lines and nothing of the file.
        return {"error": "broken", "message": traceback.format_exc(limit=-4)}


def _put(clip: Clip, output: int) -> dict[str, Any]:
    """Write the frames; say their shape and times."""
    left, at = np.ascontiguousarray(clip.frames).data.cast("B"), 0
    while at < len(left):
        at += os.pwrite(output, left[at : at + 2**24], at)
    return {"shape": clip.frames.shape, "times": clip.times.tolist(), "duration": clip.duration}


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
