"""What a run of the state machine begins with: its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Scene:
    """Files to begin from, made once and copied for each run: a database, a ledger, and their data."""

    database: Path
    ledger: Path
    data: str
    symbols: tuple[str, ...]
    settings: Mapping[str, Any]
    drawdown: Decimal
    """The fraction of the opening cash at whose loss the breaker trips."""
