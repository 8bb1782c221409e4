"""What `smabot verify` shows: a line for each check, and below one that failed what to do."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import wrap
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

import smabot
from smabot.errors import ConfigError, counted, suggest

if TYPE_CHECKING:
    from smabot.cli.app import App
    from smabot.settings.loading import Flag
    from smabot.settings.model import Config
    from smabot.testing.verifying.subject import Subject
    from smabot.testing.verifying.verification import Verdict

WIDTH = 78
HEADS = f"  {'check':<14}  {'result':<8}  {'cases':>6}  {'seconds':>7}"
TRIED = (
    "bot", "symbols", "max_bar_age_minutes", "equity_every_minutes", "act_on_missed_entries",
    "entry_timeout_minutes", "last_entry_minutes", "cancel_entries", "price_collar", "sizing", "plugin",
)  # fmt: skip
"""The settings that a trial takes over; the others say where a bot runs."""


def verify_plugins(
    app: App, names: Sequence[str], checks: Sequence[str], case: str | None, data: str | None,
    assigned: Sequence[str], *, thorough: bool, badge: bool,
) -> int:  # fmt: skip
    """Verify plugins and show what was found; returns the exit code."""
    from smabot.testing.verifying.own_bars import market_of
    from smabot.testing.verifying.subject import subjects
    from smabot.testing.verifying.verification import checks_of, verify

    loaded = app.load(_flags(assigned))
    config = _trial(loaded.config)
    with TemporaryDirectory(prefix="smabot-verify-") as folder:
        own = (market_of(data, config, Path(folder)),) if data is not None else ()

        def tailor(subject: Subject) -> Subject:
            return replace(
                subject, origins=loaded.origins, own_bars=own, case=case or "", thorough=thorough,
                folder=Path(folder) / subject.name,
            )  # fmt: skip

        found = subjects(names, config, tailor)
        _require_known_tables(assigned, [each.name for each in found])
        for each in found:
            checks_of(each, checks)  # a mistake is told before the first check runs
        verdicts: list[Verdict] = []
        quiet = app.as_json or badge
        for each in found:
            own_verdicts = []
            if not quiet:
                click.echo(f"{each.name}  {', '.join(each.roles)}\n{HEADS}")
            for verdict in verify(each, checks):
                own_verdicts.append(verdict)
                if not quiet:
                    click.echo("\n".join(_lines(verdict)))
            verdicts += own_verdicts
            if not quiet:
                click.echo(_sum(own_verdicts))
    if app.as_json:
        app.emit({"plugins": [_plugin_json(each, verdicts) for each in found]}, "")
    elif badge:
        click.echo("\n".join(_badge(each, verdicts) for each in found))
    return 0 if all(verdict.proved for verdict in verdicts) else 1


def _flags(assigned: Sequence[str]) -> list[Flag]:
    from smabot.settings.loading import Flag
    from smabot.settings.model import Config

    flags = []
    for text in assigned:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise ConfigError(f"--set {text}: write it as KEY=VALUE, as in --set sma.slow=20")
        core = key.partition(".")[0] in Config.model_fields
        flags.append(Flag(key if core else f"plugin.{key}", "--set", _value(key, value)))
    return flags


def _value(key: str, text: str) -> Any:
    """Return a value as TOML reads it, and a text as it is."""
    if key == "symbols":
        return text.split(",")
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _require_known_tables(assigned: Sequence[str], names: Sequence[str]) -> None:
    """Raise ConfigError for a setting of a plugin that is not verified."""
    from smabot.settings.model import Config

    for text in assigned:
        key = text.partition("=")[0]
        known = [name for name in names if key.startswith(f"{name}.")]
        if not known and key.partition(".")[0] not in Config.model_fields:
            hint = suggest(key.rpartition(".")[0], names)
            raise ConfigError(f"--set {text}: it is a setting of none of the plugins{hint}")


def _trial(config: Config) -> Config:
    """Return the settings of a trial: those that say how to trade, and none that says where."""
    from smabot.settings.model import Config as Settings

    return Settings(
        **{name: getattr(config, name) for name in TRIED if name in config.model_fields_set}
    )


def _lines(verdict: Verdict) -> Iterable[str]:
    outcome, said = verdict.outcome, verdict.outcome.said
    head = f"  {verdict.check.name:<14}  {outcome.result:<8}  {outcome.cases:>6,}  {verdict.seconds:>7.1f}"
    if verdict.proved:
        yield f"{head}  {said}".rstrip()
        return
    yield head
    for text in (said, f"do: {verdict.remedy}"):
        yield from wrap(text, WIDTH, initial_indent="    ", subsequent_indent="      ")
    if verdict.replay:
        yield f"    replay: {verdict.replay}"


def _sum(verdicts: Sequence[Verdict]) -> str:
    name = verdicts[0].subject.name if verdicts else ""
    seconds = sum(verdict.seconds for verdict in verdicts)
    bad = [verdict.check.name for verdict in verdicts if not verdict.proved]
    if bad:
        return f"{name}: NOT VERIFIED, {', '.join(bad)}, in {seconds:.1f} s"
    return f"{name}: {counted(len(verdicts), 'check')} passed in {seconds:.1f} s"


def _plugin_json(subject: Subject, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    own = [verdict for verdict in verdicts if verdict.subject is subject]
    return {
        "name": subject.name, "roles": list(subject.roles),
        "verified": all(verdict.proved for verdict in own),
        "checks": [
            {
                "name": each.check.name, "promise": each.check.promise,
                "result": each.outcome.result.lower(), "cases": each.outcome.cases,
                "seconds": round(each.seconds, 3), "said": each.outcome.said,
                "remedy": each.remedy, "replay": each.replay,
            }
            for each in own
        ],
    }  # fmt: skip


def _badge(subject: Subject, verdicts: Sequence[Verdict]) -> str:
    own = [verdict for verdict in verdicts if verdict.subject is subject]
    good = sum(verdict.proved for verdict in own)
    text = f"{good} of {counted(len(own), 'check')} passed, {smabot.__version__}"
    color = "brightgreen" if good == len(own) else "red"
    label = quote(text.replace("-", "--"), safe="")
    image = f"https://img.shields.io/badge/smabot%20verify-{label}-{color}"
    return f"![smabot verify {subject.name}: {text}]({image})"
