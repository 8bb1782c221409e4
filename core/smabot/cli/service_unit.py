"""The systemd unit that `smabot service show` prints, with what each of its lines is for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

UNIT = """\
# {name}: write it to /etc/systemd/system/{name}, then
#   sudo systemctl daemon-reload && sudo systemctl enable --now {name}
# `systemctl status {name}` shows what the bot does, `journalctl -u {name}` what it printed.

[Unit]
Description=smabot, a trading bot, on {database}
# A start needs the broker: without a network it ends with exit code 4, and systemd tries again.
Wants=network-online.target
After=network-online.target
# Try again for as long as it takes, also after many failed starts.
StartLimitIntervalSec=0

[Service]
# The bot says itself when it is ready: after it has compared itself with the broker and subscribed to bars.
Type=notify
NotifyAccess=main
# This user must exist (`sudo useradd --system {user}`), own {writable}, and needs no other right.
User={user}
WorkingDirectory={folder}
ExecStart={command}
# A hung bot is aborted, and then prints where each of its threads was.
Environment=PYTHONFAULTHANDLER=1

# The thread that decides feeds the watchdog every 4 seconds. One that hangs for a minute is ended and
# started again, which is safe at any moment.
WatchdogSec=60
# A start may take longer: each of its steps that is done gives the next one two minutes.
TimeoutStartSec=150
# SIGTERM stops the bot after its step; positions stay. It takes 10 seconds at most, 5 more to tell plugins.
TimeoutStopSec=20

# Start it again however it ended, also after exit code 7: another command had the database, and has
# ended by then. Not again where only an operator can help: a wrong command line (2) or setting (3),
# a block of a plugin that is not part of the run (5), database and broker that disagree (6).
Restart=always
RestartSec=10
RestartPreventExitStatus=2 3 5 6

# Alpaca's key, and other secrets as .secrets.toml holds them, for this service alone: files of root
# (chmod 600), which smabot reads from $CREDENTIALS_DIRECTORY. Remove the # of those that there are.
#LoadCredential=apca_api_key_id:/etc/smabot/apca_api_key_id
#LoadCredential=apca_api_secret_key:/etc/smabot/apca_api_secret_key
#LoadCredential=.secrets.toml:/etc/smabot/.secrets.toml

# All files are read-only to it, but those of its database, ledger and log. The folders must be there.
ProtectSystem=strict
ProtectHome=read-only
ReadWritePaths={writable}
PrivateTmp=yes
# What it writes, only it may read.
UMask=0077
# It gets no rights that it has not, and needs no devices, no kernel, no other kinds of sockets.
NoNewPrivileges=yes
CapabilityBoundingSet=
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service

[Install]
WantedBy=multi-user.target
"""


def service_unit(
    name: str,
    user: str,
    folder: Path,
    command: Sequence[str],
    database: Path,
    written: Sequence[Path],
) -> str:
    """Return the unit of a run.

    ``folder``: the working folder, absolute. ``written``: the absolute folders that the run writes to.
    """
    return UNIT.format(
        name=name,
        user=user,
        folder=_literal(str(folder)),
        command=" ".join(map(_command_word, command)),
        database=_literal(str(database)),
        writable=" ".join(_word(str(path)) for path in written),
    )


def _literal(text: str) -> str:
    """Return a text without what systemd would replace in it."""
    return text.replace("%", "%%")


def _word(text: str) -> str:
    """Return one word of a list, quoted where it has to be."""
    text = _literal(text)
    if re.fullmatch(r"[\w./:=,@%+-]+", text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _command_word(text: str) -> str:
    """Return one word of a command, in which variables would be replaced, too."""
    return _word(text).replace("$", "$$")
