"""Where minute bars come from: data files or the simulated market, by the name that a setting gives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from smabot.provider import Bar, ConfigError


class DataSource(Protocol):
    """Where bars come from: a tape or a made market."""

    @property
    def label(self) -> str: ...

    def signature(self) -> str:
        """Return a cheap sign of the contents; the fingerprint is compared where it differs."""
        ...

    def fingerprint(self) -> str: ...

    def bars(self) -> Iterator[Bar]: ...


def open_data(spec: str) -> DataSource:
    """Return the source of ``made``, ``made:…`` or a path. Raises ConfigError."""
    if spec == "made" or spec.startswith("made:"):
        from smabot_exchange.data.simulated_market import SimulatedMarket

        return SimulatedMarket.parse(spec)
    from smabot_exchange.data.data_files import DataFiles

    try:
        return DataFiles(Path(spec).expanduser())
    except OSError as error:
        raise ConfigError(f"tape {spec}: can't be read: {error.strerror}") from None
    except RuntimeError:  # as expanduser says it
        raise ConfigError(f"tape {spec}: nobody of that name has a home here") from None
