"""The warning about what a later version removes."""

from __future__ import annotations


class OldName(DeprecationWarning):
    """A module or name that moved is used by its old name; `smabot` shows it as one line."""

    def __init__(self, user: str, old: str, remedy: str) -> None:
        """``user``: the module that uses it."""
        super().__init__(f"{user} imports {old}; {remedy}")
        self.user, self.old, self.remedy = user, old, remedy
