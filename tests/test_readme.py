"""What the README shows exists: commands, options, modules, files."""

import ast
import importlib
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from gpt4video.checkpoint import AssistantConfig
from gpt4video.config import read
from gpt4video.loading import GENERATION
from server import cli
from server.app import create_app

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
PYTHON = [code for language, code in BLOCKS if language == "python"]
CONFIGS = [code for language, code in BLOCKS if language == "yaml"]
COMMANDS = [
    line for language, code in BLOCKS if language == "bash" for line in code.splitlines() if line.strip()
]
PATHS = create_app(lambda: pytest.fail("nobody asks")).openapi()["paths"]


def test_there_is_something_to_check():
    assert PYTHON and COMMANDS and CONFIGS
    assert {language for language, _ in BLOCKS} <= {"python", "bash", "yaml"}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_and_its_options_exist(command, capsys):
    program, *words = shlex.split(command, comments=True)
    match program:
        case "make":
            assert subprocess.run(["make", "-n", *words], cwd=ROOT, capture_output=True).returncode == 0
        case "gpt4video":
            try:
                status = cli.main([words[0], "--help"])
            except SystemExit as leaving:
                status = leaving.code
            told = capsys.readouterr().out
            assert status == 0
            for option in (word for word in words[1:] if word.startswith("-")):
                assert re.search(rf"(?<![\w-]){re.escape(option)}\b", told), f"{option} is not in {told}"
        case "curl":
            method = "post" if "-F" in words else "get"
            address = words[1].removeprefix("http://localhost:8000").replace("ID", "{id}")
            assert method in PATHS.get(address, {}), f"{method} {words[1]} is no route"
        case "python":
            assert words[0] == "-m"
            assert list(ROOT.glob(words[1].replace(".", "/") + "*")), f"there is no module {words[1]}"
        case _:
            pytest.fail(f"Nobody checks {program}.")


@pytest.mark.parametrize("code", CONFIGS)
def test_a_config_reads(code, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(code)
    fields, _ = AssistantConfig.of(file).fields("generation", file)
    read(GENERATION[fields.pop("kind")].config, fields, "README")


@pytest.mark.parametrize("code", PYTHON)
def test_python_compiles_and_its_names_import(code):
    tree = ast.parse(code)
    compile(tree, "README.md", "exec")
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                for alias in node.names:
                    importlib.import_module(alias.name)
            case ast.ImportFrom(module=str(module)):
                for alias in node.names:
                    assert hasattr(importlib.import_module(module), alias.name), f"{module}.{alias.name}"


def test_the_methods_it_calls_are_there():
    from gpt4video.assistant import Assistant

    called = set(re.findall(r"\bassistant\.(\w+)\(", TEXT))
    assert called and all(hasattr(Assistant, name) for name in called)


def test_the_files_it_names_are_there():
    linked = re.findall(r"\]\((?!http)([^)#]+)\)", TEXT)
    places = TEXT.partition("## Where things are")[2].partition("\n## ")[0]
    rooms = re.findall(r"^\| (`.+?`(?:, `.+?`)*) \|", places, re.MULTILINE)
    folder = ""
    for row in rooms:
        for name in re.findall(r"`(.+?)`", row):
            folder = name.split("/")[0] if "/" in name.rstrip("/") else folder
            assert (ROOT / name).exists() or (ROOT / folder / name).exists(), name
    assert rooms and linked and all((ROOT / name).exists() for name in linked)


def test_the_stages_it_names_are_those_of_the_config():
    import yaml

    stages = yaml.safe_load((ROOT / "configs" / "shapes.yaml").read_text())["training"]["stages"]
    training = TEXT.partition("## Train it")[2].partition("\n## ")[0]
    assert all(f"`{stage}`" in training for stage in stages)


def test_the_places_of_the_tables_are_marked():
    for table in ("evaluation", "speed"):
        assert TEXT.index(f"<!-- {table} table: begin -->") < TEXT.index(f"<!-- {table} table: end -->")
