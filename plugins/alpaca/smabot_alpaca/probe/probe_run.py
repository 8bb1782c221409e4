"""Trying assumptions one after the other, and leaving the account as it was."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

from smabot.provider import BrokerError, KeyRefused
from smabot_alpaca.probe.assumption import Assumption
from smabot_alpaca.probe.probe_account import ProbeAccount
from smabot_alpaca.probe.seen import NotTried, Seen, refusal_words
from smabot_alpaca.probe.stream_conversations import HandshakeRefused
from smabot_alpaca.rest.client import RequestRefused


class Result(StrEnum):
    AS_EXPECTED = "as expected"
    DIFFERS = "differs"
    NOT_TRIED = "not tried"


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of an assumption. ``why`` it was not tried; ``failed``: it should have been."""

    assumption: Assumption
    result: Result
    seen: str = ""
    why: str = ""
    failed: bool = False
    plays: Mapping[str, Any] = field(default_factory=dict)
    answers: Sequence[Mapping[str, Any]] = ()


@dataclass(slots=True)
class Probe:
    """A run's results. ``left`` names what could not be cleaned up."""

    trials: list[Trial] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    interrupted: bool = False
    ended_by: Exception | None = None
    """What ended it early: the key was refused, or the probe itself has a mistake."""

    @property
    def all_as_expected(self) -> bool:
        wrong = any(trial.failed or trial.result is Result.DIFFERS for trial in self.trials)
        return not (wrong or self.left)


def run_probe(
    at: ProbeAccount, assumptions: Sequence[Assumption], tried: Callable[[Trial], None]
) -> Probe:
    """Try assumptions, and clean up after each one and at the end, also after Ctrl-C or SIGTERM.

    ``tried`` is called with each result. Raises BrokerError where the account's shares can't be queried at first.
    """
    probe = Probe()
    with _signals_interrupt():
        held = at.held()
        try:
            for assumption in assumptions:
                probe.trials.append(_try(at, assumption))
                tried(probe.trials[-1])
        except KeyboardInterrupt:
            probe.interrupted = True
        except Exception as error:  # noqa: BLE001 - raised again once all is cleaned up and shown
            probe.ended_by = error
        probe.left = _leave_as_it_was(at, held)
    return probe


def _try(at: ProbeAccount, assumption: Assumption) -> Trial:
    at.answers = []
    reason = _why_not(at, assumption)
    if assumption.procedure is None or reason:
        return Trial(assumption, Result.NOT_TRIED, why=reason)
    try:
        seen = assumption.procedure(at)
    except NotTried as error:
        return Trial(assumption, Result.NOT_TRIED, why=str(error), answers=at.answers)
    except KeyRefused:
        raise
    except RequestRefused as refusal:
        seen = Seen(f"what it takes was refused: {refusal_words(refusal)}")
    except HandshakeRefused as refusal:
        seen = Seen(f"the stream's handshake was refused: {refusal}")
    except BrokerError as error:
        return Trial(assumption, Result.NOT_TRIED, why=str(error), failed=True, answers=at.answers)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        seen = Seen(f"an answer without what was asked for: {type(error).__name__} {error}")
    finally:
        answers, at.answers = at.answers, []
        at.clean_up()
    if seen.text == assumption.expected:
        return Trial(assumption, Result.AS_EXPECTED, seen.text, answers=answers)
    return Trial(assumption, Result.DIFFERS, seen.text, plays=seen.plays, answers=answers)


def _why_not(at: ProbeAccount, assumption: Assumption) -> str:
    """Return why an assumption can't be tried now; empty: it can."""
    if assumption.procedure is None:
        return assumption.why_untried
    if assumption.market == "open" and not at.market_is_open:
        return "market closed"
    if assumption.market == "closed" and at.market_is_open:
        return "market open"
    return ""


def _leave_as_it_was(at: ProbeAccount, held_before: Decimal) -> list[str]:
    """Cancel what is open, and return a line for each thing that is left."""
    try:
        at.clean_up_at_last()
        bought = at.held() - held_before
    except (BrokerError, KeyboardInterrupt) as error:
        why = str(error) or "interrupted"
        return [*at.left, f"the shares of {at.symbol} are not compared: {why}"]
    if bought:
        return [
            *at.left,
            f"{bought:+f} shares of {at.symbol} came meanwhile: close what is not yours",
        ]
    return at.left


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """Let SIGTERM and SIGHUP interrupt as Ctrl-C does, unless they are ignored."""

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = {
        number: signal.signal(number, interrupt)
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
