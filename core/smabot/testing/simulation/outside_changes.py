"""What others did to the account: the bot may then be surprised, and must not call it profit."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from smabot.domain.records import ZERO


@dataclass
class OutsideChanges:
    """Since the beginning of a run. Cash in US dollars."""

    traded: bool = False
    """Whether somebody else traded, or shares were split."""
    deposited: Decimal = ZERO
    """Cash that came, less what went."""
    moved: bool = False
    """Whether cash came or went."""

    def __bool__(self) -> bool:
        """Whether anything happened, so that a conflict is right."""
        return self.traded or self.moved
