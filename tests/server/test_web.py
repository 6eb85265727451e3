"""The page in a real browser: post a video, ask, read the answer as it comes, have a video drawn, ask on."""

import asyncio
import os
import re
import threading
from pathlib import Path

import pytest
from web_stand_ins import make_assistant, running

from gpt4video.messages import Drawn
from server.app import create_app
from server.keys_command import opened
from server.settings import Settings

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
SHOTS = os.environ.get("GPT4VIDEO_SCREENSHOTS")
"""A folder for screenshots, for whoever wants to look."""

playwright = pytest.importorskip("playwright.async_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is not installed")

QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
SIZES = {"desktop": {"width": 1200, "height": 800}, "phone": {"width": 390, "height": 800}}


@pytest.fixture
async def browser():
    async with playwright.async_playwright() as p:
        browser = await p.chromium.launch(
            executable_path=str(CHROMIUM), args=["--headless", "--no-sandbox", "--disable-gpu", *QUIET]
        )
        yield browser
        await browser.close()


@pytest.fixture
def assistant():
    return make_assistant(step_seconds=0.1)


async def shoot(page, name):
    if SHOTS:
        await page.screenshot(path=f"{SHOTS}/{name}.png")


async def ask(page, words):
    await page.get_by_role("textbox", name="Message").fill(words)
    await page.keyboard.press("Enter")


async def open_page(browser, url, size="desktop", **more):
    page = await browser.new_page(viewport=SIZES[size], **more)
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("console", lambda m: page.faults.append(m.text) if m.type == "error" else None)
    await page.goto(url)
    await playwright.expect(page.locator("#state")).to_have_text("Ready")
    return page


async def comes_true(page, expression):
    """Wait for it. (`wait_for_function` evaluates inside the page, which the page's own policy forbids.)"""
    for _ in range(400):
        if await page.evaluate(expression):
            return
        await asyncio.sleep(0.05)
    pytest.fail(f"this did not come true: {expression}")


@pytest.mark.parametrize(("size", "scheme"), [("desktop", "light"), ("phone", "dark")])
async def test_a_conversation_with_a_posted_and_two_drawn_videos(browser, url, assistant, red, size, scheme):
    expect = playwright.expect
    page = await open_page(browser, url, size, color_scheme=scheme)
    await shoot(page, f"{size}-1-welcome")
    await page.locator("#file").set_input_files({"name": "red.mp4", "mimeType": "video/mp4", "buffer": red})
    await expect(page.locator("#posted li:not([aria-busy]) video")).to_have_count(1)
    await page.get_by_role("textbox", name="Message").fill("Which colour is it?")
    await shoot(page, f"{size}-2-posted")
    await page.keyboard.press("Enter")
    await expect(page.locator(".assistant .words").last).to_have_text("The video is red.")
    await expect(page.locator(".user video")).to_have_attribute("src", re.compile("^blob:"))
    await expect(page.locator("#posted li")).to_have_count(0)

    await ask(page, "Draw a red circle moving left on a white background")
    await expect(page.locator(".card progress")).to_be_visible()
    await expect(page.locator(".card img")).to_have_attribute("src", re.compile("^data:image/jpeg"))
    await expect(page.locator(".card .percent")).to_have_text(re.compile(r"\d+ %"))
    await shoot(page, f"{size}-3-drawing")
    drawn = page.locator(".card video").first
    await expect(drawn).to_have_attribute("src", re.compile(r"^/v1/videos/video_\w+/content$"))
    await comes_true(page, "document.querySelector('.card video').videoWidth === 64")

    await ask(page, "the same, but blue")
    await expect(page.locator(".card video")).to_have_count(2)
    await expect(page.locator(".card[data-status=completed]")).to_have_count(2)
    heard = assistant.language_model.heard[-1]
    assert [message.role for message in heard] == ["user", "assistant", "user", "assistant", "user"]
    assert len(heard[0].clips) == 1
    assert Drawn("a red circle moving left on a white background") in heard[3].parts
    await comes_true(page, "[...document.querySelectorAll('.card video')].every(v => v.videoWidth)")
    await shoot(page, f"{size}-4-drawn")
    width = "document.documentElement.scrollWidth <= innerWidth"
    assert await page.evaluate(width), "the page must not scroll sideways"

    await page.get_by_role("button", name="New conversation").click()
    await expect(page.locator(".turn")).to_have_count(0)
    await ask(page, "How many?")
    await expect(page.locator(".assistant .words")).to_have_text("I see 1 messages and 0 drawn videos.")
    assert page.faults == []


async def test_stop_stops_the_work_and_keeps_what_was_said(browser, url, assistant):
    expect = playwright.expect
    page = await open_page(browser, url)
    await ask(page, "Talk forever")
    await expect(page.locator(".assistant .words")).to_contain_text("word3")
    await page.get_by_role("button", name="Stop").click()
    await expect(page.locator(".note")).to_have_text("Stopped.")
    await page.wait_for_timeout(300)
    assert assistant.language_model.open == 0
    await ask(page, "How many?")
    await expect(page.locator(".assistant .words").last).to_have_text("I see 3 messages and 0 drawn videos.")


async def test_what_goes_wrong_is_said_and_can_be_tried_again(browser, url):
    expect = playwright.expect
    page = await open_page(browser, url)
    wrong = {"name": "notes.mp4", "mimeType": "video/mp4", "buffer": b"not a video"}
    await page.locator("#file").set_input_files(wrong)
    await expect(page.get_by_role("alert")).to_contain_text("notes.mp4")
    await expect(page.locator("#posted li")).to_have_count(0)
    await ask(page, "word " * 600)
    await expect(page.locator(".error")).to_contain_text("tokens came")
    await shoot(page, "desktop-5-error")
    await page.get_by_role("button", name="Try again").click()
    await expect(page.locator(".error")).to_have_count(1)
    await ask(page, "How many?")
    await expect(page.locator(".assistant .words").last).to_have_text("I see 1 messages and 0 drawn videos.")


async def post(page, name, data):
    await page.locator("#file").set_input_files({"name": name, "mimeType": "video/mp4", "buffer": data})


async def test_a_posted_video_outlives_an_answer_that_failed_or_was_stopped(browser, url, assistant, red):
    expect = playwright.expect
    page = await open_page(browser, url)
    await post(page, "red.mp4", red)
    await expect(page.locator("#posted li:not([aria-busy])")).to_have_count(1)
    await ask(page, "word " * 600)
    await expect(page.locator(".error")).to_contain_text("tokens came")
    await ask(page, "Which colour is it?")
    await expect(page.locator(".assistant .words").last).to_have_text("The video is red.")
    await ask(page, "And now?")
    await expect(page.locator(".assistant .words").last).to_have_text("The video is red.")
    heard = assistant.language_model.heard[-1]
    assert [len(message.clips) for message in heard] == [1, 0, 0]


async def test_a_posted_video_that_is_gone_is_said_so_and_posted_once_more(browser, url, http, red):
    expect = playwright.expect
    page = await open_page(browser, url)
    await post(page, "red.mp4", red)
    await ask(page, "Which colour is it?")
    await expect(page.locator(".assistant .words")).to_have_text("The video is red.")
    [file] = http.get("/v1/files").json()["data"]
    http.delete(f"/v1/files/{file['id']}")
    await ask(page, "Is it red?")
    await expect(page.locator(".error")).to_contain_text("no longer has a video of this conversation")
    await page.get_by_role("button", name="Try again").click()
    await expect(page.locator(".assistant .words").last).to_have_text("The video is red.")
    await expect(page.locator(".error")).to_have_count(0)


async def test_a_file_that_is_too_large_is_told_before_it_is_sent(browser, url):
    page = await open_page(browser, url)
    sent = []
    page.on("request", lambda request: sent.append(request.url))
    await post(page, "long.mp4", bytes(2_500_000))
    await playwright.expect(page.get_by_role("alert")).to_have_text("long.mp4 has 2.5 MB; at most 2 MB fit.")
    await playwright.expect(page.locator("#posted li")).to_have_count(0)
    assert not [address for address in sent if "files" in address]


async def test_enter_before_a_message_can_leave_sends_it_as_soon_as_it_can(browser, url, red):
    expect = playwright.expect
    page = await open_page(browser, url)
    go = asyncio.Event()

    async def hold(route):
        await go.wait()
        await route.continue_()

    await page.route("**/v1/files", hold)
    await post(page, "red.mp4", red)
    await ask(page, "Which colour is it?")
    await expect(page.get_by_role("alert")).to_have_text(
        "Your message is sent as soon as the video is uploaded."
    )
    go.set()
    await expect(page.locator(".assistant .words")).to_have_text("The video is red.")
    await expect(page.get_by_role("alert")).to_have_count(0)
    await ask(page, "Talk forever")
    await expect(page.locator(".assistant .words").last).to_contain_text("word3")
    await ask(page, "Which one?")
    await expect(page.get_by_role("alert")).to_contain_text("as soon as this answer has ended")
    await page.get_by_role("textbox", name="Message").fill("Which one was it?")
    await expect(page.get_by_role("alert")).to_have_count(0)
    await page.get_by_role("button", name="Stop").click()
    await expect(page.locator(".note")).to_have_text("Stopped.")
    await expect(page.locator(".turn")).to_have_count(4)


async def test_an_example_is_one_click_and_drops_and_keys_work(browser, url, red):
    expect = playwright.expect
    page = await open_page(browser, url)
    drop = """async (bytes) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([new Uint8Array(bytes)], "dropped.mp4", { type: "video/mp4" }));
        document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true }));
    }"""
    await page.evaluate(drop, list(red))
    await expect(page.locator("#posted li:not([aria-busy])")).to_have_count(1)
    await page.get_by_role("button", name="Remove dropped.mp4").click()
    await expect(page.locator("#posted li")).to_have_count(0)
    await page.get_by_role("button", name="Draw a red circle").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator(".card[data-status=completed]")).to_have_count(1)


async def test_the_page_waits_for_the_model(browser):
    go = threading.Event()

    def load():
        go.wait(20)
        return make_assistant()

    with running(create_app(load, Settings())) as url:
        page = await browser.new_page()
        await page.goto(url)
        await playwright.expect(page.locator("#state")).to_contain_text("Loading the model")
        await page.get_by_role("textbox", name="Message").fill("hello")
        await playwright.expect(page.get_by_role("button", name="Send")).to_be_disabled()
        await page.keyboard.press("Enter")
        await playwright.expect(page.get_by_role("alert")).to_contain_text("as soon as the model is loaded")
        go.set()
        words = page.locator(".assistant .words")
        await playwright.expect(words).to_have_text("I see 1 messages and 0 drawn videos.")


async def test_the_page_asks_for_a_key_and_plays_what_it_had_drawn(browser, assistant, tmp_path):
    async with opened(Settings(data_dir=tmp_path)) as keys:
        _, secret = await keys.create("me", {})
    with running(create_app(assistant, Settings(data_dir=tmp_path))) as url:
        page = await browser.new_page(viewport=SIZES["phone"])
        await page.goto(url)
        field = page.get_by_label("This server asks for a key")
        await playwright.expect(field).to_be_visible(timeout=60_000)
        await playwright.expect(page.locator("#state")).to_contain_text("key")
        await shoot(page, "key")
        await field.fill("g4v_wrong")
        await page.keyboard.press("Enter")
        await playwright.expect(field).to_be_visible()
        await field.fill(secret)
        await page.keyboard.press("Enter")
        await playwright.expect(page.locator("#state")).to_have_text("Ready", timeout=60_000)
        await playwright.expect(field).to_be_hidden()
        await ask(page, "draw a red circle")
        player = page.locator(".card video")
        await playwright.expect(player).to_have_js_property("paused", False, timeout=60_000)
        assert "signature=" in await player.get_attribute("src")
        assert secret not in await page.content()
        await page.reload()
        await playwright.expect(page.locator("#state")).to_have_text("Ready", timeout=60_000)
