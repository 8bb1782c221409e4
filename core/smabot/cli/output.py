"""How results look: rich on a terminal, plain aligned text in a pipe, exact values in JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from enum import Enum
from functools import partial
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import category

import click

if TYPE_CHECKING:
    from rich.table import Table

    from smabot.cli.times import Times
    from smabot.domain.book import Book

Columns = Sequence[tuple[str, Callable[[Any], Any]]]
"""Titles, and how to get their cells from a record."""

PIPE_WIDTH = 1000
"""Columns where there is no terminal: nothing is wrapped or cut."""

TEXT_WIDTH = 16
"""Columns that a wrapped text gets at least; a narrower terminal gets each row as one long line."""


def print_json(data: Any) -> None:
    """Print one JSON document: Decimals as exact strings, times as UTC ISO 8601."""
    click.echo(json.dumps(plain(data), indent=2 if sys.stdout.isatty() else None))


def plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, Decimal):
        return number(value)
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, Path) else value


def print_csv(kind_or_fields: type | Sequence[str], records: Iterable[Any]) -> None:
    """Print records as CSV (`csv_text`)."""
    shown = csv_text(kind_or_fields, records)
    click.echo(clean(shown) if sys.stdout.isatty() else shown, nl=False)


def csv_text(kind_or_fields: type | Sequence[str], records: Iterable[Any]) -> str:
    """Return records as CSV, with a heading row even where there are none.

    The columns are a record class's fields, or those named; records are dataclasses or mappings. Values
    are those of JSON: exact numbers, UTC times as ISO 8601, ``true`` and ``false``; None is empty. A text
    that a spreadsheet would take for a formula has a ``'`` before it. Control characters but tabs and
    newlines are ``?``.
    """
    import csv

    if isinstance(kind_or_fields, type):
        names = [field.name for field in fields(kind_or_fields)]
    else:
        names = list(kind_or_fields)
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    for record in records:
        get = record.get if isinstance(record, Mapping) else partial(getattr, record)
        writer.writerow([_csv_cell(get(name)) for name in names])
    return text.getvalue()


def _csv_cell(value: Any) -> Any:
    value = plain(value)
    if isinstance(value, bool):
        return str(value).lower()
    return _harmless(value) if isinstance(value, str) else value


def _harmless(text: str) -> str:
    """Return a text that neither a terminal obeys nor a spreadsheet calculates."""
    text = "".join("?" if category(c) == "Cc" and c not in "\n\t" else c for c in text)
    formula = text.lstrip().startswith(("=", "+", "-", "@")) and not _is_number(text)
    return f"'{text}" if formula else text


def _is_number(text: str) -> bool:
    try:
        Decimal(text)
    except InvalidOperation:
        return False
    return True


def print_screen(parts: Iterable[Any]) -> None:
    """Print lines and rich renderables, one below the other."""
    parts = list(parts)
    if all(isinstance(part, str) for part in parts):
        click.echo("\n".join(clean(part) for part in parts))
        return
    from rich.console import Console

    if sys.stdout.isatty():
        console = Console(highlight=False, markup=False, emoji=False)
    else:
        console = Console(file=StringIO(), markup=False, emoji=False, width=PIPE_WIDTH)
    terminal_width = console.width
    for part in parts:
        if not isinstance(part, str):
            needed = console.measure(part, options=console.options.update(width=PIPE_WIDTH)).minimum
            console.width = terminal_width if needed <= terminal_width else PIPE_WIDTH
        console.print(clean(part) if isinstance(part, str) else part, soft_wrap=True)
    if isinstance(console.file, StringIO):
        lines = console.file.getvalue().splitlines()
        click.echo("\n".join(line.rstrip() for line in lines))


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, heads: bool = True) -> Table:
    """Return a table of texts; a column whose name starts with ``>`` is aligned to the right."""
    from rich.table import Table
    from rich.text import Text

    made = Table(
        box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", show_header=heads
    )
    cells = [[clean("" if cell is None else str(cell)) for cell in row] for row in rows]
    for place, column in enumerate(columns):
        texts = [row[place] for row in cells]
        widest = max(map(len, texts), default=0)
        made.add_column(
            column.lstrip(">"),
            justify="right" if column[:1] == ">" else "left",
            no_wrap=not any(" " in text for text in texts),
            min_width=min(widest, TEXT_WIDTH),
        )
    for row in cells:
        made.add_row(*map(Text, row))
    return made


def listing(columns: Columns, records: Iterable[Any]) -> Table:
    """Return a table with a row for each record."""
    cells = ([cell(record) for _, cell in columns] for record in records)
    return table([title for title, _ in columns], cells)


def clean(text: str) -> str:
    """Return a text without control characters, which a terminal would obey."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)


def money(amount: Decimal | None) -> str:
    """US dollars with two decimals and thousands separators; empty for None."""
    return "" if amount is None else f"{amount:,.2f}"


def price(amount: Decimal | float | None) -> str:
    """A price of one share in US dollars: two decimals, below one dollar up to four; empty for None."""
    if amount is None:
        return ""
    if abs(float(amount)) >= 1:
        return f"{amount:,.2f}"
    whole, _, decimals = f"{amount:.4f}".partition(".")
    return f"{whole}.{decimals.rstrip('0'):0<2}"


def gain(amount: Decimal | None) -> str:
    """The same with its sign."""
    return "" if amount is None else f"{amount:+,.2f}"


def number(value: Decimal) -> str:
    """An exact number without trailing zeros or exponent."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def halt_line(book: Book) -> str:
    """Return whether entries are halted, why, and how to end it."""
    return f"YES: {book.halted}; `smabot resume` ends it" if book.halted else "no"


def stale_price_lines(book: Book, times: Times) -> list[str]:
    """Return a line for each held symbol whose price is old by the newest minute that is known."""
    from smabot.domain.book_view import STALE

    lines = []
    for symbol in sorted({p.symbol for p in book.positions.values() if p.qty}):
        at = book.priced_at(symbol)
        if at is None or book.now - at >= STALE:
            since = f"of {times.full(at)}" if at else "unknown"
            lines.append(f"STALE: the price of {symbol} is {since}")
    return lines
