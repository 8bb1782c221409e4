"""Records behave as the frozen dataclasses as which they are written, whatever they are made of."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar

import pytest

from smabot.api import OrderUpdate, Status, record, register_secret, replace
from smabot.domain.frozen_classes import frozen
from smabot.domain.records import CORE_RECORDS
from smabot.domain.tables import key_of, table_of

NOON = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
SECRET = "sesame-of-the-frozen-records"


def written(name: str) -> type[Any]:
    """Return a class as an author writes it, before a decorator makes something of it."""

    class Written:
        name: str
        price: Decimal
        days: int = 0
        note: str = ""
        LIMIT: ClassVar[int] = 7

        @property
        def cost(self) -> Decimal:
            return self.price * self.days

        @classmethod
        def free(cls, name: str) -> Any:
            return cls(name, Decimal(0))  # type: ignore[call-arg]

    Written.__name__ = Written.__qualname__ = name  # so that pickle finds it
    return Written


Fast: Any = frozen(written("Fast"))
Plain: Any = dataclasses.dataclass(frozen=True, slots=True)(written("Plain"))


def both(do: Callable[[Any], object]) -> tuple[object, object]:
    return do(Fast), do(Plain)


@pytest.mark.parametrize(
    "do",
    [
        lambda cls: repr(cls("a", Decimal(2), note="x")).partition("(")[2],
        lambda cls: cls("a", Decimal(2)) == cls(price=Decimal(2), name="a"),
        lambda cls: cls("a", Decimal(2)) == cls("a", Decimal(2), 1),
        lambda cls: cls("a", Decimal(2)) == ("a", Decimal(2), 0, ""),
        lambda cls: len({cls("a", Decimal(2)), cls("a", Decimal(2)), cls("b", Decimal(2))}),
        lambda cls: cls.__match_args__,
        lambda cls: cls.free("z").price,
        lambda cls: cls("a", Decimal(2), 3).cost,
        lambda cls: cls.LIMIT,
        lambda cls: dataclasses.is_dataclass(cls) and dataclasses.is_dataclass(cls.free("a")),
        lambda cls: [(f.name, f.type, f.default) for f in dataclasses.fields(cls)],
        lambda cls: [f.name for f in dataclasses.fields(cls.free("a"))],
        lambda cls: dataclasses.asdict(cls("a", Decimal(2))),
        lambda cls: dataclasses.astuple(cls("a", Decimal(2))),
        lambda cls: dataclasses.replace(cls("a", Decimal(2)), days=5).days,
        lambda cls: replace(cls("a", Decimal(2)), days=5).days,
        lambda cls: copy.copy(cls("a", Decimal(2))) == cls("a", Decimal(2)),
        lambda cls: copy.deepcopy(cls("a", Decimal(2))) == cls("a", Decimal(2)),
        lambda cls: pickle.loads(pickle.dumps(cls("a", Decimal(2)))) == cls("a", Decimal(2)),
        lambda cls: hasattr(cls.free("a"), "__dict__"),
    ],
)
def test_it_is_what_a_frozen_dataclass_is(do: Callable[[Any], object]) -> None:
    fast, plain = both(do)
    assert fast == plain
    assert fast is not None


@pytest.mark.skipif(sys.version_info < (3, 13), reason="copy.replace came with Python 3.13")
def test_copy_replace_works() -> None:
    assert copy.replace(Fast.free("a"), days=2).days == 2  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda cls: cls(),
        lambda cls: cls("a"),
        lambda cls: cls("a", 1, 2, "n", 5),
        lambda cls: cls("a", 1, colour=2),
        lambda cls: dataclasses.replace(cls.free("a"), colour=2),
        lambda cls: replace(cls.free("a"), colour=2),
    ],
)
@pytest.mark.parametrize("cls", [Fast, Plain])
def test_what_it_can_not_be_made_of_is_a_type_error(
    wrong: Callable[[Any], object], cls: Any
) -> None:
    with pytest.raises(TypeError):
        wrong(cls)


@pytest.mark.parametrize("cls", [Fast, Plain])
def test_nothing_of_it_changes(cls: Any) -> None:
    made = cls.free("a")
    with pytest.raises(AttributeError):
        made.days = 3
    with pytest.raises(AttributeError):
        del made.days
    with pytest.raises((AttributeError, TypeError)):
        made.colour = 3
    assert made == cls.free("a")


def test_a_match_takes_it_apart() -> None:
    match Fast("a", Decimal(2), 3):
        case Fast(name, _, days=days):
            assert (name, days) == ("a", 3)
        case _:
            pytest.fail("no match")


def test_it_is_made_in_a_fraction_of_the_time() -> None:
    """That is what it is for: a record that falls back to a dataclass would still pass all the rest."""
    assert not hasattr(Fast, "__dataclass_params__")
    for kind in (*CORE_RECORDS, OrderUpdate):
        assert not hasattr(kind, "__dataclass_params__"), kind
        assert dataclasses.is_dataclass(kind)


@pytest.mark.parametrize("kind", CORE_RECORDS)
def test_each_record_of_core_has_the_fields_of_its_table(kind: type) -> None:
    names = tuple(column.name for column in table_of(kind).columns)
    assert tuple(f.name for f in dataclasses.fields(kind)) == names  # type: ignore[arg-type]
    assert kind.__match_args__ == names  # type: ignore[attr-defined]


# -- what only a dataclass can be ------------------------------------------------------------------


def test_a_class_with_its_own_special_method_keeps_it() -> None:
    @record(table="rounded", key=("name",))
    class Rounded:
        name: str
        price: float = 0.0

        def __post_init__(self) -> None:
            object.__setattr__(self, "price", round(self.price, 2))

    row = Rounded("a", 1.239)
    assert row.price == 1.24
    assert replace(row, price=2.001).price == dataclasses.replace(row, price=2.001).price == 2.0


def test_a_class_with_a_base_or_a_field_is_a_dataclass() -> None:
    class Named:
        def title(self) -> str:
            return str(self.name).title()  # type: ignore[attr-defined]

    @record(table="with_base", key=("name",))
    class WithBase(Named):
        name: str

    @record(table="with_field", key=("name",))
    class WithField:
        name: str
        days: int = dataclasses.field(default_factory=lambda: 7)

    assert WithBase("ann").title() == "Ann"
    assert WithField("a").days == 7
    assert replace(WithField("a"), days=3) == WithField("a", 3)
    for row in (WithBase("a"), WithField("a")):
        assert key_of(row) == ("a",)
        with pytest.raises(AttributeError):
            row.name = "b"  # type: ignore[misc]


def test_a_key_that_is_no_field_is_refused() -> None:
    with pytest.raises(TypeError, match="'colour' is not a field"):

        @record(table="keyless", key=("colour",))
        class Keyless:
            name: str


# -- secrets ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("with_base", [False, True])
def test_a_secret_is_masked_however_a_record_comes_to_hold_it(with_base: bool) -> None:
    base = type("Base", (), {}) if with_base else object

    @record(table="told", key=("name",))
    class Told(base):  # type: ignore[misc,valid-type]
        name: str
        text: str = ""
        more: str | None = None

    told = Told("a", "before")
    register_secret(SECRET)
    assert Told("a", f"key {SECRET}", SECRET) == Told("a", "key ********", "********")
    for changed in (
        replace(told, text=SECRET),
        dataclasses.replace(told, text=SECRET),
        copy.copy(Told("a", SECRET)),
    ):
        assert changed.text == "********"


def test_an_update_is_no_record_and_still_frozen() -> None:
    update = OrderUpdate("id", Status.ACCEPTED, NOON)
    assert dataclasses.replace(update, reason="late") == replace(update, reason="late")
    assert hash(update) == hash(copy.deepcopy(update))
