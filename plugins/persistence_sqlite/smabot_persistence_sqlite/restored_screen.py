"""How `smabot db restore` shows what it put in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from smabot_persistence_sqlite.restore import Restored

if TYPE_CHECKING:
    from smabot.api import App

Words = list[str]


def restored_data(restored: Restored) -> dict[str, Any]:
    """Return it for JSON."""
    content = restored.content
    (backup, db), *others = restored.files
    return {
        "db": str(db),
        "restored_from": str(backup),
        "account_files": [
            {"path": str(place), "restored_from": str(file)} for file, place in others
        ],
        "kept": [str(path) for path in restored.kept],
        "schema": content.schema,
        "newest_minute": content.newest,
        "open_orders": [
            {
                "client_order_id": each.client_order_id,
                "symbol": each.symbol,
                "side": each.side.value,
                "qty": each.qty,
                "filled_qty": each.filled_qty,
                "status": each.status.value,
            }
            for each in content.orders
        ],
        "positions": [
            {"strategy": each.strategy, "symbol": each.symbol, "qty": each.qty}
            for each in content.positions
        ],
    }


def restored_lines(restored: Restored, app: App) -> Words:
    """Return it as lines for the screen."""
    content = restored.content
    lines = [f"{place}: restored from {file}, checked" for file, place in restored.files]
    lines += [f"kept what was there as {path}" for path in restored.kept]
    newest = app.times.full(content.newest) or "none"
    lines.append(f"newest minute: {newest}")
    lines += [
        f"open order: {each.client_order_id}, {each.side.value} {each.qty:f} {each.symbol}, "
        f"{each.status.value}, {each.filled_qty:f} filled"
        for each in content.orders
    ] or ["no open orders"]
    lines += [
        f"position: {each.qty:f} {each.symbol} of {each.strategy or 'no strategy'}"
        for each in content.positions
    ] or ["no positions"]
    return lines
