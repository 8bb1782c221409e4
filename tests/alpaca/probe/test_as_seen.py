"""What a probe sees at an exchange that behaves otherwise is in its file, and the exchange plays it back."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from smabot.cli import main
from smabot.errors import ConfigError
from smabot_alpaca.probe.catalogue import TRIED
from smabot_exchange.as_seen.behaviours import AsSeen, OppositeAllowed, SeenRefusal
from smabot_exchange.as_seen.probe_file import read_probe
from smabot_exchange.as_seen.refusal_kinds import RefusalKind

pytestmark = pytest.mark.plugins
SMABOT = str(Path(sys.executable).with_name("smabot"))
NOT_TODAY = {"status": 400, "code": 40010000, "message": "not today", "fields": ("why",)}
BARE = {"status": 403, "code": None, "message": "position_intent is for options", "fields": ()}
CLOSED_KINDS = {RefusalKind.REPLACED_TOO_EARLY}
OPPOSITE = dict.fromkeys(OppositeAllowed.model_fields, True)

REFUSED = {
    kind: {**NOT_TODAY, "message": f"not today: {kind.value.replace('_', ' ')}"}
    for kind in RefusalKind
}
BEHAVIOURS: dict[str, tuple[dict[str, Any], dict[int, str]]] = {
    "refusals": (
        {"refusals": {k: v for k, v in REFUSED.items() if k not in CLOSED_KINDS}},
        {
            number: f"400 40010000 not today: {words} (and why)"
            for words, numbers in {
                "duplicate id": (20, 21), "long id": (22,), "sub penny": (23,), "fractional gtc": (24,),
                "extended stop": (25,), "bad field": (26,), "unknown asset": (27,),
                "unknown position": (28,), "unknown order": (29,), "unknown client id": (30,),
                "already ended": (31,), "bad intent": (32,), "intent mismatch": (33,),
                "replaced unchanged": (35,), "replaced qty": (36,),
                "wash trade": (37, 38, 39, 40), "short beside buy": (41,),
                "long beside short": (42,),
            }.items()
            for number in numbers
        },
    ),
    "refusals while closed": (
        {"refusals": {k: v for k, v in REFUSED.items() if k in CLOSED_KINDS}},
        {34: "400 40010000 not today: replaced too early (and why)"},
    ),
    "orders": (
        {
            "first_status": "new", "stamps": "submitted first", "after_includes": True,
            "gtc_expires_at": "null", "day_expires_at": "null", "position_intent": "null",
        },
        {
            1: "new", 6: "submitted_at before created_at", 8: "included", 9: "null", 10: "null",
            11: "null",
        },
    ),
    "no intent": ({"position_intent": "absent"}, {11: "absent"}),
    "not found yet": ({"visible_after_seconds": 0.125}, {3: "within 0.25 s"}),
    "not listed yet": ({"listed_after_seconds": 0.375}, {4: "within 0.5 s"}),
    "what is accepted is refused": (
        {"position_intent_refused": BARE, "leg_replacement_refused": NOT_TODAY},
        {
            12: "403 without code position_intent is for options",
            19: "400 40010000 not today (and why)",
        },
    ),
    "orders of both sides": ({"opposite_allowed": OPPOSITE}, dict.fromkeys(range(37, 43), "accepted")),
    "streams": (
        {"trade_frames": "text", "announces_pending": True, "second_data_connection": "first closed"},
        {
            45: "text", 47: "pending_new, new, canceled",
            49: "authenticated, the first is closed",
        },
    ),
    "second connection refused": (
        {"second_trade_connection": "unauthorized"}, {48: "unauthorized"},
    ),
    "second connection crowded out": (
        {"second_trade_connection": "HTTP 429"}, {48: "HTTP 429"},
    ),
    "second connection takes over": (
        {"second_trade_connection": "first closed"}, {48: "authorized, the first is closed"},
    ),
}  # fmt: skip
"""Behaviours, and what the probe sees of them by the assumption's number."""


def differing(done: Any) -> dict[int, str]:
    return {
        each["number"]: each["seen"]
        for each in done.file["assumptions"]
        if each["result"] == "differs"
    }


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_a_behaviour_differs_and_is_played_back(
    serve: Any, probe: Any, in_tmp: Path, name: str
) -> None:
    behaves, seen = BEHAVIOURS[name]
    numbers = "5," + ",".join(map(str, seen))
    first = serve(AsSeen(**behaves))
    if "closed" in name.split():
        first.end()
    done = probe(first, "--only", numbers)
    assert done.code == 1
    assert differing(done) == seen
    assert first.untouched

    played = read_probe(in_tmp / "probe.json")
    assert (played.as_seen, played.left_out) == (AsSeen(**behaves), ())
    again = serve(played.as_seen)
    if "closed" in name.split():
        again.end()
    assert differing(probe(again, "--only", numbers)) == seen


def test_every_behaviour_is_tried_here() -> None:
    tried: dict[str, Any] = {}
    for behaves, _ in BEHAVIOURS.values():
        tried |= behaves
    assert set(tried) == set(AsSeen.model_fields)
    assert set(REFUSED) == set(RefusalKind)


def test_the_page_lists_every_behaviour_and_the_exchange_its_default() -> None:
    page = (Path(__file__).parents[3] / "docs/wire.md").read_text()
    rows = re.findall(r"^\| `([\w.]+)` \| ([\d, ]+) \|", page, re.M)
    names = {name for name, _ in rows}
    assert names == set(AsSeen.model_fields)
    known = {each.number for each in TRIED}
    for _, numbers in rows:
        assert {int(number) for number in numbers.split(",")} <= known


def test_what_is_accepted_against_the_expectation_can_not_be_played_back(
    serve: Any, probe: Any, instead: Any, in_tmp: Path
) -> None:
    from smabot_alpaca.probe.seen import Seen

    instead(lambda at: Seen("numbers"))
    probe(serve(), "--only", "5")
    played = read_probe(in_tmp / "probe.json")
    assert played.as_seen == AsSeen()
    assert played.left_out == ("5 Quantities and prices in answers are text.",)


def test_of_two_refusals_of_one_kind_the_first_is_played_back(
    serve: Any, probe: Any, instead: Any, in_tmp: Path
) -> None:
    from smabot_alpaca.probe.seen import Seen

    instead(lambda at: Seen("told otherwise", {"refusals.duplicate_id": NOT_TODAY}))
    place = serve(AsSeen(refusals={RefusalKind.DUPLICATE_ID: SeenRefusal(**BARE)}))  # type: ignore[arg-type]
    done = probe(place, "--only", "5,20")
    assert [each["played_back"] for each in done.file["assumptions"]] == [True, False]
    played = read_probe(in_tmp / "probe.json")
    assert played.left_out == ("20 A client_order_id that is in use is refused.",)


# -- exchange serve --as ---------------------------------------------------------------------------


def test_the_served_exchange_says_what_it_plays_back(
    serve: Any, probe: Any, instead: Any, in_tmp: Path
) -> None:
    from smabot_alpaca.probe.seen import Seen

    instead(lambda at: Seen("numbers"))
    first = serve(
        AsSeen(gtc_expires_at="null", refusals={RefusalKind.BAD_FIELD: SeenRefusal(**NOT_TODAY)})
    )  # type: ignore[arg-type]
    probe(first, "--only", "5,9,26")
    options = ["--port", "0", "--speed", "step", "--ledger", "again.db", "--json"]
    command = [SMABOT, "exchange", "serve", "--as", "probe.json", *options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        url = json.loads(server.stdout.readline())["url"]
        import requests

        keys = {"APCA-API-KEY-ID": "PKSMABOT", "APCA-API-SECRET-KEY": "smabot"}
        requests.post(f"{url}/_exchange/play", headers=keys, timeout=10)
        code = main(["alpaca", "probe", "--url", url, "--only", "9,26", "--out", "second.json"])
        server.send_signal(signal.SIGTERM)
        _, said = server.communicate(timeout=30)
    second = json.loads(Path("second.json").read_text())
    assert code == 1
    assert [each["seen"] for each in second["assumptions"]] == [
        "null",
        "400 40010000 not today (and why)",
    ]
    assert ": gtc_expires_at, refusals.bad_field\n" in said
    assert "not played back: 5 Quantities and prices in answers are text.\n" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "is no file of `smabot alpaca probe` of this version"),
        ('{"smabot_probe": 2}', "is no file of `smabot alpaca probe` of this version"),
        ('{"smabot_probe": 1}', "is incomplete: 'as_seen'"),
        ('{"smabot_probe": 1, "as_seen": {"wind": 1}}', "as_seen.wind: Extra inputs"),
        (
            '{"smabot_probe": 1, "as_seen": {"refusals": {"bad_field": {"status": 200, "message": ""}}}}',
            "as_seen.refusals.bad_field.status: Input should be greater",
        ),
    ],
)
def test_a_file_that_can_not_be_played_back(in_tmp: Path, text: str, said: str) -> None:
    (in_tmp / "probe.json").write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_probe(Path("probe.json"))
    assert str(caught.value).startswith("--as probe.json: ")
    assert said in str(caught.value)


def test_a_file_that_is_not_there(in_tmp: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["exchange", "serve", "--as", "nowhere.json", "--port", "0"]) == 3
    assert capsys.readouterr().err == (
        "smabot: --as nowhere.json: can't be read: No such file or directory\n"
    )
    assert not (in_tmp / "data").exists()
