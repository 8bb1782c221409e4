"""For tests of bots and plugins: a bot in process, a fake exchange, and checks that a plugin keeps its promises.

pytest offers `bars`, `order`, `fill` and `bot` (a `Bot`) as fixtures, too.

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
    from smabot.testing.in_process_bot import Bot
    from smabot.testing.sample_records import bars, fill, order, sessions
    from smabot.testing.state_machine import GuardMachine
    from smabot.testing.verifying.verification import plugin_promises

__all__ = [
    "Book",
    "Bot",
    "FakeBot",
    "FakeExchange",
    "GuardMachine",
    "bars",
    "fill",
    "order",
    "plugin_promises",
    "sessions",
]

_WHERE = {
    "Book": "smabot.domain.book",
    "Bot": "smabot.testing.in_process_bot",
    "FakeBot": "smabot.testing.fake_bot",
    "FakeExchange": "smabot.testing.fake_exchange",
    "GuardMachine": "smabot.testing.state_machine",
    "bars": "smabot.testing.sample_records",
    "fill": "smabot.testing.sample_records",
    "order": "smabot.testing.sample_records",
    "plugin_promises": "smabot.testing.verifying.verification",
    "sessions": "smabot.testing.sample_records",
}


def __getattr__(name: str) -> Any:
    """Import a name when it is asked for: not everybody has hypothesis."""
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    from smabot.old_names import answer

    return answer(__name__, name)
