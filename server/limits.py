"""How much one key may ask for, and the headers that say how much is left.

    requests      POST /v1/…             a minute     a bucket that fills evenly, in this process
    tokens        read and written       a minute     the same; charged at an answer's end, so maybe below 0
    at once       POST /v1/…             now          counted in this process
    video seconds asked to be drawn      a day (UTC)  in the database, shared by all (state/spent.py)

Several server processes have a bucket each: a key then gets up to that many times its rates, and an operator
who minds divides them. What costs most, drawing, is counted once for all.
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol, cast

from gpt4video.messages import Event, Finished, TextDelta, VideoFailed
from server.errors import ApiError
from server.settings import Limits
from server.state.spent import OVER_QUOTA, Quota, day_of

MINUTE = 60.0


class Spending(Protocol):
    """What was spent today, kept where all processes see it."""

    async def spent(self, owner: str, day: str) -> float:
        """Video seconds so far."""
        ...


@dataclass
class Bucket:
    """Holds `most`, and fills evenly so that an empty one is full after `period` seconds."""

    most: float
    period: float = MINUTE
    clock: Callable[[], float] = time.monotonic
    _level: float = field(init=False)
    _at: float = field(init=False)

    def __post_init__(self) -> None:
        self._level, self._at = self.most, self.clock()

    @property
    def level(self) -> float:
        """What is in it now; less than 0 where more was taken than there was."""
        now = self.clock()
        self._level = min(self.most, self._level + (now - self._at) * self.most / self.period)
        self._at = now
        return self._level

    def take(self, amount: float) -> None:
        """Take out so much, whether it is there or not."""
        self._level = self.level - amount

    def wait_for(self, amount: float) -> float:
        """Seconds until so much is in it; 0 where it is."""
        return max(0.0, (amount - self.level) * self.period / self.most)


@dataclass
class Account:
    """One key's buckets."""

    limits: Limits
    requests: Bucket | None
    tokens: Bucket | None
    under_way: int = 0

    @classmethod
    def of(cls, limits: Limits) -> Account:
        """A full one."""
        return cls(
            limits,
            Bucket(limits.requests_per_minute) if limits.requests_per_minute else None,
            Bucket(limits.tokens_per_minute) if limits.tokens_per_minute else None,
        )

    def admit(self) -> None:
        """Count one request that makes work, or raise a 429 that says when to come back."""
        most = self.limits.requests_at_once
        if most is not None and self.under_way >= most:
            raise too_many(f"{most} requests of this key are under way already", 1.0)
        if self.tokens is not None and (wait := self.tokens.wait_for(1)):
            raise too_many(f"This key may use {self.tokens.most:g} tokens a minute", wait)
        if self.requests is not None:
            if wait := self.requests.wait_for(1):
                raise too_many(f"This key may send {self.requests.most:g} requests a minute", wait)
            self.requests.take(1)

    def headers(self) -> dict[str, str]:
        """What is left, as OpenAI says it."""
        told: dict[str, str] = {}
        for name, bucket in (("requests", self.requests), ("tokens", self.tokens)):
            if bucket is not None:
                left = max(0, math.floor(bucket.level))
                told |= _triple(name, f"{bucket.most:g}", str(left), bucket.wait_for(bucket.most))
        return told


UNLIMITED = Account.of(Limits())


class Ledger:
    """All accounts of this process, and the days' video seconds of all processes."""

    def __init__(self, spending: Spending, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._spending = spending
        self._now = now
        self._accounts: dict[str, Account] = {}

    def know(self, owner: str, limits: Limits) -> Account:
        """The account of a key; a full new one where its limits have changed."""
        account = self._accounts.get(owner)
        if account is None or account.limits != limits:
            account = self._accounts[owner] = Account.of(limits)
        return account

    def account(self, owner: str) -> Account:
        """The account of an owner whose request came in; one without limits for others."""
        return self._accounts.get(owner) or UNLIMITED

    async def headers(self, owner: str) -> dict[str, str]:
        """What is left of everything that is limited."""
        account = self.account(owner)
        told = account.headers()
        if (most := account.limits.video_seconds_per_day) is not None:
            left = max(0.0, most - await self._spending.spent(owner, self._day))
            told |= _triple("video-seconds", f"{most:g}", f"{left:g}", self._until_midnight)
        return told

    def quota(self, owner: str) -> Quota | None:
        """What the owner may have drawn today; None where nobody counts."""
        most = self.account(owner).limits.video_seconds_per_day
        return None if most is None else Quota(owner, self._day, most, retry_after(self._until_midnight))

    async def metered(
        self,
        respond: Callable[[bool], AsyncIterator[Event]],
        owner: str,
        allow_video: bool,
        seconds: float,
    ) -> AsyncGenerator[Event, None]:
        """The events of `respond(allow_video)`, charged to their owner.

        Tokens are charged at the end, also to those who leave before. A key that has no `seconds` of video
        left today is answered in words: a video that is wanted all the same fails as `quota_exceeded`. Video
        seconds are charged where a video joins the queue.
        """
        account, quota = self.account(owner), self.quota(owner)
        over = quota is not None and await self._spending.spent(owner, self._day) + seconds > quota.most
        pieces, used = 0, None
        try:
            async with aclosing(
                cast("AsyncGenerator[Event, None]", respond(allow_video and not over))
            ) as events:
                async for event in events:
                    match event:
                        case TextDelta():
                            pieces += 1
                        case Finished():
                            used = event.usage.total_tokens
                        case VideoFailed(code="video_not_allowed") if quota and over and allow_video:
                            told = quota.over(seconds).detail
                            event = replace(event, code=OVER_QUOTA, message=told)
                    yield event
        finally:
            if account.tokens is not None:
                account.tokens.take(pieces if used is None else used)

    @property
    def _day(self) -> str:
        return day_of(self._now())

    @property
    def _until_midnight(self) -> float:
        now = self._now()
        midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), UTC)
        return (midnight - now).total_seconds()


def too_many(message: str, wait: float) -> ApiError:
    """A 429 that is over after `wait` seconds."""
    return ApiError(
        429,
        f"{message}; try again in {duration(wait)}.",
        type="rate_limit_error",
        code="rate_limit_exceeded",
        headers=retry_after(wait),
    )


def retry_after(seconds: float) -> dict[str, str]:
    """The header, in whole seconds: never too early."""
    return {"Retry-After": str(max(1, math.ceil(seconds)))}


def duration(seconds: float) -> str:
    """As OpenAI writes it: 12ms, 1s, 6m0s, 2h0m0s."""
    if seconds < 1:
        return f"{math.ceil(1000 * seconds)}ms"
    whole = math.ceil(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}h{minutes}m{rest}s" if hours else f"{minutes}m{rest}s" if minutes else f"{rest}s"


def _triple(name: str, limit: str, left: str, reset: float) -> dict[str, str]:
    return {
        f"x-ratelimit-limit-{name}": limit,
        f"x-ratelimit-remaining-{name}": left,
        f"x-ratelimit-reset-{name}": duration(reset),
    }
