from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from smabot.errors import ConfigError
from smabot.hooks.plugins import Plugins
from smabot.settings.loading import load
from smabot_risk.settings import CircuitBreakerSettings, DailyLimitsSettings

README = Path(__file__).parents[2] / "plugins/risk/README.md"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("circuit_breaker.max_failures = -1", "max_failures = -1: must be greater than"),
        ("circuit_breaker.max_peak_drawdown = 5", "max_peak_drawdown = 5: must be less than 1"),
        ("circuit_breaker.block = 'none'", "block = 'none': must be 'entries' or 'all'"),
        ("daily_limits.max_loss = -0.5", "max_loss = -0.5: must be greater than or equal to 0"),
        ("daily_limits.max_trade = 5", "unknown setting 'plugin.risk.daily_limits.max_trade'"),
    ],
)
def test_a_wrong_setting_is_one_line_with_its_name(tmp_path: Path, line: str, message: str) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(f"[default.plugin.risk]\n{line}\n")
    loaded = load(file)
    with pytest.raises(ConfigError, match=message) as error:
        Plugins.load(loaded.config, ["risk"], loaded.origins)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("settings", [CircuitBreakerSettings, DailyLimitsSettings])
def test_the_page_names_each_setting_with_its_default(settings: Any) -> None:
    page = README.read_text()
    for name, field in settings.model_fields.items():
        default = f'`"{field.default}"`' if isinstance(field.default, str) else field.default
        assert f"| `{name}` | {default} |" in page
