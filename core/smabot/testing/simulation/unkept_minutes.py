"""Quiet minutes that a replayed market has traded, and that its reader has not kept: with the process they are gone."""

from __future__ import annotations

from datetime import datetime

from smabot.hooks.simulated_exchange import SimulatedExchange
from smabot.testing.simulation.deliveries import Market
from smabot.testing.simulation.timeline import Timeline


class UnkeptMinutes:
    """Of a market that stands still while the bot decides, in the bot's own process."""

    def __init__(self, exchange: SimulatedExchange, market: Market, timeline: Timeline) -> None:
        self.count = 0
        self.lost = 0
        """How many were traded anew, in all."""
        self._exchange = exchange
        self._market = market
        self._timeline = timeline
        self._since: datetime = timeline.now

    def trade(self) -> bool:
        """Let the market trade its next minute where that is quiet; False: it is not."""
        if self._timeline.next_time() is not None:
            return False
        since = self._timeline.now
        traded = self._exchange.trade_quiet_minute()
        if traded is None:
            return False
        if not self.count:
            self._since = since
        self.count += 1
        self._timeline.now = max(since, traded.time)
        self._market.add(traded.bars)
        return True

    def keep(self) -> None:
        """Keep what was traded."""
        if self.count:
            self._exchange.keep()
            self.count = 0

    def lose(self) -> int:
        """The process is gone, and the exchange in it: return how many minutes are to come again."""
        lost, self.count = self.count, 0
        if lost:
            self._exchange.fall_back()
            self._market.forget(lost)
            self._timeline.now = self._since
            self.lost += lost
        return lost
