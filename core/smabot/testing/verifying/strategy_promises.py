"""What a strategy promises: its signals follow from the last `lookback()` bars, and from no later ones."""

from __future__ import annotations

from smabot.domain.records import Signal
from smabot.testing.verifying.check_progress import affordable, minutes_of_cut
from smabot.testing.verifying.early_reads import early_reads
from smabot.testing.verifying.generated_markets import LONGEST, at_minutes, with_other_future
from smabot.testing.verifying.lookback_diagnosis import (
    CUTS,
    decisions,
    otherwise_on,
    remedy_for,
    restarts,
)
from smabot.testing.verifying.plugin_checks import Outcome, check, failed, passed, runs, unproved
from smabot.testing.verifying.plugin_roles import Role
from smabot.testing.verifying.signalled_bars import OWN_BAR, stray_signals
from smabot.testing.verifying.subject import Subject

FUTURES = 5
"""Minutes of each market after which the future is another one."""


@check(
    "signals",
    Role.STRATEGY,
    promise="it signals on the bars that it is verified on, so that the other checks prove something",
    remedy="give bars on which it signals with --data PATH, its symbols with --symbols KO,PEP, or "
    "shorter windows with --set NAME.KEY=VALUE",
)
def signals(subject: Subject) -> Outcome:
    found: list[Signal] = []
    bars = 0
    for market in subject.markets():
        found += subject.bot(market).run().rows(Signal)
        bars += len(market.bars)
    if not any(signal.target for signal in found):
        said = "never signalled an entry" if found else "never signalled"
        if subject.lookback >= LONGEST:
            said += f": lookback() returns {subject.lookback:,}, and markets have at most {LONGEST:,} minutes"
        return unproved(len(found), f"{said}: {bars:,} bars; nothing proved")
    return passed(len(found), f"signals on {bars:,} bars")


def _effort_of_cuts(subject: Subject) -> float:
    each = minutes_of_cut(subject.lookback)
    return len(subject.markets()) * each * affordable(CUTS, each)


@check(
    "window-pure",
    Role.STRATEGY,
    promise="a restart that shows it twice its lookback() gives the same signals",
    remedy="compute from the last lookback() bars of each symbol, or keep a declared record",
    effort=_effort_of_cuts,
)
def window_pure(subject: Subject) -> Outcome:
    cases, lookback, markets = 0, subject.lookback, subject.markets()
    expected = len(markets) * affordable(CUTS, minutes_of_cut(lookback))
    for market in markets:
        bot = subject.bot(market)
        for each in restarts(bot, market, lookback):
            cases += 1
            subject.progress.part(cases / expected)
            for shown in (lookback, 2 * lookback):
                decided = each.decided(bot, shown)
                if decided != each.expected:
                    otherwise = otherwise_on(decided, each.expected, "without the restart")
                    said = (
                        f"restarted at {each.since:%Y-%m-%d %H:%M} UTC of the market '{market.name}', it "
                        f"decides otherwise on {otherwise}"
                    )
                    return failed(cases, said, market.name, remedy_for(subject, bot, market))
    return passed(cases)


@check(
    "no-lookahead",
    Role.STRATEGY,
    promise="its signals are for the bar that it is given, and another future does not change them",
    remedy="decide from the bar and older ones: read no data file, and nothing of the feed or broker",
    effort=runs(2 + FUTURES),
)
def no_lookahead(subject: Subject) -> Outcome:
    cases, reads = 0, early_reads(subject)
    for each in reads:
        if subject.data and each.is_within(subject.data):
            return failed(1, f"it reads {each}, the data that it is tried on")
    markets = subject.markets()
    for number, market in enumerate(markets):
        subject.progress.part(number / len(markets))
        bot = subject.bot(market)
        if strays := stray_signals(bot):
            return failed(cases + 1, strays[0], market.name, OWN_BAR)
        whole = bot.again().run()
        for time in at_minutes(market, FUTURES):
            cases += 1
            other = subject.bot(with_other_future(market, time)).run()
            begin = market.bars[0].time
            here, there = decisions(other, begin, time), decisions(whole, begin, time)
            if here != there:
                said = (
                    f"with other prices from {time:%Y-%m-%d %H:%M} UTC on of the market '{market.name}', it "
                    f"decides otherwise on an earlier bar, {otherwise_on(here, there, 'without them')}"
                )
                return failed(cases, said, market.name)
    unseen = ", ".join(map(str, reads))
    return passed(cases, f"not seen: what it knows from {unseen}" if reads else "")
