"""The page on the wire and the application agree: each call it has is told, and no other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from starlette.routing import Route, WebSocketRoute

from smabot_exchange.http.app import create_app

PAGE = (Path(__file__).parents[3] / "docs/exchange-api.md").read_text()
KINDS = {"simulated", "partly", "not"}


def told() -> dict[str, str]:
    """Each call of the page, and what it says of it."""
    rows = re.findall(r"^\| `((?:GET|POST|PATCH|DELETE|WS) [^`]+)` \| (\w+) \|", PAGE, re.M)
    assert len({call for call, _ in rows}) == len(rows)
    return dict(rows)


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
        response = call(method, re.sub(r"\{\w+\}", "SPY", path))
        assert (response.status_code, response.json()["message"]) == (404, "endpoint not found.")


def test_every_row_says_how_far_it_is_simulated() -> None:
    rules = re.findall(r"^\| [^|]+ \| ([^|]*) \| [^|]*\|$", PAGE, re.M)
    assert set(rules) - {"", "---"} <= KINDS
