"""How faults are asked for, and that they are the same every time."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smabot.errors import ConfigError
from smabot_exchange.faults.fault_files import parse_faults, read_faults
from smabot_exchange.faults.fault_kinds import KINDS, BarMissing
from smabot_exchange.faults.fault_plan import FaultPlan, Occasion

NOON = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
TOML = """
seed = 7
[[faults]]
kind = "reset"
when = "after"
method = "POST"
[[faults]]
kind = "bar_late"
symbol = "SPY"
since = 2026-03-02T15:00:00Z
"""
JSON = """{"seed": 7, "faults": [{"kind": "reset", "when": "after", "method": "POST"},
{"kind": "bar_late", "symbol": "SPY", "since": "2026-03-02T15:00:00Z"}]}"""


@pytest.mark.parametrize("name, text", [("f.toml", TOML), ("f.json", JSON)])
def test_a_file_of_faults(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    seed, (reset, late) = read_faults(tmp_path / name)
    assert seed == 7
    assert reset.document() == {"kind": "reset", "when": "after", "method": "POST"}
    assert late.document()["since"] == "2026-03-02T15:00:00Z"


@pytest.mark.parametrize(
    "asked, words",
    [
        ({"kind": "rest"}, "unknown kind 'rest' (did you mean 'reset'?)"),
        ({"kind": "zzz"}, "kinds are error, reset"),
        ({"kind": "reset", "wen": "after"}, "unknown field 'wen' (did you mean 'when'?)"),
        ({"kind": "reset", "when": "never"}, "when 'never'"),
        ({"kind": "error", "status": 200}, "status 200"),
        ({"kind": "foreign_order"}, "symbol is missing"),
        ({"kind": "mute", "at": "update"}, 'needs stream = "trade"'),
        ({"kind": "reset", "since": "2026-03-02T15:00:00"}, "timezone"),
        ({"kind": "reset", "nth": 0}, "nth 0"),
        ({"sed": 1}, "unknown key 'sed' (did you mean 'seed'?)"),
        ({"seed": "x"}, "seed 'x' is not a whole number"),
        ({"faults": {}}, "must be a list"),
        ({"faults": [{}]}, "fault 1: has no 'kind'"),
        ([], "give {"),
    ],
)
def test_a_slip_is_one_clear_error(asked: Any, words: str, call: Any) -> None:
    with pytest.raises(ConfigError) as error:
        parse_faults(asked)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    answer = call("POST", "/_exchange/faults", json=asked)
    assert answer.status_code == 422
    assert words in answer.json()["message"]
    assert call.get("/_exchange/faults")["faults"] == []


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("none.toml", None, "can't be read"),
        ("bad.toml", b"seed = ", "is not TOML"),
        ("bad.json", b"{", "is not JSON"),
        ("bad.toml", b"\xff", "is not UTF-8"),
    ],
)
def test_a_bad_file_is_one_clear_error(
    tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=words) as error:
        read_faults(tmp_path / name)
    assert str(tmp_path / name) in str(error.value)


def test_faults_are_added_listed_counted_and_cleared(call: Any, fault: Any, step: Any) -> None:
    fault("bar_missing", symbol="IBM", name="gone")
    told = fault("minute_missing", nth=9)
    assert [each["kind"] for each in told["faults"]] == ["bar_missing", "minute_missing"]
    step(2)
    assert call.get("/_exchange/faults")["counts"] == {"gone": 2, "minute_missing": 0}
    assert call.get("/_exchange")["faults"] == {"gone": 2, "minute_missing": 0}
    assert call("DELETE", "/_exchange/faults").json()["faults"] == []
    assert call.get("/_exchange")["faults"] == {}


def occasions(names: list[str]) -> list[Occasion]:
    return [Occasion(name, NOON, symbol=name) for name in names]


@given(st.lists(st.sampled_from("ABC"), max_size=30), st.integers(0, 5), st.randoms())
def test_chance_is_the_seeds_whatever_the_order_of_calls(
    names: list[str], seed: int, random: Any
) -> None:
    def struck(order: list[str]) -> dict[str, list[bool]]:
        plan = FaultPlan([BarMissing(probability=0.5)], seed)
        hits: dict[str, list[bool]] = {}
        for occasion in occasions(order):
            hits.setdefault(occasion.key, []).append(plan.first(BarMissing, occasion) is not None)
        return hits

    shuffled = list(names)
    random.shuffle(shuffled)
    assert struck(names) == struck(shuffled)


def test_chance_keeps_to_its_probability_and_differs_by_seed() -> None:
    def struck(seed: int) -> list[bool]:
        plan = FaultPlan([BarMissing(probability=0.3)], seed)
        return [
            plan.first(BarMissing, Occasion(str(n), NOON, symbol="A")) is not None
            for n in range(4000)
        ]

    assert 0.26 < sum(struck(1)) / 4000 < 0.34
    assert struck(1) != struck(2)


@given(st.integers(1, 8), st.one_of(st.none(), st.integers(1, 8)), st.integers(0, 12))
def test_nth_and_times_count_what_matches(nth: int, times: int | None, met: int) -> None:
    once = FaultPlan([BarMissing(symbol="A", nth=nth, times=times)])
    few = FaultPlan([BarMissing(symbol="A", times=times)])
    for occasion in occasions(["B", "A"] * met):
        once.first(BarMissing, occasion)
        few.first(BarMissing, occasion)
    assert once.counts() == {"bar_missing": int(met >= nth)}
    assert few.counts() == {"bar_missing": met if times is None else min(met, times)}


def test_every_kind_has_words_for_itself_and_its_fields() -> None:
    for name, kind in KINDS.items():
        assert kind.kind == name
        assert kind.__doc__
