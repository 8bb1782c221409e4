"""For tests of bots and plugins: a fake exchange, and what proves that a bot keeps its promises.

`Book` is the one of `smabot.api` to a program; a type checker lets a test change this one.
`GuardMachine` needs hypothesis: ``pip install smabot[testing]``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smabot.domain.book import Book
    from smabot.testing.fake_bot import FakeBot
    from smabot.testing.fake_exchange import FakeExchange
    from smabot.testing.state_machine import GuardMachine

__all__ = ["Book", "FakeBot", "FakeExchange", "GuardMachine"]

_WHERE = {
    "Book": "smabot.domain.book",
    "FakeBot": "smabot.testing.fake_bot",
    "FakeExchange": "smabot.testing.fake_exchange",
    "GuardMachine": "smabot.testing.state_machine",
}


def __getattr__(name: str) -> Any:
    """Import a name when it is asked for: not everybody has hypothesis."""
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    from smabot.old_names import answer

    return answer(__name__, name)
