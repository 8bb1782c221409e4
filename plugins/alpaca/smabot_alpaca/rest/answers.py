"""What all readers of answers share: a list is a list, and one unreadable entry costs itself alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from smabot_alpaca.order_json import UNREADABLE, UnreadableAnswer

T = TypeVar("T")


def as_list(answer: Any) -> Sequence[Any]:
    """Return an answer that has to be a list. Raises UnreadableAnswer."""
    if not isinstance(answer, list):
        raise UnreadableAnswer("the broker answered without the list that was asked for")
    return answer


def read_answer(what: str, read: Callable[[], T]) -> T:
    """Return what ``read`` makes of an answer. Raises UnreadableAnswer, which names ``what``."""
    try:
        return read()
    except UNREADABLE as error:
        raise UnreadableAnswer(f"{what} can't be read: {type(error).__name__} {error}") from None


def describe_unreadable(what: str, unreadable: Mapping[str, UnreadableAnswer]) -> str:
    """Return one line about the entries of a list that can't be read: the first, and how many more."""
    name, error = next(iter(unreadable.items()))
    more = f", and {len(unreadable) - 1} more" if len(unreadable) > 1 else ""
    return f"{what} {name or 'without a name'}: {error}{more}"
