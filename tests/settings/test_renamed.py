"""Settings by their old names: they work until 1.0, say so once, and may not contradict the new ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from smabot.errors import ConfigError, UsageError
from smabot.settings.loading import Flag, load
from smabot.settings.model import Config

FILE = "settings.toml [default]"


@pytest.fixture(autouse=True)
def first_in_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smabot.system.deprecation._noted", set())


def write(text: str) -> None:
    Path("settings.toml").write_text(f"[default]\n{text}\n")


def test_the_old_setting_works_and_says_so(
    in_tmp: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write('tape = "old.csv"')
    loaded = load()
    assert (loaded.config.data, loaded.config.tape) == ("old.csv", "old.csv")
    assert loaded.origin("data") == FILE
    assert loaded.describe("tape") == loaded.describe("data") == f"data = 'old.csv' ({FILE})"
    load()
    said = capsys.readouterr().err
    assert said == f"smabot: {FILE}: tape is now data; the old name works until 1.0\n"


def test_the_new_setting_says_nothing(in_tmp: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write('data = "new.csv"')
    assert load(flags=[Flag("data", "--data", "flag.csv")]).config.data == "flag.csv"
    assert capsys.readouterr().err == ""


def test_a_higher_layer_counts_whichever_name_it_uses(
    in_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write('tape = "file.csv"')
    assert load(flags=[Flag("data", "--data", "flag.csv")]).config.data == "flag.csv"
    write('data = "file.csv"')
    monkeypatch.setenv("SMABOT_TAPE", "variable.csv")
    assert load().config.data == "variable.csv"
    flags = [Flag("tape", "--tape", "flag.csv")]
    assert load(flags=flags).config.data == "flag.csv"
    assert load(flags=flags).origin("data") == "--tape"


def test_flag_and_variable_say_their_new_names(
    in_tmp: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SMABOT_TAPE", "variable.csv")
    monkeypatch.setenv("SMABOT_PLUGIN__EXCHANGE__PARTICIPATION", "0.5")
    loaded = load(flags=[Flag("tape", "--tape", "flag.csv")])
    assert loaded.config.table("exchange") == {"max_volume_share": 0.5}
    assert capsys.readouterr().err.splitlines() == [
        "smabot: SMABOT_PLUGIN__EXCHANGE__PARTICIPATION is now "
        "SMABOT_PLUGIN__EXCHANGE__MAX_VOLUME_SHARE; the old name works until 1.0",
        "smabot: SMABOT_TAPE is now SMABOT_DATA; the old name works until 1.0",
        "smabot: --tape is now --data; the old name works until 1.0",
    ]


def test_the_exchanges_old_setting_works(in_tmp: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write("[default.plugin.exchange]\nparticipation = 0.2")
    loaded = load()
    assert loaded.config.table("exchange") == {"max_volume_share": 0.2}
    assert loaded.origin("plugin.exchange.max_volume_share") == FILE
    assert "participation is now plugin.exchange.max_volume_share" in capsys.readouterr().err


def test_both_names_with_the_same_value_are_fine(in_tmp: Path) -> None:
    write('tape = "one.csv"\ndata = "one.csv"')
    assert load().config.data == "one.csv"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('tape = "a.csv"\ndata = "b.csv"', "data = 'b.csv' and tape = 'a.csv': tape is the old"),
        (
            "[default.plugin.exchange]\nparticipation = 0.2\nmax_volume_share = 0.3",
            "plugin.exchange.max_volume_share = 0.3 and plugin.exchange.participation = 0.2",
        ),
    ],
)
def test_a_file_that_contradicts_itself_is_an_error(in_tmp: Path, text: str, words: str) -> None:
    write(text)
    with pytest.raises(ConfigError) as caught:
        load()
    assert str(caught.value).startswith(f"{FILE}: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_variables_and_flags_that_contradict_each_other_are_errors(
    in_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = [Flag("data", "--data", "a.csv"), Flag("tape", "--tape", "b.csv")]
    with pytest.raises(UsageError, match=r"--tape b\.csv and --data a\.csv: both name data"):
        load(flags=flags)
    monkeypatch.setenv("SMABOT_DATA", "a.csv")
    monkeypatch.setenv("SMABOT_TAPE", "b.csv")
    with pytest.raises(ConfigError, match=r"SMABOT_TAPE b\.csv and SMABOT_DATA a\.csv"):
        load()


def test_a_configuration_made_in_python_takes_the_old_name() -> None:
    config = Config.model_validate({"tape": "old.csv"})
    assert config.data == config.tape == "old.csv"
