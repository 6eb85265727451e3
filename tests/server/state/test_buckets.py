"""Blobs in a bucket: moto's S3 server on a socket, spoken to by s3fs as it speaks to any other."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

import httpx2
import pytest
from state_helpers import post
from web_stand_ins import make_assistant, running, until

from server.app import create_app
from server.settings import Settings
from server.state.blobs import Blobs
from server.state.records import FileRecord
from server.state.shelf import Shelf
from server.state.store import Store
from server.state.sweep import Sweeper
from server.state.tables import files

moto = pytest.importorskip("moto.server")
s3fs = pytest.importorskip("s3fs")


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        environment.setenv("AWS_ACCESS_KEY_ID", "test")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "test")
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        s3fs.S3FileSystem.clear_instance_cache()
        s3fs.S3FileSystem().mkdir("bucket")
        yield "s3://bucket/some/prefix"
        s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


async def test_equal_bytes_are_kept_once_and_go_with_the_last_record(bucket, database, tmp_path):
    blobs = Blobs(f"{bucket}/{database.kind}/a", tmp_path / "incoming")
    await blobs.open()
    store = Store("file", files, FileRecord, Shelf(database, blobs))
    one, two = await post(store, b"same"), await post(store, b"same", owner="bob")
    assert len(await blobs.old(0)) == 1
    await store.delete(one.id, "anna")
    assert await store.read(await store.asset(two.id, "bob")) == b"same"
    await store.delete(two.id, "bob")
    assert await blobs.old(0) == []
    assert list((tmp_path / "incoming").iterdir()) == []


async def test_orphans_are_swept_and_nothing_else(bucket, database, tmp_path):
    blobs = Blobs(f"{bucket}/{database.kind}/b", tmp_path / "incoming")
    await blobs.open()
    shelf = Shelf(database, blobs)
    store = Store("file", files, FileRecord, shelf)
    kept = await post(store, b"kept")
    async with blobs.draft() as draft:
        await draft.write(b"orphan")
        await blobs.keep(draft)
    await Sweeper(shelf, orphan_seconds=3600).sweep()
    assert len(await blobs.old(0)) == 2
    await Sweeper(shelf, orphan_seconds=-60).sweep()
    assert [await blobs.read(key) for key in await blobs.old(-60)] == [b"kept"]
    assert await store.find(kept.id, "anna") == replace(kept)


def test_a_server_posts_draws_and_gives_out_ranges_from_a_bucket(bucket, red):
    app = create_app(make_assistant(), Settings(blob_url=f"{bucket}/c"))
    with running(app) as url, httpx2.Client(base_url=url, timeout=60) as http:
        file = http.post("/v1/files", files={"file": ("red.mp4", red)}).json()
        assert http.get(f"/v1/files/{file['id']}/content").content == red
        video = http.post("/v1/videos", json={"prompt": "a red circle"}).json()
        until(lambda: http.get(f"/v1/videos/{video['id']}").json()["status"] == "completed", 60)
        content = f"/v1/videos/{video['id']}/content"
        part = http.get(content, headers={"Range": "bytes=4-7"})
        assert (part.status_code, part.content) == (206, b"ftyp")
        whole = http.get(content).content
        assert http.get(content, headers={"Range": "bytes=-9"}).content == whole[-9:]
        assert int(http.head(content).headers["content-length"]) == len(whole)
        said = {"type": "video_url", "video_url": {"url": file["id"]}}
        question = [{"role": "user", "content": [said, {"type": "text", "text": "Which colour?"}]}]
        answer = http.post("/v1/chat/completions", json={"messages": question}).json()
        assert "red" in answer["choices"][0]["message"]["content"]
