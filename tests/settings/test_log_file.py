"""The log's file: rotated, shared by processes, and no reason to stop."""

from __future__ import annotations

import fcntl
import os
import re
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from smabot.system import log, log_file
from smabot.system.redaction import register_secret

SECRET = "s3cr3t/value+1"
LINES = 1500
WRITER = f"""
import sys, time
from pathlib import Path
from loguru import logger
from smabot.system import log, log_file, redaction

name, file = sys.argv[1], Path(sys.argv[2])
log_file.FILE_BYTES, log_file.FILES_KEPT = 20_000, 10_000
redaction.register_secret({SECRET!r})
log.set_up("ERROR", file, "INFO")
Path(name).touch()
while not Path("go").exists():
    time.sleep(0.001)
for number in range({LINES}):
    text = "x" * (20_000 if number % 100 == 50 else number % 90)
    logger.info("{{}} {{}} [{{}}] {{}} end", name, number, text, {SECRET!r})
"""
LINE = re.compile(r"\S+Z INFO    __main__: (\w+) (\d+) \[x*\] \*{8} end")


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    logger.remove()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_file, "FILE_BYTES", 500)


def write(file: Path, count: int) -> None:
    log.set_up("ERROR", file, "INFO")
    for number in range(count):
        logger.info("line {} {}", number, "x" * 60)


def aside(file: Path) -> list[Path]:
    return sorted(path for path in file.parent.iterdir() if path != file)


def numbers(*files: Path) -> list[int]:
    text = "".join(file.read_text() for file in files)
    return sorted(int(found) for found in re.findall(r": line (\d+) x{60}\n", text))


def test_two_processes_lose_and_tear_no_line(in_tmp: Path) -> None:
    file = in_tmp / "logs" / "bot.log"
    file.parent.mkdir()
    file.touch()
    file.chmod(0o600)
    command = [sys.executable, "-c", WRITER]
    writers = [subprocess.Popen([*command, name, str(file)]) for name in ("one", "two")]
    while not (Path("one").exists() and Path("two").exists()):
        assert all(writer.poll() is None for writer in writers)
    Path("go").touch()
    assert [writer.wait(60) for writer in writers] == [0, 0]

    files = [file, *aside(file)]
    lines = [line for each in files for line in each.read_text().splitlines()]
    found = [LINE.fullmatch(line) for line in lines]
    assert [line for line, match in zip(lines, found, strict=True) if match is None] == []
    counted = Counter(match.groups() for match in found if match)
    assert counted == {(name, str(n)): 1 for name in ("one", "two") for n in range(LINES)}
    assert {stat.S_IMODE(each.stat().st_mode) for each in files} == {0o600}
    assert len(files) > 3


def test_a_file_that_is_put_aside_before_the_first_line_keeps_its_mode(tmp_path: Path) -> None:
    file = tmp_path / "bot.log"
    file.touch(0o600)
    writer = log_file.LogFile(file, lambda text: None)
    file.rename(tmp_path / "bot.log.1")
    writer.write("first\n")
    assert file.read_text() == "first\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    writer.stop()


@pytest.fixture
def pair(small: None, tmp_path: Path) -> Iterator[tuple[log_file.LogFile, log_file.LogFile]]:
    """Two writers of one file, which holds 400 of 500 bytes."""
    told: list[str] = []
    writers = [log_file.LogFile(tmp_path / "bot.log", told.append) for _ in range(2)]
    for writer in writers:
        writer.write("x" * 199 + "\n")
    yield writers[0], writers[1]
    for writer in writers:
        writer.stop()
    assert told == []


def once(real: Callable[..., Any], first: Callable[[], None]) -> Callable[..., Any]:
    """Call another function before the first call of this one."""
    calls: list[None] = []

    def call(*arguments: Any) -> Any:
        calls.append(None)
        if len(calls) == 1:
            first()
        return real(*arguments)

    return call


def test_while_one_rotates_the_other_goes_on_with_the_old_file(
    pair: tuple[log_file.LogFile, log_file.LogFile],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, other = pair
    late = "late " + "x" * 200 + "\n"
    monkeypatch.setattr(os, "rename", once(os.rename, lambda: other.write(late)))
    one.write("new " + "x" * 200 + "\n")
    file = tmp_path / "bot.log"
    (old,) = aside(file)
    assert old.read_text().endswith(late)
    assert file.read_text().startswith("new ")


def test_one_that_comes_after_the_rotation_does_not_rotate_again(
    pair: tuple[log_file.LogFile, log_file.LogFile],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, other = pair
    late, new = (word + "x" * 200 + "\n" for word in ("late ", "new "))
    monkeypatch.setattr(fcntl, "flock", once(fcntl.flock, lambda: other.write(new)))
    one.write(late)
    file = tmp_path / "bot.log"
    (old,) = aside(file)
    assert old.read_text().endswith(late)
    assert file.read_text() == new


@pytest.mark.usefixtures("small")
def test_the_newest_are_kept_and_other_files_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "bot.log"
    others = [tmp_path / name for name in ("bot.qqq.log", "bot.log.old", "bot.log.txt", "my.log")]
    before = [tmp_path / f"bot.log.{number}" for number in (1, 2)]
    for path in (*others, *before):
        path.write_text("kept\n")
        os.utime(path, (0, 0))
    write(file, 60)
    assert all(path.read_text() == "kept\n" for path in others)
    kept = [path for path in aside(file) if path not in others]
    assert len(kept) == log_file.FILES_KEPT
    assert not [path for path in before if path in kept]
    shown = numbers(file, *kept)
    assert shown == list(range(60 - len(shown), 60))
    assert all(path.stat().st_size <= 500 for path in kept)


@pytest.mark.usefixtures("small")
def test_what_can_not_be_rotated_is_written_on(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    unprivileged: Callable[[], AbstractContextManager[None]],
) -> None:
    file = tmp_path / "fixed" / "bot.log"
    file.parent.mkdir()
    file.touch()
    file.parent.chmod(0o500)
    with unprivileged():
        write(file, 30)
    file.parent.chmod(0o700)
    assert numbers(file) == list(range(30))
    told = capsys.readouterr().err
    assert told.startswith(f"smabot: log file {file}: can't be rotated: ")
    assert told.count("\n") == 1


def test_a_full_disk_is_told_once_and_without_the_record(
    capsys: pytest.CaptureFixture[str],
) -> None:
    register_secret(SECRET)
    log.set_up("ERROR", Path("/dev/full"), "INFO")
    for _ in range(3):
        logger.info("with {}", SECRET)
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert told.startswith("smabot: log file /dev/full: can't be written: ")
    assert "with" not in told


@pytest.mark.usefixtures("small")
def test_a_device_is_not_rotated() -> None:
    write(Path("/dev/null"), 30)
    assert Path("/dev/null").is_char_device()


@pytest.mark.usefixtures("small")
def test_through_a_link_the_real_file_is_rotated(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    real, link = tmp_path / "disk" / "bot.log", tmp_path / "bot.log"
    real.touch()
    link.symlink_to(real)
    write(link, 12)
    assert link.is_symlink()
    assert numbers(real, *aside(real)) == list(range(12))
    assert len(aside(real)) > 1


@pytest.mark.usefixtures("small")
def test_any_name_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "{time} [a]*?" / "bot {x}"
    write(file, 12)
    assert numbers(file, *aside(file)) == list(range(12))
    assert len(aside(file)) > 1


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("mode", [0o600, 0o660])
def test_the_new_file_has_the_rights_of_the_one_before(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "bot.log"
    file.touch()
    file.chmod(mode)
    write(file, 12)
    assert {stat.S_IMODE(each.stat().st_mode) for each in (file, *aside(file))} == {mode}
    assert len(aside(file)) > 1


def test_a_file_taken_away_is_begun_again(tmp_path: Path) -> None:
    file = tmp_path / "bot.log"
    write(file, 3)
    file.rename(tmp_path / "moved.log")
    logger.info("line 3 {}", "x" * 60)
    assert numbers(file) == [3]
    assert numbers(tmp_path / "moved.log") == [0, 1, 2]
