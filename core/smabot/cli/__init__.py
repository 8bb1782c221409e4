"""The command line. `main` is the console entry: it turns every failure into one line and a code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from smabot.cli.app import App
from smabot.errors import SmabotError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line, without the program's name; returns the exit code."""
    from smabot.cli.verbs import smabot

    app = App()
    try:
        result = smabot.main(arguments, prog_name="smabot", standalone_mode=False, obj=app)
        sys.stdout.flush()
    except click.UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()
            return error.exit_code
        command = error.ctx.command_path if error.ctx else "smabot"
        return app.fail(f"{error.format_message().rstrip('.')}; see `{command} --help`", error)
    except click.ClickException as error:
        return app.fail(error.format_message(), error)
    except (KeyboardInterrupt, click.Abort):
        return app.fail("interrupted", None, code=130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except SmabotError as error:
        return app.fail(str(error), error)
    except Exception as error:  # noqa: BLE001 - the last resort
        hint = "" if app.debug else " (run with --debug for the traceback)"
        return app.fail(f"internal error: {type(error).__name__}: {error}{hint}", error)
    return result if type(result) is int else 0
