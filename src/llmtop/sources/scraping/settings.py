"""How servers are to be watched: what the command line says, for all of them."""

from __future__ import annotations

import re
from dataclasses import dataclass

DEFAULT_SECONDS = 1.0
"""Between two looks at a server: a page costs it about a millisecond."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Of all servers of one command line."""

    interval: float = DEFAULT_SECONDS
    """Seconds between two looks at a server."""
    insecure: bool = False
    """Certificates are not verified."""
    token: str = ""
    """Sent as a bearer token to the servers that were named, never to those that were found."""
    metrics: tuple[re.Pattern[str], ...] = ()
    """Families to chart besides what the engines' tables name."""
