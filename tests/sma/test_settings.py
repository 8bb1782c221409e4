from __future__ import annotations

import pytest
from pydantic import ValidationError

from smabot_sma.plugin import Sma
from smabot_sma.settings import SmaSettings


def test_a_symbol_has_the_common_windows_but_for_what_its_own_table_says() -> None:
    settings = SmaSettings.model_validate(
        {"fast": 5, "slow": 20, "symbols": {"SPY": {"fast": 3}, "IBM": {"fast": 10, "slow": 50}}}
    )
    assert settings.windows("AAPL") == (5, 20)
    assert settings.windows("SPY") == (3, 20)
    assert settings.windows("IBM") == (10, 50)


@pytest.mark.parametrize(
    ("table", "lookback"),
    [
        ({}, 31),
        ({"fast": 2, "slow": 3}, 4),
        ({"symbols": {"SPY": {"fast": 5, "slow": 20}}}, 31),
        ({"symbols": {"SPY": {"slow": 200}}}, 201),
    ],
)
def test_the_lookback_is_one_bar_more_than_the_longest_window(
    table: dict[str, object], lookback: int
) -> None:
    assert Sma(SmaSettings.model_validate(table)).lookback() == lookback


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"fast": 30}, r"fast \(30\) must be smaller than slow \(30\)"),
        ({"fast": 40, "slow": 30}, r"fast \(40\) must be smaller than slow \(30\)"),
        ({"fast": 0}, r"fast\n  Input should be greater than 0"),
        ({"fast": -3}, r"fast\n  Input should be greater than 0"),
        ({"slow": 0}, r"slow\n  Input should be greater than 0"),
        ({"slow": 1_000_000}, r"slow\n  Input should be less than or equal to 10000"),
        ({"fast": 2.5}, r"fast\n  Input should be a valid integer"),
        ({"slow": "many"}, r"slow\n  Input should be a valid integer"),
        ({"quick": 3}, r"quick\n  Extra inputs are not permitted"),
        ({"symbols": {"SPY": {"fast": 0}}}, r"symbols\.SPY\.fast\n  Input should be greater"),
        ({"symbols": {"SPY": {"slow": 8}}}, r"symbols\.SPY: fast \(10\) must be smaller than slow"),
    ],
)
def test_a_wrong_setting_is_one_clear_error(table: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message) as error:
        SmaSettings.model_validate(table)
    assert error.value.error_count() == 1
