"""How a run ended, in words, from its row of `runs`."""

from __future__ import annotations

from typing import Any

from smabot.cli.run_settings import settings_of
from smabot.domain.bot_records import Run

BACKTEST = "backtest"
"""Where the settings come from that a backtest has, whatever others say."""
OUTCOMES = {
    "ended": "ended with the data",
    "until": "ended at --until",
    "stopped": "was stopped",
    "flat": "closed all positions",
    "not flat": "could not close all positions",
}


def how_it_ended(run: Run, *, running: bool) -> str:
    """Return how a run ended: a word or two; ``running``: it is the one that runs now."""
    if run.ended_at is None:
        if running:
            return "running" if run.ready_ms is not None else "starting"
        return "killed" if run.ready_ms is not None else "killed at its start"
    if run.outcome in OUTCOMES:
        return OUTCOMES[run.outcome]
    return f"failed, exit code {run.exit_code}"


def failure_of(run: Run) -> str:
    """Return why a run failed; empty where it did not."""
    return "" if run.ended_at is None or run.outcome in OUTCOMES else run.outcome


def is_backtest(run: Run) -> bool:
    """Tell whether a run was a backtest, which nothing resumes; False where its settings were not recorded."""
    return any(each.origin == BACKTEST for each in settings_of(run) or ())


def running_id(rows: Any) -> str:
    """Return the id of the run that runs now on a journal, or an empty text."""
    if not rows.in_use():
        return ""
    newest = rows.rows(Run, newest_by="run_id", limit=1)
    return newest[0].run_id if newest and newest[0].ended_at is None else ""
