"""What is assumed of Alpaca, and how it is tried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from smabot_alpaca.probe.probe_account import ProbeAccount
from smabot_alpaca.probe.seen import Seen

Market = Literal["", "open", "closed"]


@dataclass(frozen=True, slots=True)
class Assumption:
    """``procedure`` tries it at an account; ``why_untried`` says why there is none. ``section`` is the
    heading in docs/wire.md; ``market``: whether it takes one that is open, or closed."""

    number: int
    section: str
    text: str
    expected: str
    procedure: Callable[[ProbeAccount], Seen] | None = None
    market: Market = ""
    why_untried: str = ""
