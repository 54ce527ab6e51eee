"""What ties a child process to its parent: a pipe that reads as ended when the parent is gone.

It works however the parent ends, kill -9 included: the kernel closes the pipe.
"""

from __future__ import annotations

import select
import sys


def gone(wait_seconds: float = 0.0) -> bool:
    """Wait so long, or until the parent has ended; tell whether it has.

    The parent never writes into our standard input, so there is only its end to be read.
    """
    return bool(select.select([sys.stdin], [], [], wait_seconds)[0])
