"""Which doors of the kernel stay open to a process that reads a stranger's file: those listed, for good.

    file in, frames out   read, write, seek on what is open already
    memory                but none that can be run
    threads               only where a decoder cannot do without; never a process
    all else              EPERM: no file is opened, no socket made, no program begun, nobody traced

A filter of seccomp (Linux) is a small program that the kernel runs before every system call; see
`Documentation/userspace-api/seccomp_filter.rst` and `linux/bpf_common.h`. It cannot be taken off again.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""Machine -> its column below, and the kernel's name for its calls (`linux/audit.h`)."""

_OPEN = {
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "fstat": (5, 80),
    "lseek": (8, 62),
    "munmap": (11, 215),
    "brk": (12, 214),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "pread64": (17, 67),
    "pwrite64": (18, 68),
    "sched_yield": (24, 124),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "nanosleep": (35, 101),
    "getpid": (39, 172),
    "exit": (60, 93),
    "gettimeofday": (96, 169),
    "sigaltstack": (131, 132),
    "gettid": (186, 178),
    "futex": (202, 98),
    "sched_getaffinity": (204, 123),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "exit_group": (231, 94),
    "set_robust_list": (273, 99),
    "getrandom": (318, 278),
    "membarrier": (324, 283),
    "rseq": (334, 293),
}
"""What may be called, by its numbers on x86-64 and on 64-bit ARM."""

_MMAP, _MPROTECT, _CLONE, _CLONE3 = (9, 222), (10, 226), (56, 220), (435, 435)
_PROT_EXEC, _CLONE_THREAD = 0x4, 0x10000

_LOAD, _IF_EQUAL, _IF_LEAST, _IF_ANY, _END = 0x20, 0x15, 0x35, 0x45, 0x06
"""Operations: load a word, jump if equal, if at least, if any bit is set; return."""
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
"""What a filter can say (`linux/seccomp.h`); `_ERROR` takes the number of an error besides."""
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
"""Where `struct seccomp_data` has the call's number, the architecture and the arguments (8 bytes each)."""
_X32 = 0x40000000
"""From here on are calls of another kind on x86-64, which the numbers above do not cover."""

_SET_SECCOMP, _MODE_FILTER, _SET_NO_NEW_PRIVS = 22, 2, 38


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def program(machine: str, *, threads: bool) -> bytes:
    """The filter for this machine, 8 bytes an instruction. Raises `KeyError` for one not known here."""
    column, architecture = _ARCHITECTURES[machine]
    body: list[tuple[int, int, str, str]] = [
        (_LOAD, _ARCHITECTURE_AT, "", ""),
        (_IF_EQUAL, architecture, "", "kill"),
        (_LOAD, _NUMBER_AT, "", ""),
        (_IF_LEAST, _X32, "kill", ""),
        *((_IF_EQUAL, numbers[column], "allow", "") for numbers in _OPEN.values()),
        (_IF_EQUAL, _MMAP[column], "protection", ""),
        (_IF_EQUAL, _MPROTECT[column], "protection", ""),
        # The flags of clone3 lie in memory, where no filter can look: without it, the C library takes clone.
        (_IF_EQUAL, _CLONE3[column], "missing", ""),
        (_IF_EQUAL, _CLONE[column], "clone" if threads else "deny", "deny"),
    ]
    labels = {}
    for label, lines in {
        "clone": [(_LOAD, _ARGUMENTS_AT, "", ""), (_IF_ANY, _CLONE_THREAD, "allow", "deny")],
        "protection": [(_LOAD, _ARGUMENTS_AT + 2 * 8, "", ""), (_IF_ANY, _PROT_EXEC, "deny", "allow")],
        "deny": [(_END, _ERROR | errno.EPERM, "", "")],
        "missing": [(_END, _ERROR | errno.ENOSYS, "", "")],
        "kill": [(_END, _KILL, "", "")],
        "allow": [(_END, _ALLOW, "", "")],
    }.items():
        labels[label] = len(body)
        body += lines
    return b"".join(
        struct.pack("=HBBI", code, *(labels[to] - at - 1 if to else 0 for to in (yes, no)), value)
        for at, (code, value, yes, no) in enumerate(body)
    )


def no_new_privileges() -> bool:
    """Give up for good what a program could win by running another one. False where that is not known."""
    return _prctl(_SET_NO_NEW_PRIVS, 1)


def install(*, threads: bool) -> bool:
    """Shut the doors of this thread, for good; False where the system has no such filter.

    `no_new_privileges` comes before it. What is wanted later has to be open, loaded and imported by now.
    """
    if os.uname().sysname != "Linux" or platform.machine() not in _ARCHITECTURES:
        return False
    lines = program(platform.machine(), threads=threads)
    return _prctl(_SET_SECCOMP, _MODE_FILTER, ctypes.byref(_Program(len(lines) // 8, lines)))


def _prctl(option: int, *arguments: object) -> bool:
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    return prctl is not None and prctl(option, *arguments, *[0] * (4 - len(arguments))) == 0
