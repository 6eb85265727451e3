"""What may be imported where. The linter reads the imports (`make check`); these tests run them."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = {"torch", "torchvision", "transformers", "diffusers", "open_clip", "peft", "accelerate", "timm"}
WEB = {"fastapi", "starlette", "uvicorn"}


def loaded_by(*modules):
    """The top-level modules that importing these brings in, in a fresh interpreter."""
    code = f"import sys, json, {', '.join(modules)}; print(json.dumps(sorted(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in json.loads(told.stdout)}


def test_importing_the_package_is_light():
    assert not loaded_by("gpt4video") & (HEAVY | WEB | {"numpy", "av", "PIL", "yaml", "decord"})


def test_the_flow_the_words_the_pixels_and_the_world_do_without_torch():
    rooms = (
        "answer assistant cache checkpoint config errors instruction interfaces messages stages streams "
        "video shapes shapes.world shapes.render shapes.oracle shapes.language shapes.judge cli"
    )
    assert not loaded_by(*(f"gpt4video.{room}" for room in rooms.split())) & (HEAVY | WEB)


def test_the_server_opens_its_socket_without_torch():
    assert not loaded_by("server.app", "server.cli") & HEAVY


@pytest.mark.slow
def test_what_serves_brings_in_neither_the_world_nor_the_web():
    code = (
        "import sys, gpt4video.loading; "
        "print([m for m in sys.modules if m.startswith(('gpt4video.shapes', 'fastapi', 'starlette'))])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_every_room_has_its_place_in_the_picture():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract for contract in contracts if contract["id"] == "rooms")["layers"]
    placed = {room.strip(" ()") for layer in layers for room in layer.split("|")}
    folder = ROOT / "gpt4video"
    rooms = {path.stem for path in folder.glob("*.py") if path.name != "__init__.py"}
    rooms |= {path.parent.name for path in folder.glob("*/__init__.py")}
    assert {f"gpt4video.{room}" for room in rooms} == placed - {"server"}
