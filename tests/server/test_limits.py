"""Limits: buckets that fill evenly, headers that say what is left, and a 429 before anything begins."""

from datetime import UTC, datetime

import pytest

from gpt4video.errors import InputError
from server.errors import ApiError
from server.limits import Account, Bucket, Ledger, duration
from server.settings import Limits


class Clock:
    """Time that a test moves."""

    now = 1000.0

    def __call__(self):
        return self.now


class Purse:
    """Video seconds in memory."""

    def __init__(self):
        self.days = {}

    async def spent(self, owner, day):
        return self.days.get((owner, day), 0.0)


def test_a_bucket_fills_evenly_and_never_over_its_brim():
    clock = Clock()
    bucket = Bucket(60, clock=clock)
    bucket.take(60)
    assert bucket.level == 0 and bucket.wait_for(1) == pytest.approx(1.0)
    clock.now += 30
    assert bucket.level == pytest.approx(30) and bucket.wait_for(31) == pytest.approx(1.0)
    clock.now += 3600
    assert bucket.level == 60 and bucket.wait_for(60) == 0


def test_a_bucket_from_which_too_much_was_taken_takes_longer_to_fill():
    clock = Clock()
    bucket = Bucket(60, clock=clock)
    bucket.take(90)
    assert bucket.level == -30 and bucket.wait_for(1) == pytest.approx(31.0)


def test_a_request_over_the_rate_is_told_when_to_come_back():
    account = Account.of(Limits(requests_per_minute=2))
    account.admit()
    account.admit()
    with pytest.raises(ApiError) as refused:
        account.admit()
    error = refused.value
    assert (error.status_code, error.body["error"]["code"]) == (429, "rate_limit_exceeded")
    assert error.body["error"]["type"] == "rate_limit_error" and error.headers == {"Retry-After": "30"}


def test_tokens_are_charged_when_they_are_known_and_missed_by_the_next_request():
    account = Account.of(Limits(tokens_per_minute=600))
    account.admit()
    account.tokens.take(700)
    with pytest.raises(ApiError) as refused:
        account.admit()
    assert 1 <= int(refused.value.headers["Retry-After"]) <= 12
    assert account.headers()["x-ratelimit-remaining-tokens"] == "0"


def test_a_refused_request_costs_nothing():
    account = Account.of(Limits(requests_per_minute=10, requests_at_once=1))
    account.under_way = 1
    with pytest.raises(ApiError, match="under way"):
        account.admit()
    assert account.headers()["x-ratelimit-remaining-requests"] == "10"


async def test_a_days_video_seconds_end_at_midnight():
    now = datetime(2026, 1, 31, 23, 0, tzinfo=UTC)
    purse = Purse()
    ledger = Ledger(purse, now=lambda: now)
    ledger.know("key_1", Limits(video_seconds_per_day=5))
    purse.days["key_1", "2026-01-31"] = 4.0
    told = await ledger.headers("key_1")
    assert told["x-ratelimit-remaining-video-seconds"] == "1"
    assert told["x-ratelimit-reset-video-seconds"] == "1h0m0s"
    quota = ledger.quota("key_1")
    assert (quota.day, quota.most) == ("2026-01-31", 5)
    error = quota.over(2)
    assert (error.status_code, error.body["error"]["type"]) == (429, "insufficient_quota")
    assert error.body["error"]["code"] == "quota_exceeded"
    assert error.headers["Retry-After"] == "3600"
    now = datetime(2026, 2, 1, 0, 1, tzinfo=UTC)
    assert ledger.quota("key_1").day == "2026-02-01"
    assert (await ledger.headers("key_1"))["x-ratelimit-remaining-video-seconds"] == "5"


async def test_without_a_limit_nothing_is_counted():
    ledger = Ledger(Purse())
    assert ledger.quota("key_1") is None
    assert await ledger.headers("key_1") == {}


def test_a_limit_of_nothing_is_a_mistake():
    with pytest.raises(InputError, match="requests_per_minute must be more than 0, got 0"):
        Limits(requests_per_minute=0)


@pytest.mark.parametrize(
    "seconds, words",
    [(0, "0ms"), (0.0111, "12ms"), (1, "1s"), (59.2, "1m0s"), (360, "6m0s"), (7200, "2h0m0s")],
)
def test_durations_are_written_as_openai_does(seconds, words):
    assert duration(seconds) == words
