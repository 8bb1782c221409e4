"""smabot: a trading bot that may be killed at any moment."""

from __future__ import annotations

__version__ = "0.1.0"
