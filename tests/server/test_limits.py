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

    async def spend(self, owner, day, seconds, most):
        if self.days.get((owner, day), 0.0) + seconds > most:
            return False
        self.days[owner, day] = self.days.get((owner, day), 0.0) + seconds
        return True


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
    ledger = Ledger(Purse(), now=lambda: now)
    limits = Limits(video_seconds_per_day=5)
    ledger.know("key_1", limits)
    ledger.know("key_2", limits)
    await ledger.draw("key_1", 4)
    told = await ledger.headers("key_1")
    assert told["x-ratelimit-remaining-video-seconds"] == "1"
    assert told["x-ratelimit-reset-video-seconds"] == "1h0m0s"
    with pytest.raises(ApiError) as refused:
        await ledger.draw("key_1", 2)
    error = refused.value
    assert (error.body["error"]["type"], error.body["error"]["code"]) == (
        "insufficient_quota",
        "quota_exceeded",
    )
    assert error.headers["Retry-After"] == "3600"
    await ledger.draw("key_2", 2)
    now = datetime(2026, 2, 1, 0, 1, tzinfo=UTC)
    await ledger.draw("key_1", 2)


async def test_without_a_limit_nothing_is_counted():
    ledger = Ledger(Purse())
    await ledger.draw("key_1", 1e9)
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
