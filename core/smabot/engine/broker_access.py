"""Whether the broker lets the bot trade: it takes the API key, and orders of the account."""

from __future__ import annotations

from datetime import datetime, timedelta

from smabot.domain.book import Book
from smabot.domain.book_view import EPOCH
from smabot.domain.bot_records import Event
from smabot.engine.gate import Standing
from smabot.errors import AccountBlocked, KeyRefused, NotAllowed, counted
from smabot.hooks.ports import BrokerAccount, Clock
from smabot.system.wall_clock import Wall

MEANWHILE = "entries are paused, exits are retried"

LONGEST_STEP = timedelta(minutes=1)
"""What passed between two steps counts for so much at most where a key is refused."""


class Access:
    """A state of its own, from the first refusal until it is over; both are events.

    Meanwhile entries wait, and exits are sent again at pauses. A key is accepted when a request passes. An
    account may trade again when it says so: that one order is taken, as an exit may be, says nothing of others.
    A key that stays refused ends the run.
    """

    def __init__(
        self, book: Book, clock: Clock, wall: Wall, minutes: int, standing: Standing
    ) -> None:
        """``minutes``: how long a key may be refused, by the feed's clock or the wall's. ``standing``: is
        told at once, for the gate."""
        self._book = book
        self._clock = clock
        self._wall = wall
        self._patience = timedelta(minutes=minutes)
        self._standing = standing
        self._by_request = ""
        self._by_feed = ""
        self._account = ""
        self._looked: tuple[datetime, datetime] | None = None
        """When it was last looked at how long the key has been refused; None: it is not."""
        self._refused_for = timedelta()
        self._newest = EPOCH
        """When the key was refused last, by the feed's clock."""
        self.refusals = 0
        """How many requests were refused because of the key or the account."""

    @property
    def refusal(self) -> str:
        """Why the bot can't trade just now; empty where it can."""
        return self._standing.refused

    @property
    def _key(self) -> str:
        return self._by_request or self._by_feed

    def request_refused(self, error: NotAllowed) -> None:
        """A request was refused because of the key or the account."""
        self.refusals += 1
        if isinstance(error, AccountBlocked):
            self._tell("", f"the account may not trade: {error}")
        else:
            self._newest = self._clock.now()
            self._tell(str(error), self._account)

    def request_accepted(self) -> None:
        """A request passed."""
        if self._by_request:
            self._tell("", self._account)

    def account_seen(self, account: BrokerAccount, refusals: int) -> None:
        """Take note of the account as the broker shows it; ``refusals``: how many there were when it was asked.

        An answer may be older than a refusal that arrived before it: then it ends nothing.
        """
        is_newer = refusals == self.refusals
        key, blocked = ("", "") if is_newer else (self._by_request, self._account)
        if account.blocked:
            blocked = f"the account may not trade: {account.blocked}"
        self._tell(key, blocked)

    def feed_refused(self, refused: str) -> None:
        """Take note of whether the feed's connections take the key: why they don't, or nothing."""
        if refused:
            self._newest = self._clock.now()
        if refused != self._by_feed:
            self._by_feed = refused
            self._tell(self._by_request, self._account)

    def check_patience(self) -> None:
        """Raise KeyRefused where the key has been refused for too long.

        Longer steps don't count in full: the machine may have slept, or its clock been set, and nobody
        has asked the broker meanwhile. So the last word is that of a refusal just now.
        """
        if self._looked is None:
            return
        feed, wall = self._looked
        self._looked = self._clock.now(), self._wall()
        passed = max(self._looked[0] - feed, self._looked[1] - wall, timedelta())
        self._refused_for += min(passed, LONGEST_STEP)
        if self._refused_for >= self._patience and self._looked[0] - self._newest <= LONGEST_STEP:
            minutes = self._patience // timedelta(minutes=1)
            raise KeyRefused(
                f"the broker has refused the key for {counted(minutes, 'minute')} "
                f"({self._key}): give a key that works and start again; positions and open orders "
                "are left as they are"
            )

    def _tell(self, by_request: str, account: str) -> None:
        """Say why the bot can't trade, and keep what has begun or ended among the events."""
        was, self._account, self._by_request = self._account, account, by_request
        key = self._key
        self._standing.refused = f"the broker refuses the key: {key}" if key else account
        if key and self._looked is None:
            self._looked, self._refused_for = (self._clock.now(), self._wall()), timedelta()
            self._event("key_refused", f"{self.refusal}; {MEANWHILE}", grave=True)
        elif not key and self._looked is not None:
            self._looked = None
            self._event("key_accepted", "the broker accepts the key again")
        if account and not was:
            self._event("account_blocked", f"{account}; {MEANWHILE}", grave=True)
        elif was and not account:
            self._event("account_unblocked", "the account may trade again")

    def _event(self, kind: str, text: str, *, grave: bool = False) -> None:
        now = max(self._book.now, self._clock.now())
        self._book.apply(Event(now, kind, "", text, grave))
