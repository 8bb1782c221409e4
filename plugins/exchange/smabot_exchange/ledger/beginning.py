"""Where in its data a new ledger's clock starts: what lies before is the past."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from smabot.provider import EXCHANGE_ZONE, ConfigError, Session
from smabot_exchange.data.data_source import DataSource


@dataclass(frozen=True, slots=True)
class Beginning:
    """After ``history`` sessions (None: not asked for, none in a new ledger), at a ``time``, UTC, which the
    clock of the wall shows, or with the first session that ends after ``since``, UTC."""

    history: int | None = None
    time: datetime | None = None
    since: datetime | None = None

    def around(self, source: DataSource) -> DataSource:
        """Return data that have that much of a past, as far as their description leaves it open."""
        from smabot_exchange.data.simulated_market import SimulatedMarket

        if not isinstance(source, SimulatedMarket):
            return source
        today = None if self.time is None else self.time.astimezone(EXCHANGE_ZONE).date()
        return source.with_past(self.history or 0, today)

    def start(self, played: Sequence[Session], label: str) -> datetime:
        """Return when the clock of a new ledger starts; ``played`` are the data's sessions.

        Raises ConfigError when nothing would be left to replay.
        """
        if self.time is not None:
            last = played[-1].close
            if self.time >= last:
                raise ConfigError(
                    f"{label}: ends {last:%Y-%m-%d %H:%MZ}, before now: a clock that follows the wall "
                    "clock needs data of today"
                )
            return self.time.replace(second=0, microsecond=0)
        if self.since is not None:
            return self._first_open(played, self.since, label)
        history = self.history or 0
        if history >= len(played):
            raise ConfigError(
                f"{label}: has {len(played)} sessions, and {history} of them would be history: leave one "
                "at least to be replayed"
            )
        return played[history].open

    @property
    def since_text(self) -> str:
        """``since`` as a ledger keeps it; empty where it is not asked for."""
        return "" if self.since is None else f"{self.since:%Y-%m-%d %H:%M:%SZ}"

    @staticmethod
    def _first_open(played: Sequence[Session], since: datetime, label: str) -> datetime:
        first = next((session for session in played if session.close > since), None)
        if first is None:
            raise ConfigError(
                f"{label}: has the sessions from {played[0].date} to {played[-1].date}: nothing is left from "
                f"{since.astimezone(EXCHANGE_ZONE):%Y-%m-%d} on"
            )
        return first.open

    def check(self, path: Path, meta: Mapping[str, str]) -> None:
        """Raise ConfigError unless an existing ledger has that much of a past, where it is asked for."""
        if self.time is not None:
            return
        kept = int(meta.get("history", "0"))
        if self.history is not None and self.history != kept:
            raise _other(path, "history", kept, self.history)
        if self.since is not None and self.since_text != meta.get("since", ""):
            raise _other(path, "since", meta.get("since") or "not set", self.since_text)


def _other(path: Path, setting: str, kept: object, wanted: object) -> ConfigError:
    return ConfigError(
        f"ledger {path}: was opened with {setting} {kept}, the settings say {wanted}; set it back or give "
        "another --ledger or --db"
    )
