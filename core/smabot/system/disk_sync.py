"""What was written, or renamed, made to survive a power cut."""

from __future__ import annotations

import os
from pathlib import Path


def sync_to_disk(path: Path) -> None:
    """Have the disk keep what a file, or the names in a folder, are now. Raises OSError.

    Not for a file that SQLite has open in this process: closing it would drop its locks.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
