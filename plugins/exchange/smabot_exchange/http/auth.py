"""Who may call: pairs of key id and secret, as Alpaca gives them out."""

from __future__ import annotations

from collections.abc import Mapping
from hmac import compare_digest


class ApiKeys:
    """The key ids that are known, and their secrets."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._secrets = {key_id: secret.encode() for key_id, secret in secrets.items()}

    def match(self, key_id: str, secret: str) -> bool:
        """Tell whether a secret is that of a key id, in a time that gives nothing of it away."""
        known = self._secrets.get(key_id)
        equal = compare_digest(secret.encode(), known if known is not None else b"no such key")
        return equal and known is not None

    def __repr__(self) -> str:
        return f"ApiKeys({', '.join(self._secrets)})"
