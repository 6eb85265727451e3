"""The leases that this process holds, and the heartbeat that keeps them.

every quarter of a lease:   held --beat--> longer
                                 `-------> lost: cancelled, deleted or taken over; who draws is told
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from server.errors import ApiError
from server.state.queue import Lease, Queue

SOON = 0.5
"""Seconds until the next heartbeat after one that did not reach the database."""

log = logging.getLogger("gpt4video.server")


def _nobody() -> None:
    pass


class Leases:
    """What this process is drawing."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._held: dict[Lease, Callable[[], object]] = {}

    def __contains__(self, lease: object) -> bool:
        return lease in self._held

    def hold(self, lease: Lease, on_lost: Callable[[], object] = _nobody) -> None:
        """Keep it until it is dropped; `on_lost` is called if it is lost before."""
        self._held[lease] = on_lost

    def drop(self, lease: Lease) -> None:
        """Done with it."""
        self._held.pop(lease, None)

    def lose(self, lease: Lease) -> None:
        """It is not ours any more."""
        self._held.pop(lease, _nobody)()

    def lose_video(self, id: str) -> None:
        """Its video was cancelled or deleted here: nobody has to wait for the next heartbeat."""
        for lease in [lease for lease in self._held if lease.id == id]:
            self.lose(lease)

    async def beat_forever(self) -> None:
        """The heartbeat; also fails what other servers have left behind for good."""
        away = False
        while True:
            pause = self._queue.lease_seconds / 4
            try:
                for lease in await self._queue.beat(list(self._held)):
                    self.lose(lease)
                await self._queue.give_up()
                away = False
            except ApiError as error:
                pause = min(pause, SOON)
                if not away:  # once, not every time
                    log.warning("The heartbeat did not reach the database: %s", error.detail)
                away = True
            except Exception:
                log.exception("The heartbeat stumbled.")
            await asyncio.sleep(pause)
