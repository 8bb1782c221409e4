"""The bot as a service: what systemd is told over a real socket, and what unit `smabot service show` prints."""

from __future__ import annotations

import configparser
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from smabot.cli import main
from smabot.system.service_manager import ServiceManager

SMABOT = str(Path(sys.executable).with_name("smabot"))

pytestmark = pytest.mark.plugins


class Manager:
    """What systemd is to a service: a socket for datagrams."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)

    def hear(self, seconds: float) -> list[str]:
        """Return what is told for so long."""
        told, end = list[str](), time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._socket.settimeout(left)
            with suppress(TimeoutError):
                told += self._socket.recv(4096).decode().split("\n")
        return told

    def hear_until(self, word: str, seconds: float = 60) -> list[str]:
        """Return what is told up to a message with a word."""
        told, end = list[str](), time.monotonic() + seconds
        while word not in told:
            self._socket.settimeout(max(end - time.monotonic(), 0.01))
            told += self._socket.recv(4096).decode().split("\n")
        return told

    def close(self) -> None:
        self._socket.close()


@contextmanager
def manager(address: str) -> Iterator[Manager]:
    made = Manager(address)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.slow(seconds=30)
@pytest.mark.parametrize(
    "abstract",
    [False, pytest.param(True, marks=pytest.mark.skipif(sys.platform != "linux", reason="Linux"))],
)
def test_systemd_is_told_of_a_run_by_its_deciding_thread(in_tmp: Path, abstract: bool) -> None:
    name = f"@smabot-{os.getpid()}" if abstract else str(in_tmp / "notify")
    address = name.replace("@", "\0")
    command = [SMABOT, "run", "--broker", "exchange", "--speed", "5", "--json"]
    with (
        manager(address) as systemd,
        subprocess.Popen(
            command, stdout=subprocess.DEVNULL, env={**os.environ, "NOTIFY_SOCKET": name}
        ) as running,
    ):
        start = systemd.hear_until("READY=1")
        assert "EXTEND_TIMEOUT_USEC=120000000" in start
        assert any(each.startswith("STATUS=PAPER starting; it has been") for each in start)
        fed = systemd.hear(9)
        assert fed.count("WATCHDOG=1") >= 2
        assert set(fed) == {"WATCHDOG=1", "STATUS=PAPER trading"}
        running.send_signal(signal.SIGSTOP)
        systemd.hear(0.5)
        assert systemd.hear(6) == []
        running.send_signal(signal.SIGCONT)
        assert "WATCHDOG=1" in systemd.hear(5)
        running.send_signal(signal.SIGTERM)
        assert "STATUS=PAPER stopping" in systemd.hear_until("STOPPING=1")
        assert running.wait(30) == 0
        assert "STATUS=ended with exit code 0: stopped" in systemd.hear(0.5)


def test_without_a_manager_or_with_a_dead_one_nothing_happens(tmp_path: Path) -> None:
    for name in ("", "vsock:2:1", str(tmp_path / "nobody"), "@nobody-listens"):
        ServiceManager({"NOTIFY_SOCKET": name}).tell("READY=1")
    assert not ServiceManager({}).listens
    assert ServiceManager({"NOTIFY_SOCKET": "@a"}).listens


def test_a_full_socket_holds_nothing_up(tmp_path: Path) -> None:
    address = str(tmp_path / "full")
    with manager(address):
        begun = time.monotonic()
        for _ in range(2000):
            ServiceManager({"NOTIFY_SOCKET": address}).tell("WATCHDOG=1")
        assert time.monotonic() - begun < 10


def unit(*options: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["service", "show", *options]) == 0
    return capsys.readouterr().out


def read(text: str) -> Any:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    return parser


def test_the_unit_runs_this_bot_with_its_options(
    in_tmp: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = unit(
        "--db", "d/$a b.db", "--user", "me", "--symbols", "SPY,KO", "--no-plugin", "risk", capsys=capsys
    )  # fmt: skip
    service = read(shown)["Service"]
    program, rest = service["ExecStart"].split(" run ", 1)
    assert Path(program.split()[0]).is_absolute()
    assert rest == '--db "d/$$a b.db" --symbols SPY,KO --no-plugin risk'
    assert (service["User"], service["WorkingDirectory"]) == ("me", str(in_tmp.resolve()))
    assert service["ReadWritePaths"] == str((in_tmp / "d").resolve())
    assert service["Type"] == "notify"
    assert service["RestartPreventExitStatus"] == "2 3 5 6"
    assert int(service["WatchdogSec"]) > 3 * 5


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--bogus"], 2, "--bogus"),
        (["--until", "soon"], 3, "until"),
        (["--plugins", "smaa"], 3, "did you mean 'sma'?"),
        (["--live"], 2, "--live: a service can't be asked: add --yes-live ACCOUNT"),
        (["--user", "me you"], 2, "--user me you: give letters"),
    ],
)
def test_a_unit_that_could_not_run_is_not_shown(
    in_tmp: Path, capsys: pytest.CaptureFixture[str], options: list[str], code: int, said: str
) -> None:
    assert main(["service", "show", *options]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
def test_systemd_takes_the_unit(in_tmp: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = unit("--user", "root", capsys=capsys).replace("#LoadCredential", "LoadCredential")
    program = read(text)["Service"]["ExecStart"].split()[0]
    path = in_tmp / "smabot.service"
    path.write_text(text.replace(program, SMABOT))
    done = subprocess.run(
        ["systemd-analyze", "verify", path], capture_output=True, text=True, check=False
    )
    assert [line for line in done.stderr.splitlines() if "smabot" in line] == []
    assert done.returncode == 0
