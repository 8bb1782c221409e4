"""The soak's figures as tables in Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from benchmarks.soak.judgement import Verdict
from benchmarks.soak.months import COMMANDS, Month, Work

MIB = 1 << 20


def show_month(month: Month, elapsed: float) -> None:
    """Print a line as soon as a month is over."""
    print(
        f"{month.sessions} sessions, {len(month.steps):,} steps, {month.kills} kills, "
        f"{len(month.starts)} starts, after {elapsed:,.0f} s",
        flush=True,
    )


def show_months(months: Sequence[Month]) -> None:
    """Print the figures by month, then rows, then the work of commands."""
    sizes = list(months[0].sizes) if months else []
    columns: dict[str, Callable[[Month], str]] = {
        "sessions": lambda m: f"{m.sessions}",
        "kills": lambda m: f"{m.kills}",
        "RSS, MiB": lambda m: f"{m.rss / 1024:.1f}",
        "PSS, MiB": lambda m: f"{m.pss / 1024:.1f}",
        **{f"{n}, MiB": lambda m, n=n: f"{m.sizes[n] / MIB:.1f}" for n in sizes},  # type: ignore[misc]
        "-wal, MiB": lambda m: f"{m.wal / MIB:.1f}",
        "step p50, ms": lambda m: f"{m.step_median / 1000:.2f}",
        "step p99, ms": lambda m: f"{m.step_p99 / 1000:.2f}",
        "SQL a step": lambda m: f"{m.sql_a_step:,.0f}",
        "start, s": lambda m: f"{m.start_seconds:.2f}",
        "start, calls": lambda m: f"{_of(m.start).calls:,}",
        "start, SQL": lambda m: f"{_of(m.start).sql:,}",
    }
    if any(month.exchange_rss for month in months):
        columns["exchange RSS, MiB"] = lambda m: f"{m.exchange_rss / 1024:.1f}"
    _table("month", columns, months)
    _table("rows", {n: lambda m, n=n: f"{m.rows[n]:,}" for n in _grown(months)}, months)  # type: ignore[misc]
    _table(
        "calls / SQL",
        {
            name: lambda m, n=name: f"{m.commands[n].calls:,} / {m.commands[n].sql:,}"  # type: ignore[misc]
            for name in COMMANDS
        },
        months,
    )


def show_verdicts(verdicts: Sequence[Verdict], happened: Counter[str]) -> None:
    """Print what happened besides kills, and each verdict."""
    print("\n" + ", ".join(f"{count} × {what}" for what, count in sorted(happened.items())) + "\n")
    print("| after the first month | later : earlier | most | |\n|---|---|---|---|")
    for each in verdicts:
        if each.ratio:
            print(f"| {each.what} | {each.ratio:.2f} × | {each.most:.2f} × | {_word(each)} |")
    for each in verdicts:
        if not each.ratio:
            print(f"| {each.what} | | | {_word(each)} {each.note} |")


def _table(first: str, columns: dict[str, Callable[[Month], str]], months: Sequence[Month]) -> None:
    print(f"\n| {first} | " + " | ".join(str(n) for n in range(1, len(months) + 1)) + " |")
    print("|---" * (len(months) + 1) + "|")
    for name, cell in columns.items():
        print(f"| {name} | " + " | ".join(cell(month) for month in months) + " |", flush=True)


def _grown(months: Sequence[Month]) -> list[str]:
    """The tables that have rows, with their most rows first."""
    last = months[-1].rows if months else {}
    return sorted((name for name, rows in last.items() if rows), key=lambda name: -last[name])


def _of(work: Work | None) -> Work:
    assert work is not None
    return work


def _word(verdict: Verdict) -> str:
    return "yes" if verdict.good else "**NO**"
