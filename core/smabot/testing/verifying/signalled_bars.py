"""For which bars a strategy signals: a signal for another bar than the one it is given is no order at that bar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from smabot.domain.records import Bar, Signal
from smabot.testing.in_process_bot import Bot
from smabot.testing.kill_points import wrap_hooks

OWN_BAR = "return Signal.long(bar) or Signal.flat(bar) of a bar of the minute: it trades now"
"""What the author of a strategy does that signals for other bars."""


def stray_signals(bot: Bot) -> list[str]:
    """Return what was signalled for another minute than the one decided on."""
    found: list[str] = []

    def watched(call: Callable[..., Any], name: str, hook: str) -> Callable[..., Any]:
        def on_bar(*args: Any) -> Any:
            answer = call(*args)
            bar = next((each for each in args if isinstance(each, Bar)), None)
            signals = answer if isinstance(answer, list) else [answer]
            strays = [
                s for s in signals if isinstance(s, Signal) and bar and s.bar_time != bar.time
            ]
            for stray in strays[:1]:
                assert bar is not None
                found.append(
                    f"on the bar of {bar.time:%Y-%m-%d %H:%M} UTC it signals for the one of "
                    f"{stray.bar_time:%Y-%m-%d %H:%M} UTC ({stray.symbol})"
                )
            return answer

        return on_bar if hook == "on_bar" else call

    living = bot.again()
    living.start(tailor=lambda plugins: wrap_hooks(plugins, bot.names[:1], watched))
    living.run()
    return found
