"""The ground: locks, commands, the container, the log of changes, and what a wheel carries."""

import dataclasses
import json
import os
import re
import subprocess
import sys
import time
import tomllib
import zipfile
from pathlib import Path

import httpx2
import numpy as np
import pytest
import yaml
from prometheus_client.exposition import generate_latest

from gpt4video.video import encode_mp4
from server.metrics import Metrics
from server.settings import VARIABLE, Settings

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = (
    "requirements.lock",
    "requirements-dev.lock",
    "requirements-build.lock",
    "requirements-server.lock",
)
MIB = 2**20


def names(lock):
    return set(re.findall(r"^([a-z0-9-]+)==", (ROOT / lock).read_text(), re.MULTILINE))


def canonical(requirement):
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_hashes_for_all_and_no_address(lock):
    text = (ROOT / lock).read_text()
    assert not re.search(r"://|--index|--extra-index|--find-links| @ ", text)
    entries = re.split(r"\n(?=[a-z0-9-]+==)", text)[1:]
    assert entries and all("--hash=sha256:" in entry for entry in entries)


def test_the_locks_hold_what_the_project_asks_for():
    project = PROJECT["project"]
    assert {canonical(r) for r in project["dependencies"]} <= names("requirements.lock")
    # The load test's client comes with a world of its own (gevent); it lives in an environment of its own.
    extras = {extra: rs for extra, rs in project["optional-dependencies"].items() if extra != "load"}
    asked = {canonical(r) for requirements in extras.values() for r in requirements}
    assert asked - {"gpt4video"} <= names("requirements-dev.lock")
    assert {canonical(r) for r in PROJECT["dependency-groups"]["build"]} <= names("requirements-build.lock")
    assert names("requirements.lock") <= names("requirements-server.lock") <= names("requirements-dev.lock")


TARGETS = ("install", "serve", "test", "check", "train", "evaluate", "bench", "lock", "help")


@pytest.mark.parametrize("target", TARGETS)
def test_make_knows(target):
    assert subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True).returncode == 0


def test_an_old_python_is_told_what_fits(tmp_path):
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.6" && exit 0\nexit 1\n')
    old.chmod(0o755)
    for name in ("Makefile", "pyproject.toml", *LOCKS):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    told = subprocess.run(
        ["make", "install", f"PYTHON={old}"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert told.returncode != 0 and "needs Python 3.11 or newer" in told.stderr and "3.9.6" in told.stderr
    assert not (tmp_path / ".venv").exists()


def test_ci_runs_check_and_test():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert {"make check", "make test"} <= set(script.read_text().splitlines())
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0


def test_every_yaml_of_the_configs_is_a_mapping():
    for path in (ROOT / "configs").glob("*.yaml"):
        assert isinstance(yaml.safe_load(path.read_text()), dict), path


COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


def test_compose_has_the_server_its_database_and_who_watches_them():
    assert set(COMPOSE) == {"gpt4video", "gpt4video-gpu", "postgres", "prometheus", "grafana"}
    alone = {name for name, service in COMPOSE.items() if not service.get("profiles")}
    assert alone == {"gpt4video", "postgres"}
    (device,) = COMPOSE["gpt4video-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["driver"] == "nvidia" and COMPOSE["gpt4video-gpu"]["profiles"] == ["gpu"]


def test_compose_opens_ports_on_this_machine_alone_and_writes_where_it_should():
    for name, service in COMPOSE.items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name
        for place in service.get("volumes", ()):
            source = place.partition(":")[0]
            assert not source.startswith(".") or ((ROOT / source).exists() and place.endswith(":ro"))
    for name in ("gpt4video", "gpt4video-gpu"):
        server = COMPOSE[name]
        assert server["read_only"] and server["tmpfs"] and server["cap_drop"] == ["ALL"]
        assert server["security_opt"] == ["no-new-privileges:true"]
        assert "anonymous" not in str(server)


def test_compose_and_container_set_settings_that_are_there():
    known = {VARIABLE + field.name.upper() for field in dataclasses.fields(Settings)}
    assert set(COMPOSE["gpt4video"]["environment"]) <= known
    assert set(re.findall(r"GPT4VIDEO_\w+", (ROOT / "Dockerfile").read_text())) <= known


def test_the_dashboard_and_prometheus_ask_for_what_the_server_tells():
    told = generate_latest(Metrics().registry).decode()
    there = set(re.findall(r"^# TYPE (\S+)", told, re.MULTILINE))
    (dashboard,) = (ROOT / "deploy" / "grafana" / "dashboards").glob("*.json")
    panels = json.loads(dashboard.read_text())["panels"]
    asked = {
        re.sub(r"_(bucket|sum|count)$", "", name)
        for panel in panels
        for target in panel["targets"]
        for name in re.findall(r"(?:gpt4video:|process_)\w+", target["expr"])
    }
    assert len(asked) > 20 and asked <= there, asked - there
    (job,) = yaml.safe_load((ROOT / "deploy" / "prometheus.yml").read_text())["scrape_configs"]
    assert job["static_configs"][0]["targets"] == ["gpt4video:8000"]
    source = ROOT / "deploy" / "grafana" / "provisioning" / "datasources" / "prometheus.yml"
    (grafana,) = yaml.safe_load(source.read_text())["datasources"]
    assert {panel["datasource"]["uid"] for panel in panels} == {grafana["uid"]}


def test_the_licences_page_speaks_of_what_is_locked():
    page = (ROOT / "docs" / "licences.md").read_text()
    lock = (ROOT / "requirements-server.lock").read_text()
    spoken = re.findall(r"^\| (\w+)(?: \(PyAV\))? ([\d.]+)", page, re.MULTILINE)
    assert {"decord", "av"} <= {name for name, _ in spoken}
    for name, version in spoken:
        assert re.search(rf"^{name}=={re.escape(version)}\b", lock, re.MULTILINE), name


def test_the_container_is_locked_has_no_root_and_says_whether_it_is_well():
    text = (ROOT / "Dockerfile").read_text()
    instructions = [line.split()[0] for line in text.splitlines() if re.match(r"[A-Z]+ ", line)]
    assert {"USER", "HEALTHCHECK", "EXPOSE"} <= set(instructions)
    assert instructions.index("USER") < instructions.index("CMD")
    assert text.count("--require-hashes") == 2
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"}
    copied = [word for line in re.findall(r"^COPY (.+)$", text, re.MULTILINE) for word in line.split()[:-1]]
    assert set(copied) == allowed
    assert all((ROOT / name).exists() for name in copied)


def test_the_changelog_has_the_next_version():
    text = (ROOT / "CHANGELOG.md").read_text()
    assert "## [Unreleased]" in text or f"## [{PROJECT['project']['version']}]" in text


def test_no_file_of_the_package_is_over_16_mb():
    for folder in ("gpt4video", "server", "configs", "tests"):
        for path in (ROOT / folder).rglob("*"):
            assert not path.is_file() or path.stat().st_size <= 16e6, path


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    pytest.importorskip("hatchling", reason="hatchling is not installed; `make install` brings it")
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


def data_files():
    """What is no Python in the packages, and the configs, by their paths in a wheel."""
    for package in ("gpt4video", "server"):
        for path in (ROOT / package).rglob("*"):
            if path.is_file() and path.suffix not in (".py", ".pyc"):
                yield str(path.relative_to(ROOT))
    for path in (ROOT / "configs").rglob("*"):
        if path.is_file():
            yield f"gpt4video/{path.relative_to(ROOT)}"


def test_a_wheel_carries_configs_weights_page_and_policy(wheel):
    with zipfile.ZipFile(wheel) as file:
        inside = set(file.namelist())
        sizes = [info.file_size for info in file.infolist()]
    assert set(data_files()) <= inside
    assert {"server/web/index.html", "gpt4video/safety/policy.yaml", "gpt4video/py.typed"} <= inside
    assert not [name for name in inside if name.startswith(("tests/", "runs/", "benchmarks/"))]
    assert max(sizes) <= 16e6 and sum(sizes) <= 60 * MIB


def test_a_wheel_works_from_any_folder(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as file:
        file.extractall(tmp_path / "site")
        entry = next(name for name in file.namelist() if name.endswith("entry_points.txt"))
        assert "gpt4video = server.cli:main" in file.read(entry).decode()
    code = (
        "import gpt4video, server.app; from gpt4video.config import resolve; from server.routes import page; "
        "print(gpt4video.__file__, resolve('shapes'), server.app.__file__, sep='\\n')"
    )
    told = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert all(line.startswith(str(tmp_path / "site")) for line in told.stdout.splitlines())


@pytest.fixture
def empty_environment(tmp_path):
    """The folder of a virtual environment that holds what the lock names, and nothing else."""
    pytest.importorskip("uv", reason="uv is not installed; `make install` brings it")
    folder = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    locked = install(folder, "--require-hashes", "-r", str(ROOT / "requirements.lock"))
    if locked.returncode != 0:
        pytest.skip(f"the locked packages cannot be had here: {locked.stderr.strip()[-300:]}")
    return folder


def install(environment, *what):
    uv = [
        sys.executable,
        "-m",
        "uv",
        "pip",
        "install",
        "--quiet",
        "--python",
        str(environment / "bin" / "python"),
    ]
    return subprocess.run([*uv, *what], capture_output=True, text=True, check=False)


@pytest.mark.slow  # installs torch and everything else, then loads the model
@pytest.mark.timeout(1800)
def test_a_wheel_in_an_empty_environment_serves_from_another_folder(wheel, empty_environment, tmp_path):
    installed = install(empty_environment, "--no-deps", str(wheel))
    assert installed.returncode == 0, installed.stderr
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    process = subprocess.Popen(
        [empty_environment / "bin" / "gpt4video", "serve", "--port", "0"],
        cwd=elsewhere, env=env, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        url = re.search(r"http://\S+", process.stderr.readline())[0]
        with httpx2.Client(base_url=url, timeout=60, trust_env=False) as http:
            assert "gpt4video" in http.get("/").text
            end = time.monotonic() + 600
            while http.get("/ready").status_code != 200:
                assert http.get("/health").status_code == 200 and time.monotonic() < end
                time.sleep(0.5)
            grey = encode_mp4(np.full((16, 64, 64, 3), 128, np.uint8), 8.0)
            form = {"files": {"video": grey}, "data": {"question": "What color is the background?"}}
            assert http.post("/v1/ask", **form).json()["answer"]
            assert list(elsewhere.iterdir()) == []
    finally:
        process.terminate()
        process.wait(30)
