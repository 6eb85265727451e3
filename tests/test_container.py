"""The container for real: Docker builds the Dockerfile and runs docker-compose.yml, PostgreSQL beside it.

    pytest -m slow tests/test_container.py

It wants a Docker daemon, Compose, and the images that both files name, there or to be pulled. The project has
a name of its own and a free port. What was made is taken away afterwards, but for the image (gpt4video-test):
the next build uses its layers again. The profiles `gpu` and `monitoring` are left out.
"""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import httpx2
import numpy as np
import pytest
import yaml

from gpt4video.video import encode_mp4, open_video

ROOT = Path(__file__).parent.parent
PATIENCE = 120.0
UNFINISHED = ("queued", "in_progress")

pytestmark = [
    pytest.mark.slow,  # installs torch and everything else in an image of some gigabytes
    pytest.mark.timeout(3000),
]


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def compose_command():
    """`docker compose`, or the program of its own that it was before."""
    if run("docker", "compose", "version").returncode == 0:
        return ("docker", "compose")
    return ("docker-compose",) if shutil.which("docker-compose") else None


class Compose:
    """The services of docker-compose.yml under another name and on a free port, otherwise as they stand."""

    def __init__(self, folder):
        described = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
        server = described["services"]["gpt4video"]
        server["build"], server["image"] = str(ROOT), "gpt4video-test"
        server["ports"] = ["127.0.0.1:0:8000"]
        described["services"] = {"gpt4video": server, "postgres": described["services"]["postgres"]}
        file = folder / "docker-compose.yml"
        file.write_text(yaml.safe_dump(described))
        self.command = (*compose_command(), "--project-name", "gpt4video-test", "--file", str(file))

    def __call__(self, *words):
        env = {**os.environ, "POSTGRES_PASSWORD": "only for this test"}
        done = run(*self.command, *words, env=env)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout.strip()

    def container(self):
        (name,) = self("ps", "--quiet", "gpt4video").split()
        return name

    def url(self):
        return f"http://{self('port', 'gpt4video', '8000')}"

    def wait_until_healthy(self):
        """As Docker sees it: by the image's own health check."""
        end = time.monotonic() + PATIENCE
        while (health := look(self.container(), "{{.State.Health.Status}}")) != "healthy":
            assert time.monotonic() < end, health
            time.sleep(1)


def look(name, template):
    done = run("docker", "inspect", "--format", template, name)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def compose(tmp_path_factory):
    if shutil.which("docker") is None or run("docker", "info").returncode != 0 or compose_command() is None:
        pytest.skip("no Docker daemon, or no Compose")
    postgres = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["postgres"]["image"]
    for image in (re.search(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)[1], postgres):
        there = run("docker", "image", "inspect", image).returncode == 0
        if not there and run("docker", "pull", image).returncode != 0:
            pytest.skip(f"the image {image} cannot be had here")
    compose = Compose(tmp_path_factory.mktemp("compose"))
    compose("build", "gpt4video")
    try:
        yield compose
    finally:
        compose("down", "--volumes")


@pytest.fixture(scope="module")
def key(compose):
    """Made as docker-compose.yml says."""
    made = compose("run", "--rm", "-T", "gpt4video", "gpt4video", "keys", "create", "--name", "me")
    return re.search(r"^g4v_\S+$", made, re.MULTILINE)[0]


@pytest.fixture(scope="module")
def server(compose, key):
    compose("up", "--detach")
    compose.wait_until_healthy()
    return compose


@pytest.fixture
def http(server, key):
    headers = {"Authorization": f"Bearer {key}"}
    with httpx2.Client(base_url=server.url(), headers=headers, timeout=60, trust_env=False) as http:
        yield http


def test_without_a_key_it_refuses_to_start(compose):
    name = "gpt4video-test-without-a-key"
    try:
        done = run(
            "docker", "run", "--name", name, "--read-only", "--tmpfs", "/tmp", "gpt4video-test", timeout=60
        )
        assert done.returncode == 2 and "there is no key yet" in done.stderr
    finally:
        run("docker", "rm", "--force", "--volumes", name)


def test_it_is_an_ordinary_user_without_rights_who_writes_where_it_should(server):
    name = server.container()
    status = run("docker", "exec", name, "cat", "/proc/1/status").stdout
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Uid"].split() == ["10001"] * 4
    assert int(fields["CapEff"], 16) == int(fields["CapBnd"], 16) == 0
    assert fields["NoNewPrivs"] == "1"
    # Its own home could be written, were the root file system not read-only.
    for place, writable in (("~gpt4video/x", False), ("/data/x", True), ("/tmp/x", True)):
        done = run("docker", "exec", name, "sh", "-c", f"touch {place} && rm {place}")
        assert (done.returncode == 0) is writable, place


def test_a_video_is_asked_about_and_another_drawn(http):
    grey = encode_mp4(np.full((16, 64, 64, 3), 128, np.uint8), 8.0)
    form = {"files": {"video": grey}, "data": {"question": "What color is the background?"}}
    assert http.post("/v1/ask", **form).json()["answer"]
    assert http.post("/v1/ask", **form, headers={"Authorization": "Bearer wrong"}).status_code == 401
    job = http.post("/v1/videos", json={"prompt": "A red circle moves to the left."}).json()
    assert open_video(drawn(http, job["id"])).frames.shape[-1] == 3


def drawn(http, job):
    """The drawn video's bytes."""
    end = time.monotonic() + PATIENCE
    while (record := http.get(f"/v1/videos/{job}").json())["status"] != "completed":
        assert record["status"] in UNFINISHED and time.monotonic() < end, record
        time.sleep(0.5)
    return http.get(f"/v1/videos/{job}/content").content


def test_a_killed_server_starts_again_with_its_jobs(server, http):
    """Docker begins it again by itself: what is killed is the process, not the container."""
    job = http.post("/v1/videos", json={"prompt": "A blue square moves to the right."}).json()["id"]
    name, start = server.container(), look(server.container(), "{{.State.StartedAt}}")
    assert http.get(f"/v1/videos/{job}").json()["status"] in UNFINISHED
    run("docker", "exec", name, "python", "-c", "import os; os.kill(-1, 9)")
    end = time.monotonic() + PATIENCE
    while look(name, "{{.State.StartedAt}}") == start:
        assert time.monotonic() < end, "it was not begun again"
        time.sleep(0.5)
    server.wait_until_healthy()
    http.base_url = server.url()
    assert drawn(http, job)


def test_it_stops_when_asked(server):
    name = server.container()
    server("stop")
    assert look(name, "{{.State.ExitCode}}") == "0"
