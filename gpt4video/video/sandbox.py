"""Reading a stranger's file in a process that can do nothing but that; the caller's end of `worker.py`.

    with Sandbox() as sandbox:
        clip = sandbox.open_video(data, Sampling(num_frames=8))     as `open_video`, and the same errors

What is done here, in the caller's own process, is plain Python over plain data: the container is named by its
first bytes, the file's size is looked at, the answer is checked. Every decoder, of videos and of pictures,
runs over there. A file that breaks it, or outlasts its time, is a `VideoError` like any other.
"""

from __future__ import annotations

import json
import logging
import math
import os
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from gpt4video.errors import ConfigError, InputError, VideoError
from gpt4video.video.clip import Clip, Sampling
from gpt4video.video.decode import DecoderName, checked, checked_options
from gpt4video.video.decord import demand_decord
from gpt4video.video.picture import ONE
from gpt4video.video.reader import HasLeft, Left, Limits, Media, VideoInfo, stays

BOOT = (
    "import sys; sys.path[:] = sys.argv[2].split('\\n'); "
    "from gpt4video.video.worker import main; main(int(sys.argv[1]), sys.argv[3:])"
)
"""The worker's first words: its packages are the caller's, and nothing installed runs besides."""
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PATH": ""}
"""All that the worker's environment holds: numpy would start threads for sums that nobody asks for, and
decord wants a path to add to."""
_GLANCE = 0.05
"""Seconds between two looks at whether the caller still waits."""
_GRACE = 5.0
"""Seconds in which a worker that was told to end has to be gone."""
_ANSWER_BYTES = 65536
"""Longest answer, besides 32 bytes for the time of each frame."""

log = logging.getLogger("gpt4video.video")


@dataclass(frozen=True)
class Budget:
    """What the work on one file may take."""

    seconds: float = 30.0
    """By the clock on the wall; then it is killed."""
    cpu_seconds: int = 60
    """Of the processor."""
    memory: int = 2**30
    """Bytes, besides what the worker takes before it sees a file."""


class Broke(VideoError):
    """A file that broke its decoder, or held it up until its time was over."""


class Sandbox:
    """A warm worker, and a confined process of it for every file. May be used from many threads at once."""

    def __init__(
        self,
        limits: Limits | None = None,
        budget: Budget | None = None,
        *,
        unconfined: bool = False,
        decoders: tuple[DecoderName, ...] = ("pyav",),
    ) -> None:
        """Nothing is started before it is needed.

        unconfined   decode although the system cannot shut the worker in: see `confine.py`
        decoders     which are kept ready; others cannot be asked for
        """
        self._limits = limits or Limits(max_threads=1)
        self._budget = budget or Budget()
        self._unconfined = unconfined
        self._decoders = decoders
        self._starting = threading.Lock()
        self._worker: _Worker | None = None
        self._closed = False

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> dict[str, bool]:
        """Have a worker ready; returns what holds it, by the names of `confine.Held`.

        Raises `ConfigError` where that is not enough for strangers' files, unless `unconfined`, and
        `InputError` for a decoder that is not installed.
        """
        return self._ready().held

    def close(self) -> None:
        """End the worker and everything that it still does."""
        with self._starting:
            self._closed = True
            if self._worker is not None:
                self._worker.end()

    @property
    def process(self) -> int | None:
        """Number of the worker's process, where there is one."""
        return self._worker.process.pid if self._worker else None

    def open_video(
        self,
        source: Path | str | bytes,
        sampling: Sampling,
        decoder: DecoderName = "pyav",
        *,
        max_side: int | None = None,
        has_left: HasLeft = stays,
    ) -> Clip:
        """As `gpt4video.video.open_video`. `Left` is raised as soon as `has_left`, wherever the work is."""
        checked_options(decoder, max_side)
        media, container = checked(source, self._limits)
        asked = {"container": container, "sampling": asdict(sampling), "max_side": max_side}
        return self._clip(media, "clip", decoder, asked, sampling.num_frames, max_side, has_left)

    def open_picture(
        self,
        source: Path | bytes,
        sampling: Sampling = ONE,
        *,
        max_side: int | None = None,
        has_left: HasLeft = stays,
    ) -> Clip:
        """A PNG, JPEG or WebP as a clip, of several frames where it moves. Raises as `read_picture`."""
        self._limits.check_size(len(source) if isinstance(source, bytes) else source.stat().st_size)
        asked = {"sampling": asdict(sampling), "max_side": max_side}
        return self._clip(source, "picture", "pyav", asked, sampling.num_frames, max_side, has_left)

    def probe(self, source: Path | str | bytes) -> VideoInfo:
        """As `gpt4video.video.probe`."""
        media, container = checked(source, self._limits)
        with self._run(media, {"wanted": "facts", "decoder": "pyav", "container": container}) as (answer, _):
            told = answer["facts"]
            return VideoInfo(
                duration=_number(told["duration"]),
                width=int(told["width"]),
                height=int(told["height"]),
                fps=_number(told["fps"]),
                codec=str(told["codec"])[:40],
                container=container,
                num_frames=None if told["num_frames"] is None else int(told["num_frames"]),
            )

    def _clip(
        self,
        media: Media,
        wanted: str,
        decoder: DecoderName,
        asked: dict[str, Any],
        most: int,
        max_side: int | None,
        has_left: HasLeft,
    ) -> Clip:
        """The clip that an answer describes: within what was asked for, or it is not one."""
        job = {"wanted": wanted, "decoder": decoder, **asked}
        room = _ANSWER_BYTES + 32 * most
        with self._run(media, job, room, has_left) as (answer, output):
            count, height, width, colours = (int(side) for side in answer["shape"])
            times = np.array([_number(time) for time in answer["times"]], dtype=np.float64)
            size = count * height * width * colours
            fits = 1 <= count <= most and colours == 3 and min(height, width) >= 1 and len(times) == count
            if not fits or max(height, width) > (max_side or 2**16) or size > self._limits.max_output_bytes:
                raise ValueError("frames that nobody asked for")
            frames = np.empty((count, height, width, 3), np.uint8)
            if output.readinto(frames.data.cast("B")) != size:  # type: ignore[attr-defined]
                raise ValueError("fewer frames than were told")
            return Clip(frames, times, _number(answer["duration"]))

    @contextmanager
    def _run(
        self, media: Media, job: dict[str, Any], room: int = _ANSWER_BYTES, has_left: HasLeft = stays
    ) -> Iterator[tuple[dict[str, Any], BinaryIO]]:
        """Have a job done; gives the answer, and the file with the frames. What it says is not trusted."""
        if job["decoder"] not in self._decoders:
            raise InputError(f"decoder {job['decoder']!r} is not kept ready here.", param="decoder")
        budget = {"memory": self._budget.memory, "seconds": self._budget.cpu_seconds}
        line = json.dumps({**job, **budget, "limits": asdict(self._limits)}).encode() + b"\n"
        with ExitStack() as open_files:
            posted = open_files.enter_context(_readable(media))
            output = open_files.enter_context(_memory())
            said = self._ready().do(line, posted, output, room, has_left, self._budget.seconds)
            if said is None:
                raise Broke(f"The file could not be read within {self._budget.seconds:g} s.")
            try:
                answer = json.loads(said)
                if "error" not in answer:
                    yield answer, output
                    return
            except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
                raise Broke("Reading the file broke the decoder: it is damaged, or made to.") from error
            raise _as_error(answer)

    def _ready(self) -> _Worker:
        """The worker; another one where the last has died."""
        with self._starting:
            if self._closed:
                raise Left
            if self._worker is None or self._worker.dead:
                if self._worker is not None:
                    self._worker.end()
                if "decord" in self._decoders:
                    demand_decord()
                self._worker = _Worker(self._decoders)
            worker = self._worker
        if not self._unconfined and not enough(worker.held):
            raise ConfigError(
                f"This system cannot confine a decoder: {missing(worker.held)} cannot be had here, so a file "
                "made for it could read your files and send them away. Serve on Linux (x86-64 or ARM) with "
                "seccomp, or allow unconfined decoding where every file that is posted can be trusted."
            )
        return worker


def enough(held: dict[str, bool]) -> bool:
    """Whether a stranger's file may be decoded by what is held so: a decoder that it has taken over could
    open no file, reach no network and run nothing. `confine.py` says why the rest alone would not do."""
    return held["no_new_privs"] and held["seccomp"]


def missing(held: dict[str, bool]) -> str:
    """What does not hold, by the names of `confine.Held`."""
    return ", ".join(name for name, holds in held.items() if not holds)


class _Worker:
    """A running `worker.py`."""

    def __init__(self, decoders: tuple[DecoderName, ...]) -> None:
        ours, theirs = socket.socketpair()
        self._line = ours
        self._sending = threading.Lock()
        with theirs:
            root = str(Path(__file__).parents[2])
            paths = "\n".join([root, *(path for path in sys.path if path and path != root)])
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", BOOT, str(theirs.fileno()), paths, *decoders],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=_ENVIRONMENT,
                cwd="/",
                start_new_session=True,  # Ctrl-C is for the server, which ends the worker in order
            )
        with ours.makefile("rb") as told:
            hello = told.readline()
        if not hello:
            self.end()
            raise RuntimeError("the decode worker did not start; its own words are on stderr")
        self.held: dict[str, bool] = json.loads(hello)

    @property
    def dead(self) -> bool:
        """Whether it has ended."""
        return self.process.poll() is not None

    def end(self) -> None:
        """Kill it; the kernel kills its children."""
        self._line.close()
        self.process.kill()
        self.process.wait()

    def do(
        self,
        job: bytes,
        media: BinaryIO,
        output: BinaryIO,
        room: int,
        has_left: HasLeft,
        seconds: float,
    ) -> bytes | None:
        """What the child of this job said before it ended; None when its time was up. Raises `Left`.

        Whichever way this returns, the child is gone.
        """
        home, child = socket.socketpair()
        leash, hold = os.pipe()
        with closing(home), ExitStack() as held:
            held.callback(os.close, hold)
            try:
                with self._sending:
                    files = [child.fileno(), leash, media.fileno(), output.fileno()]
                    socket.send_fds(self._line, [b"j"], files)
                home.sendall(job)
            except OSError:
                return b""  # the worker has died: as if this job had killed it
            finally:
                child.close()
                os.close(leash)
            deadline = time.monotonic() + seconds
            said = _listen(home, room, lambda: has_left() or time.monotonic() > deadline)
            held.close()  # lets go of the leash
            if said is None and _listen(home, room, _in(_GRACE)) is None:
                log.error("The decode worker hangs; it is killed, and another one begun.")
                self.process.kill()
                self.process.wait()
        if said is None and has_left():
            raise Left
        return said


def _listen(home: socket.socket, room: int, over: Callable[[], bool]) -> bytes | None:
    """All that comes until the other end closes, at most `room` bytes; None when it is over before."""
    said = bytearray()
    events = select.poll()
    events.register(home, select.POLLIN)
    while not over():
        if events.poll(_GLANCE * 1000):
            try:
                piece = home.recv(65536)
            except ConnectionError:
                return bytes(said)
            if not piece:
                return bytes(said)
            if len(said) < room:
                said += piece[: room - len(said)]
    return None


def _in(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


@contextmanager
def _readable(media: Media) -> Iterator[BinaryIO]:
    """Media as a file that is open for reading."""
    if isinstance(media, Path):
        with media.open("rb") as file:
            yield file
        return
    assert isinstance(media, bytes), "an open file comes to the worker alone"
    with _memory() as file:
        file.write(media)
        yield file


@contextmanager
def _memory() -> Iterator[BinaryIO]:
    """A file that has no name and, where the system knows such, no disk under it."""
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("gpt4video"), "w+b", buffering=0) as file:
            yield file
    else:
        with tempfile.TemporaryFile(buffering=0) as file:
            yield file


def _number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("a time that is none")
    return number


_CODES = {
    "invalid_video",
    "unsupported_video_format",
    "unsupported_video_codec",
    "no_video_stream",
    "video_too_large",
    "video_too_long",
    "invalid_value",
}
"""What a worker may call an error."""


def _as_error(answer: dict[str, Any]) -> InputError:
    """The error that the child met, told again here; its words are cut, its codes are those that exist."""
    kind = answer["error"]
    if kind == "memory":
        return VideoError("The video needs more memory to decode than fits.", code="video_too_large")
    message, code, param = (answer.get(key) for key in ("message", "code", "param"))
    if kind == "broken":
        log.error("A posted file met a mistake of ours: %s", str(message)[:2000])
    if kind not in ("video", "input") or code not in _CODES:
        return VideoError("The file cannot be read: it is damaged, or made to.")
    words = "".join(c for c in str(message)[:400] if c.isprintable())
    if kind == "video":
        return VideoError(words, code=code)
    return InputError(words, code=code, param=str(param)[:40] if param else None)
