"""One question at a time, asked in a thread beside the deciding one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class BackgroundQuery(Generic[T]):
    """Asks, and keeps the answer until it is taken. Used by one thread."""

    def __init__(self, name: str, *, beside: bool = True) -> None:
        """``name``: of the thread. Without ``beside`` the asking thread waits for the answer."""
        self._name = name
        self._beside = beside
        self._thread: threading.Thread | None = None
        self.under_way = False
        """Whether it was asked and the answer has not been taken yet."""
        self._answers: list[T] = []
        self._failure: BaseException | None = None

    def begin(self, question: Callable[[], T]) -> None:
        """Ask, by calling ``question``. Not before the last answer was taken."""

        def ask() -> None:
            try:
                self._answers.append(question())
            except BaseException as error:  # noqa: BLE001 - it is raised in the deciding thread
                self._failure = error

        self.under_way = True
        if not self._beside:
            ask()
            return
        self._thread = threading.Thread(target=ask, name=self._name, daemon=True)
        self._thread.start()

    @property
    def answered(self) -> bool:
        """Whether `take` has an answer."""
        return self.under_way and (self._thread is None or not self._thread.is_alive())

    def wait(self, seconds: float) -> None:
        """Wait for the answer, for so long at most."""
        if self._thread is not None:
            self._thread.join(seconds)

    def take_answer(self) -> T:
        """Return the answer. Raises what asking raised."""
        self.under_way, self._thread = False, None
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        return self._answers.pop()
