"""SQLite's checksums of a write-ahead log (https://sqlite.org/walformat.html)."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable

HEAD, FRAME_HEAD = 32, 24
_MAGIC = {b"\x37\x7f\x06\x82": "<", b"\x37\x7f\x06\x83": ">"}
"""What a log begins with, and the order of bytes that its checksums go by."""
_MASK = 0xFFFFFFFF


def is_whole(fd: int, page: int, frames: int, salt: bytes) -> bool:
    """Tell whether the first frames of a log are what was written: each sum is over all before it.

    ``page`` is the size of a page in bytes, ``salt`` that of the log since it was started over. Takes
    some 20 ms a megabyte.
    """
    head = os.pread(fd, HEAD, 0)
    order = _MAGIC.get(head[:4])
    if order is None or len(head) < HEAD:
        return False
    sums = _summed((0, 0), struct.unpack(f"{order}6I", head[:24]))
    if struct.pack(">II", *sums) != head[24:]:
        return False
    words = struct.Struct(f"{order}2I16x{page // 4}I")
    for number in range(frames):
        frame = os.pread(fd, words.size, HEAD + number * words.size)
        if len(frame) < words.size:
            return False
        sums = _summed(sums, words.unpack(frame))
        if frame[8:FRAME_HEAD] != salt + struct.pack(">II", *sums):
            return False
    return True


def _summed(sums: tuple[int, int], words: Iterable[int]) -> tuple[int, int]:
    first, second = sums
    pairs = iter(words)
    for one, other in zip(pairs, pairs, strict=True):
        first = (first + one + second) & _MASK
        second = (second + other + first) & _MASK
    return first, second
