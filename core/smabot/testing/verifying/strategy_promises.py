"""What a strategy promises: its signals follow from the last `lookback()` bars, and from no later ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from smabot.domain.calendar import MINUTE
from smabot.domain.records import Signal
from smabot.hooks.plugins import Plugins
from smabot.testing.durable_world import DurableWorld
from smabot.testing.in_process_bot import Bot
from smabot.testing.table_comparison import Tables, first_difference
from smabot.testing.verifying.generated_markets import Market, at_minutes
from smabot.testing.verifying.plugin_checks import (
    Outcome,
    Role,
    check,
    failed,
    passed,
    unproved,
)
from smabot.testing.verifying.subject import Subject

CUTS = 12
"""Minutes of each market at which a restart is tried with other lookbacks."""
FACTORS = (2, 3, 4, 6, 8, 16, 32)


@check(
    "signals",
    Role.STRATEGY,
    promise="it signals on the bars that it is verified on, so that the other checks prove something",
    remedy="give bars on which it signals with --data FILE, its symbols with --set symbols=KO,PEP, or "
    "shorter windows with --set NAME.KEY=VALUE",
)
def signals(subject: Subject) -> Outcome:
    count = bars = 0
    for market in subject.markets():
        count += len(subject.bot(market).run().rows(Signal))
        bars += len(market.bars)
    if not count:
        return unproved(0, f"never signalled on {bars:,} bars; nothing is proved")
    return passed(count, f"signals on {bars:,} bars")


@check(
    "window-pure",
    Role.STRATEGY,
    promise="a restart that shows it twice its lookback() gives the same signals",
    remedy="compute from the last lookback() bars of each symbol, or keep a declared record",
)
def window_pure(subject: Subject) -> Outcome:
    cases = 0
    for market in subject.markets():
        bot = subject.bot(market)
        whole = bot.again().run().tables
        for world in _worlds_at(bot, at_minutes(market, CUTS)):
            cases += 1
            once, twice = (_restarted(bot, world, factor) for factor in (1, 2))
            if once == twice == whole:
                continue
            where = f"restarted at {world.exchange.now():%Y-%m-%d %H:%M} UTC of {market.name}"
            return _told(subject, cases, where, market, bot, world, whole)
    return passed(cases)


def _told(
    subject: Subject,
    cases: int,
    where: str,
    market: Market,
    bot: Bot,
    world: DurableWorld,
    whole: Tables,
) -> Outcome:
    """Say whether a longer lookback would do, and how long; else that older bars count for ever."""
    lookback = subject.lookback
    difference = first_difference(whole, _restarted(bot, world, 1)) or first_difference(
        whole, _restarted(bot, world, 2), ("the uninterrupted run", "one with twice the lookback")
    )
    enough = next((f for f in FACTORS if _restarted(bot, world, f) == whole), None)
    if enough is not None and _restarted(bot, world, 1) != whole:
        least = _least(bot, world, whole, lookback * (enough - 1) // 2, lookback * enough)
        remedy = (
            f"lookback() returns {lookback}, and here it needs {least}: count the bars of each symbol, "
            "also where another symbol that it looks at has gaps, or recompute from fewer"
        )
        return failed(
            cases, f"{where}, with its lookback of {lookback}: {difference}", market.name, remedy
        )
    remedy = (
        "it depends on bars before its lookback(), as a running sum, a count or an average without end "
        "does: recompute from a window of bars, or keep the state in a declared record"
    )
    return failed(cases, f"{where}: {difference}", market.name, remedy)


def _least(bot: Bot, world: DurableWorld, whole: Tables, low: int, high: int) -> int:
    """Return the shortest lookback that gives the same tables, between one that does not and one that does."""
    while low + 1 < high:
        middle = (low + high) // 2
        if _restarted_with(bot, world, middle) == whole:
            high = middle
        else:
            low = middle
    return high


def _restarted(bot: Bot, world: DurableWorld, factor: int) -> Tables:
    def longer(plugins: Plugins) -> None:
        own = plugins.lookback()
        plugins.lookback = lambda: max(own, 2) * factor  # type: ignore[method-assign]

    restart = bot.again(world)
    restart.start(tailor=longer)
    return restart.run().tables


def _restarted_with(bot: Bot, world: DurableWorld, bars: int) -> Tables:
    restart = bot.again(world)
    restart.start(tailor=lambda plugins: setattr(plugins, "lookback", lambda: bars))
    return restart.run().tables


def _worlds_at(bot: Bot, times: Sequence[datetime]) -> list[DurableWorld]:
    """Return what a bot kept at some times."""
    living, found = bot.again(), []
    for time in times:
        minutes = (time - living.exchange.now()) // MINUTE
        if minutes > 0:
            living.run(minutes)
            found.append(living.world.copy())
    living.kill()
    return found
