"""Whether the broker lets the bot trade: it takes the API key, and orders of the account."""

from __future__ import annotations

from datetime import datetime, timedelta

from smabot.domain.book import Book
from smabot.domain.book_view import EPOCH
from smabot.domain.bot_records import Event
from smabot.errors import AccountBlocked, KeyRefused, NotAllowed, counted
from smabot.hooks.ports import BrokerAccount, Clock
from smabot.system.wall_clock import Wall

MEANWHILE = "entries are paused, exits are retried"

LONGEST_STEP = timedelta(minutes=1)
"""What passed between two steps counts for so much at most where a key is refused."""


class Access:
    """A state of its own, from the first refusal until a request passes again; both are events.

    Meanwhile entries wait, and exits are sent again at pauses. A key that stays refused ends the run.
    """

    def __init__(self, book: Book, clock: Clock, wall: Wall, minutes: int) -> None:
        """``minutes``: how long a key may be refused, by the feed's clock or the wall's."""
        self._book = book
        self._clock = clock
        self._wall = wall
        self._patience = timedelta(minutes=minutes)
        self._by_request = ""
        self._by_feed = ""
        self._account = ""
        self._looked: tuple[datetime, datetime] | None = None
        """When it was last looked at how long the key has been refused; None: it is not."""
        self._refused_for = timedelta()
        self._newest = EPOCH
        """When the key was refused last, by the feed's clock."""
        self._told_account = ""
        self.refusal = ""
        """Why the bot can't trade just now; empty where it can."""

    @property
    def _key(self) -> str:
        return self._by_request or self._by_feed

    def request_refused(self, error: NotAllowed) -> None:
        """A request was refused because of the key or the account."""
        if isinstance(error, AccountBlocked):
            self._by_request, self._account = "", f"the account may not trade: {error}"
        else:
            self._by_request, self._newest = str(error), self._clock.now()
        self._tell()

    def request_accepted(self, *, took_order: bool = False) -> None:
        """A request passed; ``took_order``: it was an order, which the broker took."""
        if self._by_request or (took_order and self._account):
            self._by_request = ""
            self._account = "" if took_order else self._account
            self._tell()

    def account_seen(self, account: BrokerAccount) -> None:
        """Take note of the account as the broker shows it."""
        self._by_request = ""
        self._account = f"the account may not trade: {account.blocked}" if account.blocked else ""
        self._tell()

    def feed_refused(self, refused: str) -> None:
        """Take note of whether the feed's connections take the key: why they don't, or nothing."""
        if refused:
            self._newest = self._clock.now()
        if refused != self._by_feed:
            self._by_feed = refused
            self._tell()

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

    def _tell(self) -> None:
        """Say why the bot can't trade, and keep what has begun or ended among the events."""
        key = self._key
        self.refusal = f"the broker refuses the key: {key}" if key else self._account
        if self._key and self._looked is None:
            self._looked, self._refused_for = (self._clock.now(), self._wall()), timedelta()
            self._event("key_refused", f"{self.refusal}; {MEANWHILE}", grave=True)
        elif not self._key and self._looked is not None:
            self._looked = None
            self._event("key_accepted", "the broker accepts the key again")
        if self._account and not self._told_account:
            self._event("account_blocked", f"{self._account}; {MEANWHILE}", grave=True)
        elif self._told_account and not self._account:
            self._event("account_unblocked", "the account may trade again")
        self._told_account = self._account

    def _event(self, kind: str, text: str, *, grave: bool = False) -> None:
        now = max(self._book.now, self._clock.now())
        self._book.apply(Event(now, kind, "", text, grave))
