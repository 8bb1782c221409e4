"""The results of a probe: on the screen, as JSON, and in the file that the paper exchange plays back."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from smabot.provider import ConfigError
from smabot_alpaca.probe.assumption import Assumption
from smabot_alpaca.probe.probe_account import ProbeAccount
from smabot_alpaca.probe.probe_run import Probe, Result, Trial

VERSION = 1
WIDTH = 80
MASK = "********"
_MARGIN = 18


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """A probe and what it is about. ``secrets`` are masked wherever they stand."""

    probe: Probe
    host: str
    symbol: str
    market: str
    time: datetime
    secrets: Sequence[str]

    @classmethod
    def of(
        cls, probe: Probe, at: ProbeAccount, time: datetime, secrets: Sequence[str]
    ) -> ProbeReport:
        market = "open" if at.market_is_open else "closed"
        return cls(probe, at.connection.endpoints.host, at.symbol, market, time, secrets)

    def document(self, *, answers: bool) -> dict[str, Any]:
        """Return it as JSON has it, with or without the raw answers."""
        behaviours = as_seen(self.probe.trials)
        document = {
            "smabot_probe": VERSION,
            "time": f"{self.time:%Y-%m-%dT%H:%M:%SZ}",
            "host": self.host,
            "symbol": self.symbol,
            "market": self.market,
            "left": list(self.probe.left),
            "as_seen": behaviours,
            "assumptions": [
                _trial_json(trial, behaviours, answers=answers) for trial in self.probe.trials
            ],
        }
        masked: dict[str, Any] = json.loads(self._masked(json.dumps(document, ensure_ascii=False)))
        return masked

    def write(self, path: Path) -> None:
        """Write the file. Raises ConfigError where it can't be written."""
        text = json.dumps(self.document(answers=True), indent=1, ensure_ascii=False)
        try:
            path.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise ConfigError(
                f"--out {path}: can't be written: {error.strerror or error}"
            ) from error

    def screen(self, path: Path) -> Iterator[str]:
        """Yield the lines of the screen, 80 columns wide."""
        yield f"assumptions of docs/wire.md at {self.host}, {self.symbol}, market {self.market}"
        section = ""
        for trial in self.probe.trials:
            if trial.assumption.section != section:
                section = trial.assumption.section
                yield section
            yield from map(self._masked, trial_lines(trial))
        yield ""
        results = [trial.result for trial in self.probe.trials]
        differing = results.count(Result.DIFFERS)
        yield (
            f"{results.count(Result.AS_EXPECTED)} as expected, "
            f"{differing} {'differs' if differing == 1 else 'differ'}, "
            f"{results.count(Result.NOT_TRIED)} not tried"
        )
        for line in self.probe.left:
            yield from _row("LEFT", line)
        yield f"written to {path}; play it back: smabot exchange serve --as {path}"

    def _masked(self, text: str) -> str:
        for secret in self.secrets:
            text = text.replace(secret, MASK)
        return text


def as_seen(trials: Sequence[Trial]) -> dict[str, Any]:
    """Return the behaviours that differ, as the paper exchange plays them back; of two values the first
    counts."""
    found: dict[str, Any] = {}
    for trial in trials:
        for path, value in trial.plays.items():
            *groups, name = path.split(".")
            place = found
            for group in groups:
                place = place.setdefault(group, {})
            place.setdefault(name, value)
    return found


def is_played_back(trial: Trial, behaviours: Mapping[str, Any]) -> bool:
    """Whether the behaviours are what an assumption saw: another one may have seen something else."""
    for path, value in trial.plays.items():
        place: Any = behaviours
        for name in path.split("."):
            place = place[name]
        if place != value:
            return False
    return bool(trial.plays)


def trial_lines(trial: Trial) -> Iterator[str]:
    """Yield a result: number, result, assumption, and below them what was expected and seen."""
    yield from _row(f"{trial.assumption.number:>3}  {trial.result}", trial.assumption.text)
    if trial.result is Result.NOT_TRIED:
        yield from _row("       why", trial.why)
        return
    yield from _row("       expected", trial.assumption.expected)
    same = trial.result is Result.AS_EXPECTED
    yield from _row("       seen", "the same" if same else trial.seen)


def assumption_lines(assumption: Assumption) -> Iterator[str]:
    """Yield an assumption, as the list of all of them shows it."""
    needs = f"market {assumption.market}" if assumption.market else ""
    if assumption.procedure is None:
        needs = "not tried"
    yield from _row(f"{assumption.number:>3}  {needs}", assumption.text)
    yield from _row("       expected", assumption.expected)
    if assumption.why_untried:
        yield from _row("       why", assumption.why_untried)


def assumption_json(assumption: Assumption) -> dict[str, Any]:
    return {
        "number": assumption.number,
        "section": assumption.section,
        "assumption": assumption.text,
        "expected": assumption.expected,
        "market": assumption.market or "any",
        "why_untried": assumption.why_untried or None,
    }


def _trial_json(trial: Trial, behaviours: Mapping[str, Any], *, answers: bool) -> Mapping[str, Any]:
    raw = {"answers": list(trial.answers)} if answers else {}
    return {
        "number": trial.assumption.number,
        "section": trial.assumption.section,
        "assumption": trial.assumption.text,
        "expected": trial.assumption.expected,
        "seen": trial.seen or None,
        "result": str(trial.result),
        "why": trial.why or None,
        "played_back": is_played_back(trial, behaviours),
        **raw,
    }


def _row(title: str, text: str) -> list[str]:
    return textwrap.wrap(
        text or "nothing",
        WIDTH - 1,
        initial_indent=f"{title:<{_MARGIN}}",
        subsequent_indent=" " * _MARGIN,
        break_on_hyphens=False,
    )
