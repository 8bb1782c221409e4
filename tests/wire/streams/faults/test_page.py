"""The page on faults and the code agree."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from smabot_exchange.faults.fault_bases import (
    BarFault,
    Fault,
    OrderFault,
    RequestFault,
    StreamFault,
    UpdateFault,
)
from smabot_exchange.faults.fault_files import parse_faults
from smabot_exchange.faults.fault_kinds import (
    KINDS,
    ExternalOrder,
    ExternalPosition,
    MinuteMissing,
    RefuseConnections,
)
from smabot_exchange.faults.market_kinds import AccountFlag, CashTransfer, TradingHalt

PAGE = (Path(__file__).parents[4] / "docs" / "faults.md").read_text()
GROUPS: dict[str, tuple[type[Fault], ...]] = {
    "request": (RequestFault,),
    "order": (OrderFault,),
    "update": (UpdateFault,),
    "stream": (StreamFault,),
    "bar": (BarFault,),
    "minute": (
        MinuteMissing,
        TradingHalt,
        AccountFlag,
        CashTransfer,
        ExternalOrder,
        ExternalPosition,
    ),
    "drop": (RefuseConnections,),
}


def rows(header: str) -> list[list[str]]:
    """The cells of a table, by the beginning of its header."""
    lines = PAGE[PAGE.index(header) :].split("\n\n")[0].splitlines()[2:]
    return [re.split(r"\s*\|\s*", line)[1:-1] for line in lines]


def shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def test_each_kind_has_a_row_with_its_fields_and_defaults() -> None:
    table = rows("| kind | at |")
    assert [row[0].strip("`") for row in table] == list(KINDS)
    for name, group, fields, sees in table:
        kind = KINDS[name.strip("`")]
        assert issubclass(kind, GROUPS[group])
        assert sees
        told = dict(re.findall(r"`(\w+)`(?: = ([\w.]+))?", fields))
        of_group = {f for base in kind.__mro__[1:] for f in getattr(base, "model_fields", ())}
        own = {
            field: "" if info.is_required() else shown(info.default)
            for field, info in kind.model_fields.items()
            if (field not in of_group or field in kind.__annotations__)
            and not (field == "stream" and group == "drop")
        }
        assert told == own, name


def test_the_fields_of_all_and_of_the_groups_are_told() -> None:
    assert [row[0].strip("`") for row in rows("| field | default |")] == list(Fault.model_fields)
    for group, fields, _ in rows("| group | fields |"):
        told = set(re.findall(r"`(\w+)`", fields))
        base = GROUPS[group][0]
        extra = set(base.model_fields) - set(Fault.model_fields)
        assert told <= extra
        assert set(base.patterns) <= told


def test_the_example_is_right() -> None:
    example = re.search(r"```toml\n(.*?)```", PAGE, re.S)
    assert example is not None
    seed, faults = parse_faults(tomllib.loads(example[1]))
    assert seed == 7
    assert [fault.label for fault in faults] == ["reset", "lost updates"]


def test_the_calls_are_there(call: Any) -> None:
    for cell, _ in rows("| call | does |"):
        method, path = cell.strip("`").split()
        assert call(method, path, json={"seed": 1}).status_code not in (404, 405)
