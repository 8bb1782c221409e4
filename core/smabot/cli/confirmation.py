"""Asking the operator for a confirmation on the terminal."""

from __future__ import annotations

import sys

import click

from smabot.cli.text_layout import width_of, wrapped
from smabot.errors import UsageError

NO_TERMINAL_FOR_LIVE = (
    "--live asks for confirmation, and there is no terminal: add --yes-live ACCOUNT"
)


def require_terminal(otherwise: str) -> None:
    """Raise UsageError, which says what to do instead, where nobody can be asked."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(otherwise)


def require_confirmation(what: str, word: str, otherwise: str) -> None:
    """Let the operator confirm by typing a word. Raises UsageError without it."""
    require_terminal(otherwise)
    click.echo("\n".join(wrapped(what, width_of(sys.stderr))), err=True)
    if (
        click.prompt(f"Type '{word}' to continue", default="no", show_default=False, err=True)
        != word
    ):
        raise UsageError("not confirmed, nothing was started")
