"""The log: loguru, set up by the command line alone, with every rendered line redacted.

Libraries log through the standard library; loguru writes their records, too. Text from outside is an
argument of a message, never a part of its format.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from loguru import logger

from smabot.errors import ConfigError
from smabot.system.log_file import LogFile
from smabot.system.paths import file_exists
from smabot.system.redaction import redact

if TYPE_CHECKING:
    from loguru import Record

FORMAT = "{time:YYYY-MM-DDTHH:mm:ss.SSS!UTC}Z {level: <7} {name}: {message}"
COLORED = "<dim>{time:HH:mm:ss!UTC}</dim> <level>{level: <7}</level> {name}: {message}"
LIBRARY_LEVELS = {"TRACE": logging.DEBUG, "DEBUG": logging.INFO}
_set_up: list[str] = []
"""The levels it was set up with; empty before."""


def ensure() -> None:
    """Set the log up as a short command needs it, warnings on stderr, unless it is set up."""
    if not _set_up:
        set_up("WARNING")


def set_up(
    level: str = "INFO",
    file: Path | None = None,
    file_level: str | None = None,
) -> None:
    """Log to stderr and, where given, to a file that is rotated; secrets show in neither.

    ``level`` is what stderr shows; the file takes ``file_level``, or the same. Libraries
    are heard from WARNING on, with DEBUG from INFO on, with TRACE in full.
    Raises ConfigError when the file can't be written.
    """
    _set_up.append(level)
    colored = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    logger.remove()
    logger.add(
        lambda line: _to_stderr(redact(line)),
        level=level,
        format=COLORED if colored else FORMAT,
        colorize=colored,
        diagnose=False,
        backtrace=False,
    )
    if file is not None:
        logger.add(
            _open(file),
            level=file_level or level,
            format=FORMAT,
            colorize=False,
            diagnose=False,
            backtrace=False,
        )
    logging.basicConfig(
        handlers=[_TakeOver()], level=LIBRARY_LEVELS.get(level, logging.WARNING), force=True
    )


def _to_stderr(line: str) -> None:
    try:
        sys.stderr.write(line)
        sys.stderr.flush()
    except (OSError, ValueError):
        return  # nobody reads it: no reason to stop trading


def _open(file: Path) -> LogFile:
    if not file.is_char_device():
        file_exists(file, f"log.file {file}")
    try:
        return LogFile(file, _to_stderr)
    except OSError as error:
        raise ConfigError(f"log.file {file}: can't be written: {error.strerror}") from None


class _TakeOver(logging.Handler):
    """Hands a library's record on to loguru under the library's name."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            level: str | int = logger.level(record.levelname).name
        except ValueError:
            level = record.levelno

        def rename(taken: Record) -> None:
            taken["name"] = record.name

        logger.patch(rename).opt(exception=record.exc_info).log(level, "{}", record.getMessage())
