"""Restarts a strategy with its lookback and with a longer one: is the lookback enough, and which would be?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from datetime import datetime

from smabot.domain.calendar import MINUTE
from smabot.domain.records import Signal
from smabot.hooks.plugins import Plugins
from smabot.testing.durable_world import DurableWorld
from smabot.testing.in_process_bot import Bot
from smabot.testing.verifying.check_progress import affordable, minutes_of_cut, watched_minutes
from smabot.testing.verifying.generated_markets import Market, at_minutes
from smabot.testing.verifying.signalled_bars import OWN_BAR, stray_signals
from smabot.testing.verifying.subject import Subject

CUTS = 40
"""Minutes of each market at which a restart is tried, at most."""
JUDGED = 12
"""Restarts, the latest of those that decided otherwise, by which a longer lookback is judged."""
FACTORS = (2, 3, 4, 6, 8, 16, 32)
LOST = (
    "keep state in declared records, or recompute it from the last lookback() bars: a kill loses "
    "attributes, and a sum, count or average without end depends on bars before the lookback (docs/plugins.md: "
    "Rules for exact restarts)"
)
NO_LOOKBACK = (
    "keep state in declared records: a kill loses attributes. Or add the hook lookback(), which says how many "
    "bars a restart shows it, and recompute it from those (docs/plugins.md: Rules for exact restarts)"
)

NOTHING = "no signal"

Decided = tuple[str, str, datetime, int]


def decisions(bot: Bot, since: datetime, until: datetime) -> set[Decided]:
    """Return what a bot's strategies signalled on the bars from a time to another."""
    return {
        (row.strategy, row.symbol, row.bar_time, row.target)
        for row in bot.rows(Signal)
        if since <= row.bar_time < until
    }


def otherwise_on(here: Set[Decided], there: Set[Decided], there_is: str) -> str:
    """Say on which bar two runs first decided otherwise, and what; ``there_is`` names the other run."""
    _, symbol, time, _ = min(here ^ there, key=lambda each: (each[2], each[1]))
    one, other = (
        " and ".join(
            sorted("long" if each[3] else "flat" for each in run if each[1:3] == (symbol, time))
        )
        for run in (here, there)
    )
    return f"{symbol} {time:%Y-%m-%d %H:%M} UTC: {one or NOTHING}, {there_is}: {other or NOTHING}"


@dataclass(frozen=True, slots=True)
class Restart:
    """A restart at a minute, and what the uninterrupted run signalled after it."""

    world: DurableWorld
    since: datetime
    minutes_before: int
    """Minutes of the market before it."""
    minutes_after: int
    expected: frozenset[Decided]

    def decides_otherwise(self, bot: Bot, lookback: int) -> bool:
        """Restart with a lookback; return whether it signals otherwise than the uninterrupted run."""
        return self.decided(bot, lookback) != self.expected

    def decided(self, bot: Bot, lookback: int) -> set[Decided]:
        """Restart with a lookback; return what it signals."""

        def tailor(plugins: Plugins) -> None:
            plugins.lookback = lambda: lookback  # type: ignore[method-assign]

        restart = bot.again(self.world)
        restart.start(tailor=tailor)
        restart.run(self.minutes_after).kill()
        until = self.since + self.minutes_after * MINUTE
        return decisions(restart, self.since, until)


def restarts(bot: Bot, market: Market, lookback: int) -> Iterator[Restart]:
    """Yield restarts spread over a market, each watched for two lookbacks, or hours."""
    whole, living, after = bot.again().run(), bot.again(), watched_minutes(lookback)
    begun = living.exchange.now()
    for time in at_minutes(market, affordable(CUTS, minutes_of_cut(lookback))):
        minutes = (time - living.exchange.now()) // MINUTE
        if minutes <= 0:
            continue
        living.run(minutes)
        now = living.exchange.now()
        expected = decisions(whole, now, now + after * MINUTE)
        passed = len([minute for minute in market.minutes if begun <= minute < now])
        yield Restart(living.world.copy(), now, passed, after, frozenset(expected))
    living.kill()


def least_lookback(bot: Bot, wrong: Sequence[Restart], lookback: int) -> int | None:
    """Return the shortest lookback with which the restarts decide as the uninterrupted run; None: none.

    A restart judges only lookbacks of at most half of the minutes before it: all that there is helps any
    strategy.
    """

    def is_enough(bars: int) -> bool:
        judges = [each for each in wrong if each.minutes_before >= 2 * bars][-JUDGED:]
        return bool(judges) and not any(each.decides_otherwise(bot, bars) for each in judges)

    factor = next((each for each in FACTORS if is_enough(lookback * each)), None)
    if factor is None:
        return None
    low, high = lookback, lookback * factor
    while low + 1 < high:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def remedy_for(subject: Subject, bot: Bot, market: Market) -> str:
    """Say what the author of a strategy does whose restarts decide otherwise."""
    if strays := stray_signals(bot):
        return f"{strays[0]}: {OWN_BAR}"
    lookback = subject.lookback
    wrong = [
        each for each in restarts(bot, market, lookback) if each.decides_otherwise(bot, lookback)
    ]
    needed = least_lookback(bot, wrong, lookback)
    if needed is None:
        return LOST if subject.names_lookback else NO_LOOKBACK
    if subject.names_lookback:
        remedy = f"lookback() returns {lookback}: return {needed} or more, or look at fewer bars"
    else:
        remedy = (
            f"it has no lookback(), so that a restart shows it {lookback} bars at most: add the hook, and "
            f"return {needed} or more (docs/hooks.md: lookback)"
        )
    remedy += ". It counts the bars of each symbol by itself"
    if len({bar.symbol for bar in market.bars}) > 1:
        remedy += (
            ", so that a window of minutes that several symbols have in common needs more where one of "
            "them has gaps: keep such a window in a declared record, or restart it at a gap"
        )
    return remedy
