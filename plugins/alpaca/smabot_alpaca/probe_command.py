"""What `smabot alpaca probe` does: connects, tries, shows and writes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from smabot_alpaca.credentials import LOOPBACK, Credentials
from smabot_alpaca.probe.assumption import Assumption
from smabot_alpaca.probe.probe_guard import connect_to_paper, open_account
from smabot_alpaca.probe.probe_report import ProbeReport, assumption_json, assumption_lines
from smabot_alpaca.probe.probe_run import Trial, run_probe

if TYPE_CHECKING:
    from smabot.api import App
    from smabot_alpaca.settings import AlpacaSettings

INTERRUPTED = 130


def list_assumptions(app: App, assumptions: Sequence[Assumption]) -> int:
    """Show assumptions without trying them; returns the exit code."""
    lines = [line for each in assumptions for line in assumption_lines(each)]
    app.emit([assumption_json(each) for each in assumptions], lines)
    return 0


def probe_account(
    app: App,
    settings: AlpacaSettings,
    assumptions: Sequence[Assumption],
    symbol: str,
    url: str | None,
    out: Path | None,
    *,
    despite_open: bool,
) -> int:
    """Try assumptions, show and write the results; returns the exit code.

    Raises ConfigError where the probe is refused, BrokerError where the broker does not answer.
    """
    connection = connect_to_paper(app.config(), settings, url)
    try:
        begun = datetime.now(UTC)
        at, numbers = open_account(connection, symbol, begun, despite_open=despite_open)
        probe = run_probe(at, assumptions, _Progress(len(assumptions)).show)
        secrets = [*secrets_of(connection.credentials), *numbers]
        report = ProbeReport.of(probe, at, begun, secrets)
        path = out or Path(f"smabot-probe-{begun:%Y-%m-%d-%H%M%S}.json")
        app.emit(report.document(answers=False), list(report.screen(path)))
        report.write(path)
    finally:
        connection.rest.close()
    if probe.ended_by is not None:
        raise probe.ended_by
    if probe.interrupted:
        return INTERRUPTED
    return 0 if probe.all_as_expected else 1


def secrets_of(key: Credentials) -> list[str]:
    """Return a key's id and secret, but not those of the built-in exchange, which are everybody's."""
    public = {LOOPBACK.key_id.get_secret_value(), LOOPBACK.secret_key.get_secret_value()}
    pair = (key.key_id.get_secret_value(), key.secret_key.get_secret_value())
    return [each for each in pair if each not in public]


class _Progress:
    """The number of assumptions tried, on a terminal."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0

    def show(self, trial: Trial) -> None:
        self._done += 1
        if not sys.stderr.isatty():
            return
        end = self._done == self._total
        text = "" if end else f"{self._done} of {self._total}  {trial.assumption.text[:60]}"
        click.echo(f"\r\x1b[K{text}", err=True, nl=False)
