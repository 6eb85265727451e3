"""Keys and tenants: who may come in, what each sees, and what a player needs no key for."""

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx2
import openai
import pytest
from web_stand_ins import make_assistant, running, until

from server.app import create_app
from server.cli import main
from server.door import OPEN
from server.keys import LIMITS, Keys, digest
from server.keys_command import LIMITS as OPTIONS
from server.settings import Limits, Settings
from server.signing import Signer
from server.state.database import Database, sqlite_url

HELLO = {"messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def make(folder, capsys):
    """Make a key with the command; its JSON, secret and all."""

    def make(name="me", *options):
        assert main(["keys", "create", "--name", name, "--data", str(folder), "--json", *options]) == 0
        return json.loads(capsys.readouterr().out)

    return make


def told(folder, capsys, *words):
    assert main(["keys", *words, "--data", str(folder), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def client(url, key):
    headers = {"Authorization": f"Bearer {key['key']}"} if key else {}
    return httpx2.Client(base_url=url, headers=headers, timeout=30)


def serving(folder, **fields):
    return running(create_app(make_assistant(), Settings(data_dir=folder, **fields)))


def test_a_key_is_shown_once_and_kept_as_a_digest(make, folder, capsys):
    key = make("me", "--requests-per-minute", "60", "--tokens-per-minute", "0")
    assert re.fullmatch(r"g4v_[\w-]{43}", key["key"]) and re.fullmatch(r"key_[0-9a-f]{16}", key["id"])
    assert key["overrides"] == {"requests_per_minute": 60, "tokens_per_minute": None}
    (listed,) = told(folder, capsys, "list")["data"]
    assert (listed["id"], listed["name"], listed["revoked_at"]) == (key["id"], "me", None)
    assert "key" not in listed
    for file in folder.iterdir():
        assert not file.is_file() or key["key"].encode() not in file.read_bytes()
    assert main(["keys", "list", "--data", str(folder)]) == 0
    assert key["id"] in capsys.readouterr().out


def test_what_cannot_be_done_to_keys_is_one_line_and_status_2(make, folder, capsys):
    make("twin"), make("twin")
    for words, said in (
        (["list"], "Which database?"),
        (["revoke", "nobody", "--data", str(folder)], "There is no key 'nobody'"),
        (["revoke", "twin", "--data", str(folder)], "2 keys have the name 'twin'"),
        (["create", "--name", " ", "--data", str(folder)], "1 to 100 characters"),
        (["create", "--name", "x", "--requests-per-minute", "-1", "--data", str(folder)], "more than 0"),
        (["create", "--name", "x", "--tokens-per-minute", "many", "--data", str(folder)], "invalid int"),
    ):
        assert main(["keys", *words]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line


def test_every_limit_has_an_option():
    assert set(LIMITS) == set(OPTIONS)


def test_with_a_key_made_nobody_comes_in_without_one(make, folder):
    key = make()
    with serving(folder) as url, client(url, None) as stranger, client(url, key) as owner:
        for method, path in (
            ("GET", "/v1/models"), ("POST", "/v1/chat/completions"), ("POST", "/v1/ask"), ("GET", "/nowhere"),
            ("GET", "/v1/files/file-1/content"), ("GET", "/openapi.json"), ("GET", "//v1/files"),
            ("GET", "/v1/../v1/models"), ("POST", "/health/../v1/videos"), ("GET", "/V1/models"),
            ("GET", "/web/../v1/models"), ("GET", "/web%2f..%2fv1/models"), ("POST", "/v1/moderations"),
        ):  # fmt: skip
            refused = stranger.request(method, path)
            if refused.status_code == 404 and path.startswith("/web"):
                continue  # inside the folder of the page there is nothing else
            assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer"), path
            assert refused.json()["error"]["code"] == "invalid_api_key", path
        for path in (*OPEN, "/metrics", "/web/app.js"):
            assert stranger.get(path).status_code != 401, path
        for secret in (
            "",
            "Bearer",
            "Bearer g4v_",
            f"Bearer {key['key']}x",
            f"Basic {key['key']}",
            "Bearer é",
        ):
            refused = stranger.get("/v1/models", headers={"Authorization": secret.encode()})
            assert refused.status_code == 401, secret
        assert owner.get("/v1/models").status_code == 200
        assert owner.post("/v1/chat/completions", json=HELLO).status_code == 200
        wrong = openai.OpenAI(base_url=f"{url}/v1", api_key="g4v_wrong", max_retries=0)
        with pytest.raises(openai.AuthenticationError) as error, wrong:
            wrong.models.list()
        assert error.value.code == "invalid_api_key"


def test_a_key_is_not_in_the_way_of_another_site_or_name(make, folder):
    key = make()
    with serving(folder) as url, client(url, key) as owner:
        headers = {"Host": "gpt4video.example.org", "Origin": "https://elsewhere.example.org"}
        assert owner.get("/v1/models", headers=headers).status_code == 200


def test_metrics_can_ask_for_a_key(make, folder):
    key = make()
    with serving(folder, metrics_need_a_key=True) as url:
        assert httpx2.get(f"{url}/metrics").status_code == 401
        with client(url, key) as owner:
            assert owner.get("/metrics").status_code == 200


def test_what_one_key_made_another_cannot_see(make, folder, red):
    mine, other = make("mine"), make("other")
    with serving(folder) as url, client(url, mine) as me, client(url, other) as you:
        file = me.post("/v1/files", files={"file": red}).json()["id"]
        video = me.post("/v1/videos", data={"prompt": "a red circle"}).json()["id"]
        until(lambda: me.get(f"/v1/videos/{video}").json()["status"] == "completed", 30)
        for path in (f"/v1/files/{file}", f"/v1/files/{file}/content", f"/v1/videos/{video}",
                     f"/v1/videos/{video}/content"):  # fmt: skip
            assert me.get(path).status_code == 200
            missed = you.get(path)
            assert missed.status_code == 404 and missed.json()["error"]["code"].endswith("_not_found"), path
        assert you.post(f"/v1/videos/{video}/remix", json={"prompt": "blue"}).status_code == 404
        assert you.delete(f"/v1/videos/{video}").status_code == 404
        assert you.delete(f"/v1/files/{file}").status_code == 404
        for path in ("/v1/files", "/v1/videos"):
            assert you.get(path).json()["data"] == [] and len(me.get(path).json()["data"]) == 1
        for id in (file, video):
            part = {"type": "video_url", "video_url": {"url": id}}
            body = {"messages": [{"role": "user", "content": [part, {"type": "text", "text": "colour?"}]}]}
            assert me.post("/v1/chat/completions", json=body).status_code == 200
            missed = you.post("/v1/chat/completions", json=body)
            assert missed.status_code == 404 and missed.json()["error"]["code"].endswith("_not_found")
        # A video of somebody else's in one's own history is one that is not known, and has no prompt here.
        past = {"role": "assistant", "content": "Here.", "videos": [{"id": video}]}
        body = {"messages": [HELLO["messages"][0], past, HELLO["messages"][0]]}
        assert me.post("/v1/chat/completions", json=body).status_code == 200
        assert you.post("/v1/chat/completions", json=body).json()["error"]["code"] == "video_not_found"


def test_a_revoked_key_stops_working_at_once_and_the_server_does_not_open(make, folder, capsys):
    key = make()
    with serving(folder) as url, client(url, key) as owner:
        assert owner.get("/v1/models").status_code == 200
        assert told(folder, capsys, "revoke", "me")["revoked_at"]
        until(lambda: owner.get("/v1/models").status_code == 401, 10)
        assert httpx2.get(f"{url}/v1/models").status_code == 401


def test_the_first_key_closes_an_open_server(make, folder):
    with serving(folder) as url:
        assert httpx2.get(f"{url}/v1/models").status_code == 200
        key = make()
        until(lambda: httpx2.get(f"{url}/v1/models").status_code == 401, 10)
        with client(url, key) as owner:
            assert owner.get("/v1/models").status_code == 200


def test_a_rate_is_told_in_headers_and_kept_over_http(make, folder):
    key = make("me", "--requests-per-minute", "2", "--tokens-per-minute", "1000")
    with serving(folder) as url, client(url, key) as owner:
        looked = owner.get("/v1/models").headers
        assert looked["x-ratelimit-limit-requests"] == "2" and looked["x-ratelimit-remaining-requests"] == "2"
        first = owner.post("/v1/chat/completions", json=HELLO)
        assert first.headers["x-ratelimit-remaining-requests"] == "1"
        assert re.fullmatch(r"\d+s|\d+ms", first.headers["x-ratelimit-reset-requests"])
        used = first.json()["usage"]["total_tokens"]
        owner.post("/v1/chat/completions", json={**HELLO, "stream": True})
        refused = owner.post("/v1/chat/completions", json={**HELLO, "stream": True})
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limit_exceeded")
        assert refused.headers["content-type"] == "application/json"
        assert 1 <= int(refused.headers["retry-after"]) <= 30
        left = int(refused.headers["x-ratelimit-remaining-tokens"])
        assert 1000 - 2 * used <= left < 1000
        assert owner.get("/v1/videos").status_code == 200, "looking is free"
        sdk = openai.OpenAI(base_url=f"{url}/v1", api_key=key["key"], max_retries=0)
        with sdk, pytest.raises(openai.RateLimitError) as error:
            sdk.chat.completions.create(model="gpt4video", **HELLO)
        assert error.value.code == "rate_limit_exceeded"
        # Somebody else's minute is their own.
        with client(url, make("other")) as other:
            assert other.post("/v1/chat/completions", json=HELLO).status_code == 200


def test_a_days_video_seconds_are_kept_and_words_go_on(make, folder):
    key = make("me", "--video-seconds-per-day", "2")
    with serving(folder) as url, client(url, key) as owner:
        made = owner.post("/v1/videos", data={"prompt": "a red circle"})
        assert made.status_code == 200 and made.headers["x-ratelimit-limit-video-seconds"] == "2"
        drawn = owner.post(
            "/v1/chat/completions", json={"messages": [{"role": "user", "content": "draw a cat"}]}
        )
        assert drawn.json()["choices"][0]["message"]["videos"][0]["status"] == "completed"
        refused = owner.post("/v1/videos", data={"prompt": "a red circle"})
        error = refused.json()["error"]
        assert (refused.status_code, error["code"], error["type"]) == (
            429,
            "quota_exceeded",
            "insufficient_quota",
        )
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.headers["x-ratelimit-remaining-video-seconds"] == "0"
        answer = owner.post(
            "/v1/chat/completions", json={"messages": [{"role": "user", "content": "draw a dog"}]}
        )
        message = answer.json()["choices"][0]["message"]
        assert "a dog" in message["content"]
        assert message["videos"][0]["error"]["code"] == "quota_exceeded"


def test_a_days_video_seconds_are_not_overshot_by_requests_at_the_same_time(make, folder):
    key = make("me", "--video-seconds-per-day", "4")
    chat = {"messages": [{"role": "user", "content": "draw a red circle"}]}
    with serving(folder) as url, client(url, key) as owner, ThreadPoolExecutor(20) as threads:

        def ask(i):
            if i % 2:
                return owner.post("/v1/videos", data={"prompt": "a red circle"})
            return owner.post("/v1/chat/completions", json=chat)

        answers = [answer.json() for answer in threads.map(ask, range(20))]
        codes = [answer["error"]["code"] for answer in answers if answer.get("error")]
        videos = [v for a in answers if "choices" in a for v in a["choices"][0]["message"]["videos"]]
        videos += [answer for answer in answers if answer.get("object") == "video"]
        refused = [video for video in videos if video["status"] == "failed"]
        codes += [video["error"]["code"] for video in refused]
        assert (len(videos) - len(refused), codes) == (4, ["quota_exceeded"] * 16)
        ids = [video["id"] for video in videos if video not in refused]
        until(lambda: {owner.get(f"/v1/videos/{id}").json()["status"] for id in ids} == {"completed"}, 60)
        listed = owner.get("/v1/videos?limit=100").json()["data"]
        assert sum(video["status"] == "completed" for video in listed) == 4
        assert owner.get("/v1/models").headers["x-ratelimit-remaining-video-seconds"] == "0"


def test_an_answer_that_goes_over_its_tokens_ends_and_the_next_is_turned_away(make, folder):
    """As OpenAI does it: what has begun is finished, and the one after it waits."""
    key = make("me", "--tokens-per-minute", "20")
    with serving(folder) as url, client(url, key) as owner:
        body = {"messages": [{"role": "user", "content": "word " * 40}]}
        over = owner.post("/v1/chat/completions", json=body)
        assert over.status_code == 200 and over.json()["choices"][0]["finish_reason"] == "stop"
        assert over.json()["usage"]["total_tokens"] > 20
        refused = owner.post("/v1/chat/completions", json=HELLO)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limit_exceeded")
        assert int(refused.headers["retry-after"]) >= 60  # more than a minute's worth was used
        assert refused.headers["x-ratelimit-remaining-tokens"] == "0"


async def test_who_revokes_a_key_does_not_wait_until_it_is_forgotten(tmp_path):
    database = Database(sqlite_url(tmp_path / "keys.db"))
    await database.open()
    keys = Keys(database)
    (key, secret), (other, another) = await keys.create("me", {}), await keys.create("you", {})
    assert await keys.find(secret) == await keys.by_id(key.id) == key
    assert await keys.find(another) == other
    await keys.revoke(key.id)
    assert await keys.find(secret) is None and await keys.by_id(key.id) is None
    assert await keys.find(another) == other
    await database.close()


def test_so_many_requests_at_once_and_no_more(make, folder):
    key = make("me", "--requests-at-once", "1")
    messages = [{"role": "user", "content": "talk forever"}]
    body = {"messages": messages, "stream": True, "max_tokens": 5000}
    with serving(folder) as url, client(url, key) as owner:
        with owner.stream("POST", "/v1/chat/completions", json=body) as stream:
            lines = stream.iter_lines()  # kept: the connection ends with its reader
            next(lines)
            assert owner.post("/v1/chat/completions", json=HELLO).status_code == 429
        until(lambda: owner.post("/v1/chat/completions", json=HELLO).status_code == 200, 20)


def test_a_player_needs_no_key_for_the_address_of_a_video(make, folder, capsys):
    key = make()
    with serving(folder) as url, client(url, key) as owner, client(url, None) as player:
        body = {"messages": [{"role": "user", "content": "draw a red circle"}]}
        (video,) = owner.post("/v1/chat/completions", json=body).json()["choices"][0]["message"]["videos"]
        assert owner.get(f"/v1/videos/{video['id']}").json()["url"] == video["url"]
        told = player.get(video["url"], headers={"Range": "bytes=0-99"})
        assert (told.status_code, told.headers["content-type"], len(told.content)) == (206, "video/mp4", 100)
        assert player.head(video["url"]).status_code == 200
        plain, _, query = video["url"].partition("?")
        for address, status in (
            (plain, 401),
            (f"{plain}?{query.replace('variant=video', 'variant=thumbnail')}", 403),
            (f"/v1/videos/{video['id']}?{query}", 403),
            (f"/v1/models?{query}", 403),
            (f"{plain}?{query[:-3]}", 403),
        ):
            assert player.get(address).status_code == status, address
        assert player.delete(video["url"]).status_code == 403
        stream = owner.post("/v1/chat/completions", json={**body, "stream": True}).text
        assert "signature=" in stream
        main(["keys", "revoke", "me", "--data", str(folder)])
        capsys.readouterr()
        until(lambda: player.get(video["url"]).status_code == 401, 10)


def test_an_open_server_signs_nothing(folder):
    with serving(folder) as url, client(url, None) as anybody:
        body = {"messages": [{"role": "user", "content": "draw a red circle"}]}
        (video,) = anybody.post("/v1/chat/completions", json=body).json()["choices"][0]["message"]["videos"]
        assert video["url"] == f"/v1/videos/{video['id']}/content"
        assert anybody.get(video["url"]).status_code == 200


async def test_an_address_is_good_for_one_video_in_one_form_for_a_while(tmp_path):
    now = 1_000_000.0
    signer = Signer(3600, clock=lambda: now)
    database = Database(sqlite_url(tmp_path / "one.db"))
    await database.open()
    await signer.open(database)
    await database.close()
    address = signer.signed("video_1", "key_1")
    path, _, query = address.partition("?")
    given = dict(pair.split("=") for pair in query.split("&"))
    assert signer.signer_of(path, given) == "key_1" and signer.signed("video_1", "key_1") == address
    changes = (
        {"by": "key_2"}, {"variant": "thumbnail"}, {"expires": str(int(given["expires"]) + 1)},
        {"signature": ""}, {"expires": "soon"}, {"signature": given["signature"] + "é"},
    )  # fmt: skip
    for change in changes:
        assert signer.signer_of(path, {**given, **change}) is None, change
    assert signer.signer_of("/v1/videos/video_2/content", given) is None
    assert signer.signer_of("/v1/videos/video_1", given) is None
    assert 1800 <= int(given["expires"]) - now <= 3600
    now = int(given["expires"]) + 1
    assert signer.signer_of(path, given) is None


async def test_limits_of_a_key_stand_over_the_servers(tmp_path):
    database = Database(sqlite_url(tmp_path / "one.db"))
    await database.open()
    keys = Keys(database, Limits(requests_per_minute=10, tokens_per_minute=100))
    key, secret = await keys.create("me", {"requests_per_minute": None, "requests_at_once": 2})
    found = await keys.find(secret)
    assert found == key and await keys.by_id(key.id) == key
    assert keys.limits(found) == Limits(tokens_per_minute=100, requests_at_once=2)
    assert await keys.find("g4v_" + "x" * 43) is None and digest(secret) != secret
    await database.close()


def test_an_address_that_others_can_reach_asks_for_keys(make, folder, capsys):
    assert main(["serve", "--host", "0.0.0.0", "--port", "0"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "Others can reach 0.0.0.0" in line and "--allow-anonymous" in line and "keys create" in line

    key = make()
    command = [sys.executable, "-m", "server.cli", "serve", "--host", "0.0.0.0", "--port", "0"]
    process = subprocess.Popen([*command, "--data", str(folder)], stderr=subprocess.PIPE, text=True)
    try:
        port = re.search(r":(\d+) ", process.stderr.readline())[1]
        assert httpx2.get(f"http://127.0.0.1:{port}/v1/models", timeout=60).status_code == 401
        with client(f"http://127.0.0.1:{port}", key) as owner:
            assert owner.get("/v1/videos").status_code == 200
    finally:
        process.kill()
        process.wait(30)
