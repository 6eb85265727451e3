"""`gpt4video doctor`: what this machine can run: versions, devices, memory, the checkpoint, codecs."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import shutil
from pathlib import Path
from typing import Any

from gpt4video.checkpoint import FILE_NAME, find
from gpt4video.commands.command import DONE, FAILED, Command, add_config, print_json
from gpt4video.errors import ConfigError

PACKAGES = ("torch", "transformers", "diffusers", "open_clip_torch", "av", "decord", "fastapi", "numpy")
"""Whose versions are told."""
DECODED = ("h264", "hevc", "vp9", "av1", "mpeg4", "gif")
"""Codecs of posted videos."""
ENCODERS = ("libx264", "libx265", "libvpx-vp9", "libsvtav1")
"""Encoders; drawn videos need the first, tests the rest."""
GIB = 2**30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    add_config(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def run(args: argparse.Namespace) -> int:
    """Look and tell; 1 when something is missing that the first command needs."""
    found = examine(args.config)
    if args.json:
        print_json(found)
    else:
        for topic, value in found.items():
            print(f"{topic:12} {_in_words(value)}")
    return DONE if found["ready"] else FAILED


def examine(config: str | None = None) -> dict[str, Any]:
    """Everything about this machine that decides what runs, as plain data. Loads no model."""
    codecs, checkpoint = _codecs(), _checkpoint(config)
    return {
        "versions": {"gpt4video": _version("gpt4video"), "python": platform.python_version(), **_versions()},
        "system": {"platform": platform.platform(), "cpus": os.cpu_count()},
        "devices": _devices(),
        "memory": _memory(),
        "checkpoint": checkpoint,
        "codecs": codecs,
        "decoding": _decoding(),
        "ready": checkpoint["found"] and "h264" in codecs["decode"] and "libx264" in codecs["encode"],
    }


def _versions() -> dict[str, str | None]:
    return {name: _version(name) for name in PACKAGES}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _devices() -> list[dict[str, Any]]:
    """CPU first, then every accelerator that torch sees, with its memory in GiB."""
    import torch

    devices: list[dict[str, Any]] = [{"name": "cpu", "threads": torch.get_num_threads()}]
    for i in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(i)
        memory = round(properties.total_memory / GIB, 1)
        devices.append({"name": f"cuda:{i}", "model": properties.name, "memory_gib": memory})
    if torch.backends.mps.is_available():
        devices.append({"name": "mps"})
    return devices


def _memory() -> dict[str, float | None]:
    """Memory and disk in GiB; None where the system does not tell."""
    try:
        page = os.sysconf("SC_PAGE_SIZE") / GIB
        total: float | None = round(os.sysconf("SC_PHYS_PAGES") * page, 1)
    except (ValueError, OSError, AttributeError):
        total = None
    return {"total_gib": total, "disk_free_gib": round(shutil.disk_usage(Path.cwd()).free / GIB, 1)}


def _checkpoint(config: str | None) -> dict[str, Any]:
    """Where the assistant's description is, and how large its folder."""
    try:
        file = find(config)
    except ConfigError as error:
        return {"found": False, "error": error.message}
    described = {"found": True, "path": str(file)}
    if file.name == FILE_NAME:
        size = sum(path.stat().st_size for path in file.parent.rglob("*") if path.is_file())
        described["megabytes"] = round(size / 1e6, 1)
    return described


def _codecs() -> dict[str, Any]:
    """What PyAV reads and writes, and whether the other decoder is installed."""
    import av

    return {
        "decode": [name for name in DECODED if _has_codec(av, name, "r")],
        "encode": [name for name in ENCODERS if _has_codec(av, name, "w")],
        "decoders": ["pyav", *(["decord"] if _version("decord") else [])],
        "ffmpeg_on_path": shutil.which("ffmpeg"),
    }


def _decoding() -> dict[str, Any]:
    """What holds a process that decodes a posted file on this system: `gpt4video/video/confine.py`."""
    from gpt4video.video.sandbox import Sandbox, enough

    with Sandbox(unconfined=True) as sandbox:
        held = sandbox.start()
    return {"confined": enough(held), **held}


def _has_codec(av: Any, name: str, mode: str) -> bool:
    try:
        av.Codec(name, mode)
    except (ValueError, av.FFmpegError):
        return False
    return True


def _in_words(value: Any) -> str:
    """Plain data as a line for people."""
    if isinstance(value, dict):
        return "  ".join(f"{name} {_in_words(v)}" for name, v in value.items())
    if isinstance(value, list):
        return ", ".join(_in_words(v) for v in value) or "none"
    words = {True: "yes", False: "no", None: "-"}
    return words[value] if value is None or isinstance(value, bool) else str(value)


COMMAND = Command("tell what this machine can run", add_arguments, run)
