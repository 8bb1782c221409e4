"""What a setting's value may be, by its declared type: the rules that hold for every settings table."""

from __future__ import annotations

import os
import types
import typing
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, BaseModel, SecretStr
from pydantic_core import PydanticCustomError

LARGEST = Decimal(10) ** 15
LONGEST_NAME, LONGEST_PATH = 240, 3800
"""Bytes: a file system's own limits, less what is appended for files beside it."""
FINEST = -15
"""The exponent of the last decimal that counts."""
NUMBERS = frozenset({int, float, Decimal})
TIMES = frozenset({datetime, date, timedelta, AwareDatetime})
ANYTHING = frozenset({Any, object})


@cache
def declared_kinds(model: type[BaseModel], name: str) -> frozenset[Any]:
    """Return the types that a field's value, or each one in it, may have; without None."""
    return frozenset(_leaves(model.model_fields[name].annotation)) - {type(None)}


def check_kind(value: object, kinds: frozenset[Any], *, finite: bool = True) -> None:
    """Raise PydanticCustomError where a lenient conversion would make something else of a value than
    was meant, or where a number is out of any sensible range."""
    if kinds & ANYTHING:
        return
    for each in _values(value):
        if isinstance(each, bool):
            if bool not in kinds and kinds & (NUMBERS | TIMES):
                raise PydanticCustomError("not_a_number", _wanted(kinds))
        elif kinds == {bool}:
            raise PydanticCustomError("bool_type", "must be true or false")
        elif isinstance(each, int | float) and kinds & TIMES and not kinds & NUMBERS:
            raise PydanticCustomError("not_a_time", _wanted(kinds))
        elif kinds & NUMBERS:
            _check_range(each, textual=str in kinds, finite=finite)
        elif Path in kinds and isinstance(each, str | Path):
            _check_path(each)


def holds_secret(model: Any, path: typing.Sequence[str]) -> bool:
    """Whether the field at a path of names is declared as a secret, in a model or those within."""
    for name in path:
        fields = getattr(model, "model_fields", {})
        if name in fields:
            kinds = declared_kinds(model, name)
            if SecretStr in kinds:
                return True
            model = next((k for k in kinds if hasattr(k, "model_fields")), None)
    return False


def _leaves(hint: Any) -> Iterator[Any]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        yield from _leaves(arguments[0])
    elif origin is typing.Literal:
        yield from {type(each) for each in arguments}
    elif origin in (typing.Union, types.UnionType, list, tuple, set, frozenset):
        for each in arguments:
            yield from _leaves(each)
    elif isinstance(origin, type) and issubclass(origin, Mapping):
        yield from _leaves(arguments[1])
    elif hint is not Ellipsis:
        yield hint


def _values(value: object) -> Iterator[object]:
    if isinstance(value, list | tuple | set | frozenset):
        for each in value:
            yield from _values(each)
    elif value is not None:
        yield value


def _wanted(kinds: frozenset[Any]) -> Any:
    return "must be a number" if kinds & NUMBERS else "must be a time, as 2026-03-02T15:30:00Z"


def _check_path(value: str | Path) -> None:
    path = Path(value)
    if not str(value).strip() or "\0" in str(value):
        raise PydanticCustomError("no_path", "must be a file's name")
    if not path.name and path.is_absolute():
        raise PydanticCustomError("no_path", "is a folder: give a file")
    if len(os.fsencode(path)) > LONGEST_PATH or any(
        len(os.fsencode(part)) > LONGEST_NAME for part in path.parts
    ):
        raise PydanticCustomError("no_path", "is too long for a file's name")


def _check_range(value: object, *, textual: bool, finite: bool) -> None:
    if isinstance(value, str) and textual:
        return
    try:
        number = value if isinstance(value, Decimal) else Decimal(str(value).strip())
    except (InvalidOperation, ValueError):
        return
    if not number.is_finite():
        if not finite:
            return
        raise PydanticCustomError("out_of_range", "must be a finite number")
    if number and (number.adjusted() > LARGEST.adjusted() or abs(number) > LARGEST):
        raise PydanticCustomError("out_of_range", "must lie between -10^15 and 10^15")
    if int(number.as_tuple().exponent) < FINEST and not isinstance(value, float):
        raise PydanticCustomError("out_of_range", "must have 15 decimals at most")
