"""What `smabot notify test` sends, and what it says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smabot_notify.alerts import message
from smabot_notify.examples import example

if TYPE_CHECKING:
    from smabot.api import App
    from smabot_notify.settings import NotifySettings


def send_test(app: App, settings: NotifySettings, kind: str | None, *, only_show: bool) -> int:
    """Send an example of a kind, or a plain message, to each receiver; returns the exit code."""
    from smabot_notify.receiver import opened_receivers

    config = app.config()
    title, text = message(example(kind), config.bot, config.mode)
    if only_show:
        app.emit({"title": title, "text": text}, [title, text])
        return 0
    answers = [
        (receiver.shown, receiver.send(f"TEST {title}", text))
        for receiver in opened_receivers(settings)
    ]
    lines = [(shown, f"failed: {why}" if why else "ok") for shown, why in answers]
    data = {
        "title": title,
        "text": text,
        "receivers": [{"receiver": s, "ok": not w, "reason": w} for s, w in answers],
    }
    app.emit(data, app.table(("", ""), lines, heads=False))
    return 4 if any(why for _, why in answers) else 0
