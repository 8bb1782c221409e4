"""Documents gone wrong: a valid one with parts deleted, doubled, retyped, nested, cut, or made huge."""

from __future__ import annotations

import copy
import math
import os
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

LONG = "9" * 5_000
ODD_NUMBERS: list[Any] = [
    0, -0.0, -1, 1, 2**53 + 1, 2**63, 10**40, 0.1, 1e-9, 1e300, math.inf, -math.inf, math.nan, True, False,
]  # fmt: skip
ODD_TEXTS = [
    "", " ", "0", "-0", "-5", "+5", " 5 ", "5.", ".5", "1_000", "1,5", "1e5", "1E+999999999", "1e400", "0x10",
    "NaN", "nan", "Infinity", "-inf", "１２", "٣", "null", "true", "None", "SELL", "Buy", "\0", "\ufeff5", "a\nb",
    "\ud800", "0.1234567890123456789", "123456789012345678901234567890", LONG, "x" * 5_000,
]  # fmt: skip
ODD_TIMES = [
    "2026-11-25", "2026-11-25T14:30:00", "2026-11-25T14:30:00z", "2026-11-25T14:30:60Z", "2026-11-25 14:30:00+00:00",
    "2026-11-25T14:30:00.123456789Z", "2026-11-25T14:30:00.9999999Z", "2026-11-25T09:30:00-05:00",
    "2026-11-25T20:15:00+05:45", "2026-W48-3T14:30:00Z", "20261125T143000Z", "0001-01-01T00:00:00+14:00",
    "0001-01-01", "0001-01-01T00:00:00Z", "9999-12-31", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00", "2026-02-30T14:30:00Z", "1764081000", "2026-11-25T24:00:00Z", "14:30",
]  # fmt: skip
ODD: list[Any] = [
    None,
    *ODD_NUMBERS,
    *ODD_TEXTS,
    *ODD_TIMES,
    [],
    {},
    [None],
    [[]],
    {"a": 1},
    b"\xff",
]


def places(document: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the path to every part of a document but the whole."""
    items = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in items:
        yield (key,)
        if isinstance(value, dict | list):
            yield from ((key, *rest) for rest in places(value))


def _retyped(value: Any) -> Any:
    if isinstance(value, bool | int | float | Decimal):
        return str(value)
    if isinstance(value, str):
        try:
            return float(value) if "." in value else int(value)
        except ValueError:
            return [value]
    return [value]


CHANGES: dict[str, Callable[[Any], Any]] = {
    "retype": _retyped,
    "nest": lambda value: {"value": value},
    "list": lambda value: [value],
    "upper": lambda value: value.upper() if isinstance(value, str) else value,
    "capital": lambda value: value.capitalize() if isinstance(value, str) else value,
    "padded": lambda value: f" {value}" if isinstance(value, str) else value,
    "negative": lambda value: f"-{value}" if isinstance(value, str) else value,
    "cut": lambda value: value[:-1] if isinstance(value, str) else value,
    "longer": lambda value: f"{value}0000000001" if isinstance(value, str) else value,
}


@st.composite
def mutations(draw: Any, document: Any, most: int = 3) -> Any:
    """A copy of a document with up to so many changes, perhaps none."""
    changed = copy.deepcopy(document)
    for _ in range(draw(st.integers(0, most))):
        paths = list(places(changed))
        if not paths:
            break
        *parents, last = draw(st.sampled_from(paths))
        holder = changed
        for key in parents:
            holder = holder[key]
        what = draw(st.sampled_from(["delete", "odd", "odd", "odd", "double", "swap", *CHANGES]))
        if what == "delete":
            del holder[last]
        elif what == "odd":
            holder[last] = copy.deepcopy(draw(st.sampled_from(ODD)))
        elif what == "double":
            if isinstance(holder, list):
                holder.append(copy.deepcopy(holder[last]))
        elif what == "swap":
            other = draw(
                st.sampled_from(list(holder) if isinstance(holder, dict) else range(len(holder)))
            )
            holder[last], holder[other] = holder[other], holder[last]
        else:
            holder[last] = CHANGES[what](holder[last])
    return changed


@st.composite
def damaged(draw: Any, data: bytes) -> bytes:
    """Bytes that were cut, overwritten, doubled or given a mark in front; perhaps none of it."""
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        what = draw(st.sampled_from(["cut", "byte", "insert", "double", "mark"]))
        if what == "cut":
            data = data[:at]
        elif what == "byte":
            data = data[:at] + bytes([draw(st.integers(0, 255))]) + data[at + 1 :]
        elif what == "insert":
            data = data[:at] + draw(st.binary(min_size=1, max_size=4)) + data[at:]
        elif what == "double":
            data = data[:at] + data[at:] * 2
        else:
            data = draw(st.sampled_from([b"\xef\xbb\xbf", b"\xff\xfe", b"\0", b" "])) + data
    return data


@pytest.fixture(scope="session")
def odd() -> Any:
    """Strategies: ``mutated(document)``, ``damaged(bytes)``, ``values`` that no field expects, ``choice``."""
    return SimpleNamespace(
        mutated=mutations, damaged=damaged, values=st.sampled_from(ODD), choice=st.sampled_from
    )


@pytest.fixture(
    params=[pytest.param(25, id="quick"), pytest.param(400, id="deep", marks=pytest.mark.slow)]
)
def explore(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Call a check, which draws what it needs, with many examples; the same in every run.

    ``share`` makes them more or fewer, by what one costs. ``FUZZ_EXAMPLES`` replaces their number, to
    search for longer: then each run has others.
    """
    searched = os.environ.get("FUZZ_EXAMPLES")

    def explore(check: Callable[[st.DataObject], None], share: float = 1.0) -> None:
        settings(
            max_examples=max(int(int(searched or request.param) * share), 10),
            derandomize=not searched,
            database=None,
            suppress_health_check=list(HealthCheck),
        )(given(st.data())(check))()

    return explore


def _written(value: Any) -> Decimal | None:
    """The number that a JSON value says, as text or as a number; None where it says none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return None
    text = value if isinstance(value, str) else str(value)
    found = re.fullmatch(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", text)
    return Decimal(text) if found else None


@pytest.fixture(scope="session")
def written() -> Callable[[Any], Decimal | None]:
    return _written


@pytest.fixture(scope="session")
def one_line() -> Callable[[BaseException], bool]:
    """Whether an error says what is wrong in one line that fits on a screen or two."""
    return lambda error: "\n" not in str(error) and 0 < len(str(error)) <= 600
