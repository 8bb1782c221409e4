"""The command line. `main` is the console entry: it turns every failure into one line and a code.

It is light to import, so that an interrupt finds it ready: everything else is imported within it.
"""

from __future__ import annotations

import os
import signal
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from smabot.cli.stop_signals import INTERRUPTED
from smabot.system import stdio

if TYPE_CHECKING:
    from smabot.cli.app import App


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line, without the program's name; returns the exit code."""
    try:
        with (
            stdio.guarded(),
            _lenient_to_warnings(),
            _interruptible(for_good=arguments is None),
        ):
            from smabot.cli.app import App

            app = App()
            _show_old_names(app)
            code = _answered(app, _run(app, arguments))
            if arguments is None:
                _leave_threads(app, code)
            return code
    except KeyboardInterrupt:  # another one, while the first was reported
        return INTERRUPTED


def _run(app: App, arguments: Sequence[str] | None) -> int:
    import click

    from smabot.cli.command_group import smabot
    from smabot.cli.help.synonyms import answer_to_error
    from smabot.errors import SmabotError

    if asked := os.environ.get("_SMABOT_COMPLETE"):
        from smabot.cli.help.shell_completion import answer_shell

        return answer_shell(smabot, app, asked)
    try:
        result = smabot.main(arguments, prog_name="smabot", standalone_mode=False, obj=app)
    except click.UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()
            return error.exit_code
        if (answer := answer_to_error(error)) is not None:
            return app.fail(answer, error)
        command = error.ctx.command_path if error.ctx else "smabot"
        what = error.format_message().rstrip(".")
        return app.fail(
            f"{what}{' See' if what[-1:] == '?' else '; see'} `{command} --help`", error
        )
    except click.ClickException as error:
        return app.fail(error.format_message(), error)
    except (KeyboardInterrupt, click.Abort):
        return app.fail("interrupted", None, code=INTERRUPTED)
    except SmabotError as error:
        return app.fail(str(error), error)
    except OSError as error:
        what = f"{error.filename}: " if error.filename else ""
        return app.fail(f"{what}{error.strerror or error}", error)
    except Exception as error:  # noqa: BLE001 - the last resort
        hint = "" if app.debug else " (run with --debug for the traceback)"
        return app.fail(f"internal error: {type(error).__name__}: {error}{hint}", error)
    return result if type(result) is int else 0


def _answered(app: App, code: int) -> int:
    """Return a command's exit code, 1 where its answer did not arrive and nothing else went wrong."""
    stdio.flush()
    failure = stdio.lost()
    if failure is None or not app.answers:
        return code
    if not isinstance(failure, BrokenPipeError):
        app.fail(f"the answer can't be written to stdout: {failure.strerror}", None)
    return code or 1


def _leave_threads(app: App, code: int) -> None:
    """Leave at once where a plugin's thread would keep the process alive: all is done and kept."""
    others = [t for t in threading.enumerate() if t is not threading.main_thread()]
    if alive := [thread.name for thread in others if not thread.daemon]:
        app.warn(
            f"a plugin's thread is still running at exit: {', '.join(alive)}; make it a daemon"
        )
        stdio.flush()
        os._exit(code)


@contextmanager
def _interruptible(*, for_good: bool) -> Iterator[None]:
    """Leave at once on Ctrl-C while modules are imported, and ``for_good`` when all is done: nothing is
    begun yet or any more, and nobody would catch it. In between it is raised."""
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield
        return
    signal.signal(signal.SIGINT, _leave)
    import smabot.cli.command_group  # noqa: F401

    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        after = signal.SIG_DFL if for_good else signal.default_int_handler
        signal.signal(signal.SIGINT, after)


def _leave(number: int, frame: object) -> None:
    stdio.last_words("interrupted")
    os._exit(INTERRUPTED)


def _show_old_names(app: App) -> None:
    """Show as a line of its own, until Python's warnings are restored, that a plugin uses an old name."""
    from smabot.system.deprecation import OldName

    others = warnings.showwarning

    def show(message: Warning | str, *where: Any, **more: Any) -> None:
        if isinstance(message, OldName):
            app.warn_of_old_name(message)
        else:
            others(message, *where, **more)

    warnings.showwarning = show
    warnings.simplefilter("always", OldName)


@contextmanager
def _lenient_to_warnings() -> Iterator[None]:
    """Show, and never raise, warnings that the interpreter was told to raise: a library's must not end
    a bot."""
    with warnings.catch_warnings():
        filters = [tuple(each) for each in warnings.filters]
        shown: Any = [("default", *each[1:]) if each[0] == "error" else each for each in filters]
        warnings.filters = shown
        yield
