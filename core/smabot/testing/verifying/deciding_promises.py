"""What every plugin promises that takes part in decisions: a kill changes nothing, nor does the machine."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import thread_time
from typing import Any

from smabot.testing.kill_everywhere import kill_everywhere, try_kill_at
from smabot.testing.kill_points import wrap_hooks
from smabot.testing.table_comparison import first_difference
from smabot.testing.verifying.check_progress import affordable, minutes_of_kill
from smabot.testing.verifying.hash_seeds import tables_under_seed
from smabot.testing.verifying.lookback_diagnosis import LOST, remedy_for
from smabot.testing.verifying.plugin_checks import Outcome, check, failed, passed, runs
from smabot.testing.verifying.plugin_roles import DECIDING, Role
from smabot.testing.verifying.purity_guard import PurityGuard, own_folder
from smabot.testing.verifying.subject import MOST_KILLS, Subject

SLOW_MS = 50.0
"""Milliseconds of CPU: a hook that takes so long at half of its calls is slow."""
SEEDS = ("1", "2")


def _effort_of_kills(subject: Subject) -> float:
    lookback = subject.lookback
    return sum(
        minutes_of_kill(market, lookback)
        * affordable(MOST_KILLS, minutes_of_kill(market, lookback))
        for market in subject.markets()
    )


@check(
    "restart-safe",
    *DECIDING,
    promise="killed anywhere and restarted, the bot ends with the same tables, row by row",
    remedy=LOST,
    effort=_effort_of_kills,
)
def restart_safe(subject: Subject) -> Outcome:
    kills = tried = states = 0
    markets = subject.markets()
    for number, market in enumerate(markets):

        def tell(part: float, before: int = number) -> None:
            subject.progress.part((before + part) / len(markets))

        bot = subject.bot(market)
        if subject.boundaries:
            report = try_kill_at(bot, subject.boundaries)
        else:
            report = kill_everywhere(bot, subject.most_kills(market), tell)
        kills, tried, states = kills + report.kills, tried + report.tried, states + report.states
        if (failure := report.failure) is not None:
            path = ".".join(map(str, failure.case.path))
            said = f"killed at {failure.case} of the market '{market.name}': {failure.what}"
            decides = Role.STRATEGY in subject.roles
            remedy = remedy_for(subject, bot, market) if decides else ""
            return failed(kills, said, f"{market.name}/{path}", remedy)
    return passed(kills, f"in {tried:,} of {states:,} states")


@check(
    "no-globals",
    *DECIDING,
    promise="it keeps nothing in variables of its module or class, which no declared record has",
    remedy="keep it in the plugin's attributes if lookback() bars restore it, else in a declared record",
)
def no_globals(subject: Subject) -> Outcome:
    cases = 0
    for market in subject.markets():
        cases += 1
        subject.bot(market).run()
        if name := subject.modules.changed():
            return failed(cases, f"{name} is another one after a run", market.name)
    return passed(cases)


@check(
    "pure-hooks",
    *DECIDING,
    promise="no hook reads a clock, chance, a file or a socket; logging is allowed",
    remedy="take the time from bar.time or book.now, and all else from bars, the book and settings",
    effort=runs(3),
)
def pure_hooks(subject: Subject) -> Outcome:
    calls = 0
    guard = PurityGuard(own_folder(subject.target))

    def counted(call: Callable[..., Any], name: str, hook: str) -> Callable[..., Any]:
        watched = guard.wrap(call, name, hook)

        def called(*args: Any) -> Any:
            nonlocal calls
            calls += 1
            return watched(*args)

        return called

    for market in subject.markets():
        bot = subject.bot(market)
        with guard.watching_pandas():
            bot.start(tailor=lambda plugins: wrap_hooks(plugins, [subject.name], counted))
            bot.run()
        if guard.found:
            worst = next(iter(guard.found.values()))
            more = f", and {len(guard.found) - 1} more" if len(guard.found) > 1 else ""
            return failed(calls, f"{worst}{more}", market.name, worst.remedy)
    return passed(calls)


@check(
    "deterministic",
    *DECIDING,
    promise="the order of the symbols and Python's hash seed change nothing",
    remedy="do not let the order of a set, of hash() or id() decide: sort first",
    effort=runs(4),
)
def deterministic(subject: Subject) -> Outcome:
    cases = 0
    for market in subject.markets():
        cases += 1
        bot = subject.bot(market)
        symbols = sorted({bar.symbol for bar in market.bars})
        one, other = (bot.with_settings(symbols=o).run().tables for o in (symbols, symbols[::-1]))
        difference = first_difference(one, other, ("one order of symbols", "the other"))
        if difference is not None:
            return failed(cases, f"{difference} of the market '{market.name}'", market.name)
    seeded = tables_under_seed(subject, subject.markets(), SEEDS).values()
    said = [f"a process with PYTHONHASHSEED={seed}" for seed in SEEDS]
    for market, one, other in zip(subject.markets(), *seeded, strict=True):
        cases += 1
        difference = first_difference(one, other, said)
        if difference is not None:
            return failed(cases, f"{difference} of the market '{market.name}'", market.name)
    return passed(cases)


@check(
    "quick",
    *DECIDING,
    promise=f"each hook takes less than {SLOW_MS:.0f} ms of CPU at half of its calls",
    remedy="do less at each call, as by a running window of integers; all symbols of a minute share it",
)
def quick(subject: Subject) -> Outcome:
    times: dict[str, list[float]] = {}

    def timed(call: Callable[..., Any], name: str, hook: str) -> Callable[..., Any]:
        taken = times.setdefault(hook, [])

        def timing(*args: Any) -> Any:
            begun = thread_time()
            answer = call(*args)
            taken.append((thread_time() - begun) * 1000)
            return answer

        return timing

    for market in subject.markets():
        bot = subject.bot(market)
        bot.start(tailor=lambda plugins: wrap_hooks(plugins, [subject.name], timed))
        bot.run()
    halves = {hook: median(taken) for hook, taken in times.items() if taken}
    calls = sum(map(len, times.values()))
    if not halves:
        return passed(0)
    slowest = max(halves, key=lambda hook: halves[hook])
    said = f"{slowest} {halves[slowest]:.2f} ms"
    if halves[slowest] <= SLOW_MS:
        return passed(calls, said)
    return failed(calls, f"{said} at half of its calls, at most {max(times[slowest]):.0f} ms")
