"""What `smabot verify` shows: a line for each check, and below one that failed what to do."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory
from textwrap import wrap
from typing import TYPE_CHECKING, Any
from urllib.parse import quote as quoted_address

import click

import smabot
from smabot.cli.progress_bar import progress_bar
from smabot.errors import ConfigError, UsageError, counted, suggest

if TYPE_CHECKING:
    from smabot.cli.app import App
    from smabot.cli.times import Times
    from smabot.settings.loading import Flag, Loaded
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


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """The arguments of `smabot verify`."""

    names: Sequence[str]
    checks: Sequence[str]
    case: str | None
    data: str | None
    data_zone: str | None
    symbols: Sequence[str] | None
    assigned: Sequence[str]
    thorough: bool
    may_send: bool
    badge: bool

    @property
    def replayed(self) -> str:
        """Those that a replay of a case needs, as typed."""
        words = [] if self.data is None else ["--data", self.data]
        words += ["--data-zone", self.data_zone] if self.data_zone else []
        words += ["--symbols", ",".join(self.symbols)] if self.symbols else []
        words += [word for text in self.assigned for word in ("--set", text)]
        words += ["--send-orders"] if self.may_send else []
        return " ".join(map(quote, words))


def verify_plugins(app: App, options: VerifyOptions) -> int:
    """Verify plugins and show what was found; returns the exit code."""
    from smabot.system import log

    log.set_up(("ERROR", "WARNING", "DEBUG")[min(app.verbose, 2)])
    with TemporaryDirectory(prefix="smabot-verify-") as folder:
        found = _subjects(app, options, Path(folder))
        quiet = app.as_json or options.badge
        verdicts = [
            verdict for each in found for verdict in _verified(app, each, options, quiet=quiet)
        ]
    if app.as_json:
        app.emit({"plugins": [_plugin_json(each, verdicts) for each in found]}, "")
    elif options.badge:
        click.echo("\n".join(_badge(each, verdicts) for each in found))
    return 0 if all(verdict.proved for verdict in verdicts) else 1


def _subjects(app: App, options: VerifyOptions, folder: Path) -> list[Subject]:
    """Return the plugins to verify. Raises ConfigError for every mistake, before the first check runs."""
    from smabot.testing.verifying.own_bars import OwnBars
    from smabot.testing.verifying.plugin_roles import DECIDING
    from smabot.testing.verifying.subject import subjects
    from smabot.testing.verifying.verification import checks_of

    loaded = app.load(_flags(options))
    config = _trial(loaded)
    own = None if options.data is None else OwnBars.read(options.data, loaded.config)

    def tailor(subject: Subject) -> Subject:
        tried = replace(
            subject, origins=loaded.origins, case=options.case or "", thorough=options.thorough,
            options=options.replayed, may_send=options.may_send, within=folder,
        )  # fmt: skip
        if own is None or not {*DECIDING} & {*tried.roles}:
            return tried
        own.require(tried.name, tried.lookback)
        return replace(tried, own_bars=own.spans(tried.lookback), data=own.data)

    found = subjects(options.names, config, tailor)
    _require_known_tables(options.assigned, [each.name for each in found])
    for each in found:
        checks_of(each, options.checks)
        each.check_case()
    return found


def _verified(app: App, subject: Subject, options: VerifyOptions, *, quiet: bool) -> list[Verdict]:
    """Run the checks of a plugin, and show each when it is done."""
    if not quiet:
        click.echo(f"{subject.name}  {', '.join(subject.roles)}\n{HEADS}")
    found = []
    for verdict in _told(app, subject, options.checks):
        found.append(verdict)
        if not quiet:
            click.echo("\n".join(_lines(verdict, app.times)))
    if not quiet:
        click.echo(_sum(found))
    return found


def _told(app: App, subject: Subject, names: Sequence[str]) -> Iterator[Verdict]:
    """Yield verdicts; meanwhile show the progress, and log what plugins print."""
    from smabot.hooks.plugin_output import printed_to_log
    from smabot.testing.verifying.verification import effort_of, verify

    verdicts = verify(subject, names, lambda done, text: bar(int(done), text))
    total = int(effort_of(subject, names))
    while True:
        with progress_bar(app, total) as bar, printed_to_log():  # closed while a line is printed
            verdict = next(verdicts, None)
        if verdict is None:
            return
        yield verdict


def _flags(options: VerifyOptions) -> list[Flag]:
    """Return what the command line sets. Raises ConfigError and UsageError where it is wrong."""
    from smabot.settings.loading import Flag
    from smabot.settings.model import Config

    flags = []
    if options.data_zone is not None:
        flags.append(Flag("data_zone", "--data-zone", options.data_zone))
    if options.symbols is not None:
        if any(text.startswith("symbols=") for text in options.assigned):
            raise UsageError("--symbols and --set symbols=…: give one of them")
        flags.append(Flag("symbols", "--symbols", list(options.symbols)))
    for text in options.assigned:
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


def _trial(loaded: Loaded) -> Config:
    """Return the settings of a trial: those that say how to trade, and none that says where.

    Sizes are the trial's own, so that limits are reached, unless they are given with ``--set``.
    """
    from smabot.settings.model import Config

    config = loaded.config
    own = {name: getattr(config, name) for name in TRIED if name in config.model_fields_set}
    origins = {origin for key, origin in loaded.origins.items() if key.startswith("sizing")}
    if "--set" not in origins:
        own.pop("sizing", None)
    return Config(**own)


def _lines(verdict: Verdict, times: Times) -> Iterable[str]:
    outcome, said = verdict.outcome, times.in_text(verdict.outcome.said)
    head = f"  {verdict.check.name:<14}  {outcome.result:<8}  {outcome.cases:>6,}  {verdict.seconds:>7.1f}"
    if verdict.proved:
        yield f"{head}  {said}".rstrip()
        return
    yield head
    for text in (said, f"do: {times.in_text(verdict.remedy)}"):
        yield from wrap(
            text, WIDTH, initial_indent="    ", subsequent_indent="      ",
            break_on_hyphens=False, break_long_words=False,
        )  # fmt: skip
    if verdict.replay:
        yield f"    replay: {verdict.replay}"


def _sum(verdicts: Sequence[Verdict]) -> str:
    name = verdicts[0].subject.name
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
    label = quoted_address(text.replace("-", "--"), safe="")
    image = f"https://img.shields.io/badge/smabot%20verify-{label}-{color}"
    return f"![smabot verify {subject.name}: {text}]({image})"
