"""A market that stands still while the bot decides, in the bot's own process: what nobody keeps is gone with it."""

from __future__ import annotations

from collections.abc import Callable

from smabot.hooks.simulated_exchange import SimulatedExchange
from smabot.testing.simulation.market import Market
from smabot.testing.simulation.timeline import Timeline


class ReplayedMinutes:
    """Its minutes, and how many quiet ones are not kept."""

    def __init__(
        self,
        exchange: SimulatedExchange,
        market: Market,
        timeline: Timeline,
        pass_minute: Callable[[], None],
    ) -> None:
        """``pass_minute``: lets the market trade its next minute."""
        self.pass_minute = pass_minute
        self.unkept = 0
        self._exchange = exchange
        self._market = market
        self._timeline = timeline
        self._is_told = False
        """Whether the reader tells what to keep."""
        self._is_quiet = False
        """Whether the minute that was traded last is quiet, and not taken yet."""
        self._since = timeline.now

    def trade_quietly(self) -> bool:
        """Let the market trade its next minute where that is quiet; False: it is not."""
        if not self._is_told or self._timeline.next_time() is not None:
            return False
        since = self._timeline.now
        traded = self._exchange.trade_quiet_minute()
        if traded is None:
            return False
        if not self.unkept:
            self._since = since
        self.unkept += 1
        self._is_quiet = True
        self._timeline.now = max(since, traded.time)
        self._market.add(traded.bars)
        return True

    def take_quiet(self) -> bool:
        """Whether the bars that are taken now come again where nobody keeps them."""
        quiet, self._is_quiet = self._is_quiet, False
        return quiet

    def keep(self) -> None:
        """Keep what was traded."""
        self._is_told, self._is_quiet = True, False
        if self.unkept:
            self._exchange.keep()
            self.unkept = 0

    def lose(self) -> int:
        """The process is gone, and the exchange in it: return how many minutes are to come again."""
        self._is_told = self._is_quiet = False
        lost, self.unkept = self.unkept, 0
        if lost:
            self._exchange.fall_back()
            self._market.forget(lost)
            self._timeline.now = self._since
        return lost
