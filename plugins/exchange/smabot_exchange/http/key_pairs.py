"""API keys for many clients of the one account: so many numbered pairs, or those of a file."""

from __future__ import annotations

from pathlib import Path

from smabot.provider import ConfigError, UsageError, register_secret

MOST_PAIRS = 1000


def numbered_pairs(text: str, first: tuple[str, str]) -> dict[str, str]:
    """Return so many pairs of key id and secret: the first one, then it with a number: 2, 3, …

    Raises UsageError where ``text`` is no number from 1 to `MOST_PAIRS`.
    """
    count = int(text[:9])
    if not 1 <= count <= MOST_PAIRS:
        raise UsageError(f"--keys {text}: give 1 to {MOST_PAIRS} pairs of keys, or a file of them")
    key_id, secret = first
    others = {f"{key_id}{number}": f"{secret}{number}" for number in range(2, count + 1)}
    return {key_id: secret, **others}


def read_pairs(path: Path) -> dict[str, str]:
    """Return the pairs of a file: on each line a key id and its secret; ``#`` begins a comment.

    Raises ConfigError for a file that can't be read, or a line that is no pair.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigError(f"keys {path}: can't be read: {reason}") from error
    pairs: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) != 2:
            raise ConfigError(f"keys {path}, line {number}: write a key id, a space and its secret")
        key_id, secret = words
        if key_id in pairs:
            raise ConfigError(
                f"keys {path}, line {number}: its key id is there twice; remove a line"
            )
        register_secret(key_id, secret)
        pairs[key_id] = secret
    if not pairs:
        raise ConfigError(f"keys {path}: has no keys; write a key id and its secret on each line")
    return pairs
