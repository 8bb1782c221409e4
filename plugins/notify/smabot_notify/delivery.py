"""Delivers the alerts of steps to one receiver, in their order, each at least once.

A message that fails raises, and core tells the step again after a pause: it goes on from that message.

Each receiver has two deliveries, and core a place among the steps and a memory for each. One tells the routine
of trading, fills and entries that were not made, of which a burst may keep a receiver busy for minutes. The
other tells all else, and goes first. No alert of the one is about a matter of the other, so that what is told
of a matter keeps its order.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from smabot.api import CommittedStep, SmabotError
from smabot_notify.alerts import Alert, message
from smabot_notify.matters import Matters, Resting, Waiting
from smabot_notify.receiver import Kind, Receiver
from smabot_notify.sender import Sender
from smabot_notify.settings import NotifySettings
from smabot_notify.step_alerts import alerts_of

WATCH_SECONDS = 1.0
"""So often it is looked whether something has waited or rested long enough."""
PAUSE = 30.0
"""Seconds after a message of those has failed."""
WAITING_KINDS = ("stream", "frozen")
"""Kinds that are told only once they have lasted."""
STREAM, STARTED, STOPPED = "stream lost", "run start", "run stop"


class NotDelivered(SmabotError):
    """A receiver did not take a message."""

    exit_code = 4


@dataclass(slots=True)
class _Progress:
    """How far a step was told by this process: ``done`` alerts of it, and whether the next was tried."""

    number: int = 0
    again: bool = False
    done: int = 0
    tried: bool = False


class Delivery:
    """One receiver's alerts, its routine or all else. Core's thread and the watching one use it, one at a time."""

    def __init__(
        self,
        receiver: Receiver,
        settings: NotifySettings,
        sender: Sender,
        now: Callable[[], float] = time.time,
        *,
        first: Delivery | None = None,
    ) -> None:
        """``first``: the receiver's delivery of all else, where this one is that of its routine."""
        self.receiver = receiver
        self.fails = False
        """Whether a message of its newest step was not taken."""
        self._first = first
        self._settings = settings
        self._sender = sender
        self._now = now
        self._lock = threading.Lock()
        self._matters: Matters | None = None
        self._progress = _Progress()
        self._not_before = 0.0
        self._doubtful_until = 0.0
        """What was due by then may have been told: by a process that was killed, or by a try that failed."""

    def take(self, step: CommittedStep, memory: str) -> str:
        """Tell what is to be told of a step; returns what is to be remembered. Raises NotDelivered."""
        with self._lock:
            if self._matters is None:
                self._matters = Matters.read(memory)
                self._doubtful_until = self._now()
            self._follow_clock(self._matters)
            try:
                self._tell_step(self._matters, step)
            except NotDelivered:
                self.fails = True
                raise
            self.fails = False
            return self._matters.text(self._now())

    def watch(self) -> None:
        """Tell what has waited long enough, and the newest of what was held back while its matter rested."""
        paused = 0 < self._not_before - self._now() <= PAUSE
        if paused or not self._lock.acquire(blocking=False):
            return
        try:
            if self._matters is not None:
                self._follow_clock(self._matters)
                self._tell_due(self._matters)
        except NotDelivered:
            self._doubtful_until = self._now()
            self._not_before = self._now() + PAUSE
        finally:
            self._lock.release()

    def _follow_clock(self, matters: Matters) -> None:
        matters.follow_clock(self._now(), self._rest)
        self._doubtful_until = min(self._doubtful_until, self._now())

    def _tell_step(self, matters: Matters, step: CommittedStep) -> None:
        progress = self._progress
        if progress.number != step.number:
            progress = self._progress = _Progress(step.number, step.again)
        alerts = [alert for alert in alerts_of(step) if self._is_mine(alert)]
        for alert in alerts[progress.done :]:
            self._tell(matters, alert, again=progress.again or progress.tried)
            progress.done, progress.tried = progress.done + 1, False

    def _is_mine(self, alert: Alert) -> bool:
        """Whether it is told here. What is gathered belongs to the summary, which is no routine."""
        routine = alert.routine and not self._is_gathered(alert)
        return routine == (self._first is not None)

    def _is_gathered(self, alert: Alert) -> bool:
        return self._settings.level(alert.kind) == "quiet" and not self.receiver.has_silence

    def _tell_due(self, matters: Matters) -> None:
        now = self._now()
        for waiting in matters.waiting.values():
            due = self._due(waiting)
            if not waiting.told and now >= due:
                self._tell_by_level(matters, waiting.alert, again=due <= self._doubtful_until)
                waiting.told = True
        for matter, resting in list(matters.resting.items()):
            if now >= resting.until and resting.last is not None:
                again = resting.until <= self._doubtful_until
                self._send(resting.last, again=again, held=resting.held - 1)
                matters.resting[matter] = Resting(now + self._rest)

    def _tell(self, matters: Matters, alert: Alert, *, again: bool) -> None:
        """Tell an alert, keep it for later, or neither. Raises NotDelivered, and has changed nothing then."""
        ended = f"{alert.kind} {alert.ends}" if alert.ends else ""
        started = alert.matter == STARTED
        if started and matters.ended_by:
            alert = replace(alert, subject=f"{alert.subject} after {matters.ended_by}")
        if alert.kind == "summary":
            self._tell_summary(matters, alert, again=again)
        elif alert.waits:
            if self._settings.level(alert.kind) != "off":
                matters.waiting.setdefault(alert.matter, Waiting(self._now(), alert))
        elif not self._ends_what_was_not_told(matters, alert, ended):
            self._tell_by_level(matters, alert, again=again)
        matters.waiting.pop(ended, None)
        matters.resting.pop(ended, None)
        if started:
            matters.waiting.pop(STREAM, None)  # its connections are new
        elif alert.kind == "failure":
            matters.ended_by = alert.subject
        elif alert.matter == STOPPED:
            matters.ended_by = ""

    def _ends_what_was_not_told(self, matters: Matters, alert: Alert, ended: str) -> bool:
        if alert.kind not in WAITING_KINDS:
            return False
        began = matters.waiting.get(ended)
        return began is None or not (began.told or self._due(began) <= self._doubtful_until)

    def _tell_by_level(self, matters: Matters, alert: Alert, *, again: bool) -> None:
        if self._settings.level(alert.kind) == "off":
            return
        if self._is_gathered(alert):
            matters.gather(alert.title)
            return
        resting = matters.resting.get(alert.matter)
        if resting is not None and self._now() < resting.until:
            resting.held, resting.last = resting.held + 1, alert
            return
        self._send(alert, again=again, held=resting.held if resting else 0)
        if self._rest:
            matters.resting[alert.matter] = Resting(self._now() + self._rest)

    def _tell_summary(self, matters: Matters, alert: Alert, *, again: bool) -> None:
        """Tell a session's figures and the quiet alerts; where summaries are off, those alone."""
        quiet = matters.gathered_lines()
        if self._settings.summary == "off":
            if not quiet:
                return
            alert = replace(alert, title=f"{alert.subject}: quiet alerts", text="\n".join(quiet))
        elif quiet:
            alert = replace(alert, text="\n".join([alert.text, "Quiet alerts:", *quiet]))
        self._send(alert, again=again)
        matters.forget_gathered()

    def _send(self, alert: Alert, *, again: bool = False, held: int = 0) -> None:
        if self._first is not None and self._first.fails:
            raise NotDelivered(
                f"{self.receiver.shown}: alert {alert.key} waits for one that failed"
            )
        self._progress.tried = True
        silent = self._settings.level(alert.kind) == "quiet"
        title, text = message(alert, self._sender.bot, self._sender.mode, again=again, held=held)
        kind: Kind = "failure" if alert.grave else "info"
        urgent = self._first is None
        if why := self.receiver.send(title, text, kind=kind, silent=silent, urgent=urgent):
            raise NotDelivered(f"{self.receiver.shown} did not take alert {alert.key}: {why}")

    @property
    def _rest(self) -> float:
        return self._settings.repeat_minutes * 60

    def _due(self, waiting: Waiting) -> float:
        settings = self._settings
        of_stream = waiting.alert.kind == "stream"
        minutes = settings.stream_minutes if of_stream else settings.frozen_minutes
        return waiting.since + 60 * minutes
