"""How a decoding process is held, and what the system at hand allows of that.

    always            a process of its own; no environment; open are the file, the frames, a line home
    no_new_privs      running another program gives it no right that it has not        Linux
    seccomp           no file, socket, program or process (`seccomp.py`)                Linux, x86-64 and ARM
    network           a network without a single device                                 Linux, where allowed
    user              nobody, where the caller is root
    limits            memory, time, size of files, their number, processes              POSIX

The first two hold a decoder that a file has taken over; without them it could read what the user can read and
send it anywhere, so they are what `sandbox.enough` asks for. The others bound what it costs, and stand behind
them: limits alone, as on macOS, do not count as confined.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gpt4video.video import seccomp

_NOBODY = 65534
_NEW_NETWORK, _NEW_USER = 0x40000000, 0x10000000
_SET_DEATH_SIGNAL = 1


@dataclass(frozen=True)
class Held:
    """What holds a decoding process on this system, as tried out, not as promised."""

    no_new_privs: bool
    """Running another program would not give it rights."""
    seccomp: bool
    """It could open no file, make no socket and begin no process."""
    network: bool
    """It has a network of its own with nothing in it."""
    limits: bool
    """Memory, time, files and processes are bounded."""
    unprivileged: bool
    """It is not root."""


def drop() -> tuple[bool, bool]:
    """Leave the network and the rights of root behind; (network, no_new_privs), whether each could be.

    Done once, in the process that all decoding ones descend from.
    """
    network = _unshare(_NEW_NETWORK) or _unshare(_NEW_NETWORK | _NEW_USER)
    if os.geteuid() == 0:
        with suppress(OSError):  # inside a new user namespace there is nobody to become
            os.setgroups([])
            os.setresgid(_NOBODY, _NOBODY, _NOBODY)
            os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    return network, seccomp.no_new_privileges()


def bound(memory: int, seconds: int, output: int, *, threads: bool) -> None:
    """Set what this process may take.

    memory   bytes, besides what it has already
    seconds  of processor time
    output   bytes of the largest file that it may write
    threads  whether it may have more than one
    """
    amounts = {
        resource.RLIMIT_AS: memory + _mapped(),
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_FSIZE: output,
        resource.RLIMIT_NOFILE: 16,
        resource.RLIMIT_CORE: 0,
    }
    if not threads:
        amounts[resource.RLIMIT_NPROC] = 0
    for which, amount in amounts.items():
        _, most = resource.getrlimit(which)
        amount = amount if most == resource.RLIM_INFINITY else min(amount, most)
        with suppress(ValueError, OSError):  # macOS knows RLIMIT_AS and refuses it
            resource.setrlimit(which, (amount, amount))


def die_with_parent() -> None:
    """Let the kernel kill this process when its parent is gone. Linux alone knows how."""
    if prctl := getattr(ctypes.CDLL(None), "prctl", None):
        prctl(_SET_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)


def doors_open() -> list[str]:
    """Which of the doors that `seccomp.install` shuts are open to this process."""
    tries: dict[str, Callable[[], object]] = {
        "file": lambda: os.close(os.open("/", os.O_RDONLY)),
        "socket": _socket,
        "process": _fork,
    }
    found = []
    for door, attempt in tries.items():
        try:
            attempt()
            found.append(door)
        except OSError:
            continue
    return found


def _socket() -> None:
    import socket

    socket.socket(socket.AF_INET, socket.SOCK_STREAM).close()


def _fork() -> None:
    if (pid := os.fork()) == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _unshare(what: int) -> bool:
    unshare = getattr(ctypes.CDLL(None), "unshare", None)
    return unshare is not None and unshare(what) == 0


def _mapped() -> int:
    """Bytes of address space that this process has; a generous guess where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        return 2**30
