"""Where minute bars come from: data files or the simulated market, by the name that a setting gives."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Protocol

from smabot.provider import Bar, ConfigError, note_renamed
from smabot_exchange.data.corporate_actions import ListedAction

DEFAULT_DATA = "simulated"
_OLD_NAME = "made"
"""Of the simulated market, until 1.0."""
_SHOWN = (("made market", "simulated market"), ("tape ", "data "))


class DataSource(Protocol):
    """Minute bars, and what distinguishes them from others."""

    @property
    def label(self) -> str:
        """What it is called on screens and in errors."""
        ...

    @property
    def stored_label(self) -> str:
        """What it is called in ledgers, the same in every version."""
        ...

    @property
    def half_spread(self) -> Decimal:
        """US dollars a share that a fill on these bars costs, unless the settings say otherwise."""
        ...

    def signature(self) -> str:
        """Return a cheap sign of the contents; the fingerprint is compared where it differs."""
        ...

    def fingerprint(self) -> str: ...

    def longer(self) -> str:
        """Return what to give as ``--data`` for more sessions after the last one."""
        ...

    def cannot_extend(self, signature: str) -> str:
        """Return why these can't be the data of a ledger with that signature and more after them.

        Empty where they may be: the bars tell.
        """
        ...

    def continuing(self, signature: str) -> DataSource:
        """Return the same as a ledger goes on with it that keeps this signature."""
        ...

    def bars(self) -> Iterator[Bar]: ...

    def actions(self) -> tuple[ListedAction, ...]:
        """Return the corporate actions that the data list, by ex-date. Raises ConfigError for a bad list."""
        ...


def is_simulated(spec: str) -> bool:
    """Whether a name means a simulated market, no files."""
    return spec.partition(":")[0] in (DEFAULT_DATA, _OLD_NAME)


def open_data(spec: str, zone: str | None = None) -> DataSource:
    """Return the source that ``simulated``, ``simulated:…`` or a path names. Raises ConfigError.

    ``zone`` is the time zone of times in files that have none.
    """
    if is_simulated(spec):
        from smabot_exchange.data.simulated_market import SimulatedMarket

        kind, colon, rest = spec.partition(":")
        if kind == _OLD_NAME:
            note_renamed(_OLD_NAME, DEFAULT_DATA, "data")
        return SimulatedMarket.parse(DEFAULT_DATA + colon + rest)
    from smabot_exchange.data.data_files import DataFiles

    try:
        return DataFiles(Path(spec).expanduser(), zone)
    except OSError as error:
        raise ConfigError(f"data {spec}: can't be read: {error.strerror}") from None
    except RuntimeError:  # as expanduser says it
        raise ConfigError(f"data {spec}: there is no user of that name") from None


def shown_label(stored: str) -> str:
    """Return a label, or a line that begins with one, as screens show it: ledgers keep the first names."""
    for kept, shown in _SHOWN:
        if stored.startswith(kept):
            return shown + stored.removeprefix(kept)
    return stored
