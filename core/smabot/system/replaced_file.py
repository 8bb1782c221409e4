"""A small file that is replaced again and again, and always whole to whoever reads it."""

from __future__ import annotations

import os
from pathlib import Path


class ReplacedFile:
    """Writes a file in place of the one before; only its owner may read it. Raises OSError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._new = path.with_name(path.name + ".new")

    def write(self, content: bytes) -> None:
        """Replace the content. It is not synced: after a power cut it may be missing or empty."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(self._new, flags, 0o600)
        try:
            os.fchmod(file, 0o600)
            os.write(file, content)
        finally:
            os.close(file)
        self._new.replace(self.path)
