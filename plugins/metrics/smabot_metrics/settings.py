"""What a user may set in ``[default.plugin.metrics]``."""

from __future__ import annotations

from ipaddress import ip_address

from pydantic import Field, field_validator

from smabot.api import Settings


class MetricsSettings(Settings):
    """Where the metrics are served."""

    port: int = Field(0, ge=0, le=65_535)
    """0: nowhere."""
    address: str = "127.0.0.1"
    """Of this machine alone, unless another one is set: everybody who reaches it may read them."""

    @field_validator("address")
    @classmethod
    def _is_address(cls, address: str) -> str:
        try:
            return str(ip_address(address))
        except ValueError:
            raise ValueError("must be an IP address of this machine, as 127.0.0.1") from None
