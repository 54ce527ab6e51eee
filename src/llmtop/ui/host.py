"""One line about this machine, for the screen that has nothing else to show yet."""

from __future__ import annotations

import os
import platform
from functools import lru_cache


@lru_cache(maxsize=1)
def host_line() -> str:
    """Return host name, cores and memory, as the operating system tells them."""
    from psutil import virtual_memory

    from llmtop.units import format_bytes

    return f"{platform.node()}  {os.cpu_count()} cores  {format_bytes(virtual_memory().total)}"
