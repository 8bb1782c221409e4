"""Corporate actions of historical data: the file beside the bars that lists splits and changes of name.

https://docs.alpaca.markets/us/docs/mandatory-corporate-actions
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from smabot.provider import ZERO, ActionKind, ConfigError, CorporateAction, suggest, sync_to_disk
from smabot_exchange.data.ticker_names import ticker

FILE_NAME = "corporate_actions.csv"
"""Of a folder; beside a single data file it is ``<its name without suffix>.corporate_actions.csv``."""
COLUMNS = ("symbol", "ex_date", "kind", "new_shares", "old_shares", "new_symbol")
OPTIONAL = ("minutes_late", "announced", "orders")
CANCEL, KEEP, REPLACE = "cancel", "keep", "replace"
"""What becomes of a symbol's open orders without legs."""

EARLIEST, LATEST = -1_050, 10_000
"""What ``minutes_late`` may be: from the evening before, after the close, to a week later."""
_MOST_SHARES = Decimal(1_000_000)
_WHOLE = re.compile(r"-?[0-9]{1,6}")
_NUMBER = re.compile(r"[0-9]{1,7}(\.[0-9]{1,9})?")
_IDS = uuid5(NAMESPACE_URL, "smabot exchange corporate actions")


@dataclass(frozen=True, slots=True)
class ListedAction:
    """A corporate action that data list, and how far the exchange has carried it out.

    The account follows ``minutes_late`` after the open of the ex-date's session, None: before it opens. Clients
    see it from ``announced`` on, None: from the beginning. ``orders`` is what becomes of open orders without legs,
    None: they are canceled. ``turned_at`` is when prices were those of new shares
    and open orders ended, ``followed_at`` when the account followed: both UTC. ``qty_before`` and ``qty_after``
    are the signed shares that it held.
    """

    action: CorporateAction
    minutes_late: int | None = None
    announced: date | None = None
    orders: str | None = None
    turned_at: datetime | None = None
    followed_at: datetime | None = None
    qty_before: Decimal = ZERO
    qty_after: Decimal = ZERO


def listed_action(
    symbol: str,
    ex_date: date,
    new_shares: Decimal = Decimal(1),
    old_shares: Decimal = Decimal(1),
    new_symbol: str = "",
) -> ListedAction:
    """Return a split, or with ``new_symbol`` a change of name. Its id is that of its symbol, date and kind."""
    kind = ActionKind.RENAME if new_symbol else ActionKind.SPLIT
    identity = str(uuid5(_IDS, f"{symbol} {ex_date} {kind}"))
    action = CorporateAction(identity, symbol, kind, ex_date, new_shares, old_shares, new_symbol)
    return ListedAction(action)


def as_listed(action: CorporateAction) -> ListedAction:
    """Return an action of another source as data list it."""
    return listed_action(
        action.symbol, action.ex_date, action.new_shares, action.old_shares, action.new_symbol
    )


def is_actions_file(file: Path) -> bool:
    """Whether a file's name says that it lists corporate actions, no bars."""
    return file.name == FILE_NAME or file.name.endswith(f".{FILE_NAME}")


def read_actions(files: Iterable[Path]) -> tuple[ListedAction, ...]:
    """Return what files list, by ex-date and symbol.

    Raises ConfigError that names file, line and column of what is wrong.
    """
    found: dict[str, ListedAction] = {}
    for file in files:
        for where, listed in _rows(file):
            action = listed.action
            if action.action_id in found:
                raise ConfigError(
                    f"{where}: {action.symbol} has a second {action.kind} on {action.ex_date}: keep one"
                )
            found[action.action_id] = listed
    return in_order(found.values())


def write_actions(file: Path, actions: Iterable[ListedAction]) -> None:
    """Replace a file by a list of actions; it is on disk when this returns. Raises OSError."""
    import csv

    listed = in_order(actions)
    optional = [
        name for name in OPTIONAL if any(getattr(each, name) is not None for each in listed)
    ]
    part = file.with_name(f".{file.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as stream:
            rows = csv.writer(stream, lineterminator="\n")
            rows.writerow([*COLUMNS, *optional])
            rows.writerows(_cells(each, optional) for each in listed)
        sync_to_disk(part)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    sync_to_disk(file.parent)


def _cells(listed: ListedAction, optional: Sequence[str]) -> list[object]:
    action = listed.action
    rename = action.kind is ActionKind.RENAME
    shares = ("", "") if rename else (f"{action.new_shares:f}", f"{action.old_shares:f}")
    more = (getattr(listed, name) for name in optional)
    return [
        action.symbol, action.ex_date, action.kind.value, *shares, action.new_symbol,
        *("" if value is None else value for value in more),
    ]  # fmt: skip


def in_order(actions: Iterable[ListedAction]) -> tuple[ListedAction, ...]:
    return tuple(
        sorted(
            actions, key=lambda each: (each.action.ex_date, each.action.symbol, each.action.kind)
        )
    )


def _rows(file: Path) -> Iterable[tuple[str, ListedAction]]:
    import csv

    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.reader(stream)
            header = _header(file, next(rows, []))
            for row in rows:
                if not any(cell.strip() for cell in row):
                    continue
                where = f"{file} line {rows.line_num}"
                if len(row) != len(header):
                    raise ConfigError(
                        f"{where}: {len(row)} fields where {len(header)} are expected"
                    )
                cells = {name: cell.strip() for name, cell in zip(header, row, strict=True) if name}
                yield where, _Row(where, cells).action()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: is not UTF-8 text: {error.reason}") from None
    except csv.Error as error:
        raise ConfigError(f"{file}: is no CSV: {error}") from None
    except OSError as error:
        raise ConfigError(f"{file}: can't be read: {error.strerror or error}") from None


def _header(file: Path, row: Sequence[str]) -> list[str]:
    """Return the columns' names, empty for those that mean nothing here."""
    header = [name.strip().lower() for name in row]
    if not any(header):
        raise ConfigError(f"{file}: is empty; its first line must be {','.join(COLUMNS)}")
    for name in COLUMNS:
        if name not in header:
            hint = suggest(name, header)
            raise ConfigError(
                f"{file} line 1: no column {name}{hint}; the first line must be {','.join(COLUMNS)}"
            )
    twice = [name for name in (*COLUMNS, *OPTIONAL) if header.count(name) > 1]
    if twice:
        raise ConfigError(f"{file} line 1: has column {twice[0]} twice")
    return [name if name in (*COLUMNS, *OPTIONAL) else "" for name in header]


class _Row:
    """Reads one row. Raises ConfigError that names the column."""

    def __init__(self, where: str, cells: dict[str, str]) -> None:
        self._where = where
        self._cells = cells

    def action(self) -> ListedAction:
        kind = self._cells["kind"].lower()
        if kind not in (ActionKind.SPLIT, ActionKind.RENAME):
            raise self._wrong("kind", "is neither split nor rename")
        symbol, ex_date = self._ticker("symbol"), self._date("ex_date")
        late = self._late()
        announced = self._date("announced") if self._cells.get("announced") else None
        orders = self._cells.get("orders") or None
        if orders not in (None, CANCEL, KEEP, REPLACE):
            raise self._wrong("orders", f"is neither {CANCEL} nor {KEEP} nor {REPLACE}")
        terms = self._rename(symbol) if kind == ActionKind.RENAME else self._split()
        return replace(
            listed_action(symbol, ex_date, *terms),
            minutes_late=late, announced=announced, orders=orders,
        )  # fmt: skip

    def _split(self) -> tuple[Decimal, Decimal, str]:
        if self._cells["new_symbol"]:
            raise self._wrong(
                "new_symbol", "of a split is empty: list the rename on a row of its own"
            )
        new, old = self._shares("new_shares"), self._shares("old_shares")
        if new == old:
            raise self._wrong("new_shares", "are as many as the old ones: that is no split")
        return new, old, ""

    def _rename(self, symbol: str) -> tuple[Decimal, Decimal, str]:
        new_symbol = self._ticker("new_symbol")
        if new_symbol == symbol:
            raise self._wrong("new_symbol", "is the symbol itself")
        for name in ("new_shares", "old_shares"):
            if self._cells[name] not in ("", "1"):
                raise self._wrong(
                    name, "of a rename is 1 or empty: list the split on a row of its own"
                )
        if self._cells.get("orders"):
            raise self._wrong("orders", "of a rename is empty: they are canceled")
        return Decimal(1), Decimal(1), new_symbol

    def _ticker(self, name: str) -> str:
        try:
            return ticker(self._cells[name])
        except ValueError:
            raise self._wrong(name, "is not a ticker in capitals, like BRK.B") from None

    def _date(self, name: str) -> date:
        try:
            return date.fromisoformat(self._cells[name])
        except ValueError:
            raise self._wrong(name, "is no date like 2026-03-02") from None

    def _shares(self, name: str) -> Decimal:
        value = positive_shares(self._cells[name])
        if value is None:
            raise self._wrong(name, f"is no number of shares above 0 and up to {_MOST_SHARES:,}")
        return value

    def _late(self) -> int | None:
        text = self._cells.get("minutes_late", "")
        if not text:
            return None
        if not _WHOLE.fullmatch(text) or not EARLIEST <= int(text) <= LATEST:
            raise self._wrong(
                "minutes_late", f"is no whole number of minutes from {EARLIEST} to {LATEST}"
            )
        return int(text)

    def _wrong(self, name: str, reason: str) -> ConfigError:
        return ConfigError(f"{self._where}: {name} {self._cells.get(name, '')!r} {reason}")


def positive_shares(text: str) -> Decimal | None:
    """Return a number of shares that a split gives or takes; None where the text is none."""
    if not _NUMBER.fullmatch(text):
        return None
    value = Decimal(text)
    return value if 0 < value <= _MOST_SHARES else None
