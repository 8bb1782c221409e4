"""What every plugin promises that takes part in decisions: a kill changes nothing."""

from __future__ import annotations

from smabot.testing.kill_everywhere import kill_everywhere, try_kill_at
from smabot.testing.verifying.plugin_checks import DECIDING, Outcome, check, failed, passed
from smabot.testing.verifying.subject import Subject


@check(
    "restart-safe",
    *DECIDING,
    promise="killed anywhere and restarted, the bot ends with the same tables, row by row",
    remedy="keep state in declared records, or recompute it from the last lookback() bars: a kill "
    "loses attributes",
)
def restart_safe(subject: Subject) -> Outcome:
    kills = 0
    for market in subject.markets():
        bot = subject.bot(market)
        if subject.boundaries:
            report = try_kill_at(bot, subject.boundaries)
        else:
            report = kill_everywhere(bot, subject.most_kills)
        kills += report.kills
        if (failure := report.failure) is not None:
            path = ".".join(map(str, failure.case.path))
            return failed(
                kills, f"killed at {failure.case}: {failure.what}", f"{market.name}/{path}"
            )
    return passed(kills)
