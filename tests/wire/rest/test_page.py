"""The page on the wire and the application agree: each call it has is told, and no other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from starlette.routing import Route, WebSocketRoute

from smabot_exchange.http.app import create_app

PAGE = (Path(__file__).parents[3] / "docs/exchange-api.md").read_text()
KINDS = {"simulated", "partly", "not"}


OPERATION = r"`((?:GET|POST|PUT|PATCH|DELETE|WS) /[^`]+)`"


def told() -> dict[str, str]:
    """Each call of the page, and what it says of it."""
    rows = re.findall(rf"^\| {OPERATION} \| (\w+) \|", PAGE, re.M)
    assert "not" not in {kind for _, kind in rows}
    absent = re.findall(OPERATION, PAGE.partition("## Not served")[2].partition("\n## ")[0])
    calls = [*rows, *((call, "not") for call in absent)]
    assert len(dict(calls)) == len(calls)
    return dict(calls)


def served(place: Any) -> set[str]:
    calls = set()
    for route in create_app(place.venue).routes:
        if isinstance(route, WebSocketRoute):
            calls.add(f"WS {route.path}")
        elif isinstance(route, Route) and not route.path.startswith("/_exchange"):
            calls |= {f"{method} {route.path}" for method in (route.methods or set()) - {"HEAD"}}
    return calls


def test_the_page_tells_every_call_and_no_other(place: Any) -> None:
    assert {call for call, kind in told().items() if kind != "not"} == served(place)


def test_calls_that_are_told_to_be_absent_are(place: Any, call: Any) -> None:
    absent = [path for path, kind in told().items() if kind == "not"]
    assert absent
    for each in absent:
        method, path = each.split()
        if method == "WS":
            continue
        response = call(method, re.sub(r"\{\w+\}", "SPY", path))
        assert (response.status_code, response.json()["message"]) == (404, "endpoint not found.")


OPERATIONS = [
    line
    for line in (Path(__file__).with_name("alpaca_operations.txt")).read_text().splitlines()
    if line and not line.startswith("#")
]


def nameless(operation: str) -> str:
    """Return an operation without the names of its parameters, which mean nothing."""
    return re.sub(r"\{\w+\}", "{}", operation)


def test_every_operation_that_alpaca_documents_is_told() -> None:
    assert len(OPERATIONS) == len(set(OPERATIONS)) > 100
    ours = {nameless(operation) for operation in told()}
    assert [each for each in OPERATIONS if nameless(each) not in ours] == []


def test_what_alpaca_documents_is_served_or_not_found(place: Any, call: Any) -> None:
    ours = {nameless(operation) for operation in served(place)}
    absent = [each for each in OPERATIONS if nameless(each) not in ours]
    for each in absent:
        method, path = each.split()
        response = call(method, re.sub(r"\{\w+\}", "SPY", path), json={})
        assert response.status_code == 404, each
        assert response.json() == {"code": 40410000, "message": "endpoint not found."}


def test_every_row_says_how_far_it_is_simulated() -> None:
    rules = re.findall(r"^\| [^|]+ \| ([^|]*) \| [^|]*\|$", PAGE, re.M)
    assert set(rules) - {"", "---"} <= KINDS
