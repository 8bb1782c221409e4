"""Blocks whose plugin is not part of a run: a start is refused, unless the operator ignores them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from smabot.domain.book import Book
from smabot.domain.bot_records import HALT, Block, Event
from smabot.domain.plugin_origins import with_file
from smabot.errors import RiskHalt, UsageError, suggest


def ignore_blocks(book: Book, names: Sequence[str], plugins: Collection[str]) -> None:
    """Let the blocks of plugins that are not part of the run hold no order of it; their rows stay.

    Raises UsageError for a name that has no such block.
    """
    held = _orphans(book, plugins)
    for name in names:
        if name == HALT:
            raise UsageError("--ignore-block core: that is a halt: `smabot resume` ends it")
        if name in plugins:
            raise UsageError(
                f"--ignore-block {name}: {name} is part of this run, and blocks by itself: leave it "
                "out of --plugins, or lift its block"
            )
        if name not in {block.plugin for block in held}:
            known = sorted({block.plugin for block in held})
            raise UsageError(
                f"--ignore-block {name}: no block of {name} holds{suggest(name, known)}"
            )
    book.ignore_blocks_of(names)
    for block in held:
        if block.plugin in book.ignored:
            text = f"its block of {_scope(block)} is ignored in this run, by the operator: {block.reason}"
            book.apply(Event(book.now, "block_ignored", block.plugin, text, grave=True))


def require_blocking_plugins(book: Book, plugins: Collection[str]) -> None:
    """Raise RiskHalt where a block holds whose plugin is not part of the run, and is not ignored."""
    held = [block for block in _orphans(book, plugins) if block.plugin not in book.ignored]
    if not held:
        return
    told = "; ".join(f"{each.plugin} blocks {_scope(each)}: {each.reason}" for each in held)
    names = list(dict.fromkeys(block.plugin for block in held))
    anyway = " ".join(f"--ignore-block {name}" for name in names)
    absent = " and no ".join(with_file(book, name) for name in names)
    raise RiskHalt(
        f"{told}. This run has no {absent}: add it to --plugins, or trade anyway with {anyway}"
    )


def _orphans(book: Book, plugins: Collection[str]) -> list[Block]:
    blocks = book.blocks.values()
    return [b for b in blocks if b.plugin not in (HALT, *plugins) and b.holds(book.now)]


def _scope(block: Block) -> str:
    return "entries" if block.scope == "entries" else "all orders"
