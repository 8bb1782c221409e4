"""How times look on the screen: short, in the exchange's zone, or in UTC where ``--utc`` asks for it.

A time says when something happened. What a bar led to happened at the bar's end. JSON and CSV have
full UTC times instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from smabot.domain.calendar import EXCHANGE_ZONE

Moment = datetime | None
IN_TEXT = re.compile(
    r"(?<![\w:.-])(?:(?P<day>\d{4}-\d\d-\d\d) )?(?P<clock>\d\d:\d\d(?P<seconds>:\d\d)?)(?:Z| UTC|\+00:00)\b"
)
"""UTC times as stored texts have them: ``2026-03-02 15:31 UTC``, ``15:31:00 UTC``, ``15:31Z``,
``2026-03-02 15:31:00+00:00``."""


class Times:
    """Writes UTC times as a reader wants them; every method returns an empty text for None."""

    def __init__(self, *, utc: bool = False) -> None:
        self._zone = UTC if utc else EXCHANGE_ZONE
        self.zone = "UTC" if utc else "ET"
        """The zone's short name: ET, of New York, where the exchange is."""
        self.place = "UTC" if utc else "New York"
        """The zone's name where there is room for it."""

    def full(self, time: Moment, *, seconds: bool = False) -> str:
        """Return date, time and zone, for a sentence: ``2026-03-02 10:31 ET``."""
        return f"{self.day(time)} {self.clock(time, seconds=seconds)} {self.zone}" if time else ""

    def day(self, time: Moment) -> str:
        """Return the date: ``2026-03-02``."""
        return self._format(time, "%Y-%m-%d")

    def clock(self, time: Moment, *, seconds: bool = False) -> str:
        """Return the time of day: ``10:31``."""
        return self._format(time, "%H:%M:%S" if seconds else "%H:%M")

    def in_text(self, text: str, near: Moment = None) -> str:
        """Return a stored text with its UTC times as this screen shows times.

        A time without a date is of the day of ``near``; without one it stays as it is.
        """

        def shown(match: re.Match[str]) -> str:
            day, seconds = match["day"], match["seconds"] is not None
            if day is None and near is None:
                return match[0]
            if day is None and near is not None:
                day = near.astimezone(UTC).date().isoformat()
            try:
                time = datetime.fromisoformat(f"{day}T{match['clock']}+00:00")
            except ValueError:
                return match[0]
            if match["day"]:
                return self.full(time, seconds=seconds)
            return f"{self.clock(time, seconds=seconds)} {self.zone}"

        return IN_TEXT.sub(shown, text)

    def column(
        self,
        records: Iterable[Any],
        time_of: Callable[[Any], Moment],
        *,
        seconds: bool = False,
    ) -> tuple[str, Callable[[Any], str]]:
        """Return a table's column of times: its title and its cells, ``03-02 10:31``.

        The title has the year and the zone; where the records are of several years, each cell has its
        year.
        """
        years = {self._format(time, "%Y") for time in map(time_of, records) if time is not None}
        of_one_year = len(years) <= 1
        pattern = ("%m-%d " if of_one_year else "%Y-%m-%d ") + ("%H:%M:%S" if seconds else "%H:%M")
        title = " ".join([*years, self.zone]) if of_one_year else self.zone
        return title, lambda record: self._format(time_of(record), pattern)

    def _format(self, time: Moment, pattern: str) -> str:
        return "" if time is None else time.astimezone(self._zone).strftime(pattern)
