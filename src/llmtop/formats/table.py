"""The table of formats, in the order in which a line is offered to them.

The modules are imported when the table is first used, so that a start without log files pays
nothing for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib import import_module

from llmtop.errors import UsageError, nearest
from llmtop.formats.base import FileFormat, LineFormat

MODULES: tuple[str, ...] = ()
"""Modules of this package, each with its FORMATS; generic ones last."""

Format = LineFormat | FileFormat


@lru_cache(maxsize=1)
def builtin() -> tuple[Format, ...]:
    """Return every format that comes with llmtop, in order."""
    found: list[Format] = []
    for module in MODULES:
        found.extend(import_module(f"llmtop.formats.{module}").FORMATS)
    return tuple(found)


class Table:
    """The formats that one source chooses from: the user's own first, then llmtop's."""

    def __init__(self, own: Iterable[Format] = (), only: str = "") -> None:
        """Take the user's formats, and the name of the only one to use, if there is one.

        Raises:
            UsageError: no format is called `only`.
        """
        everything = (*own, *builtin())
        if only:
            everything = tuple(known for known in everything if known.name == only)
            if not everything:
                names = [known.name for known in (*own, *builtin())]
                raise UsageError(
                    f"--format: no format {only!r}{nearest(only, names)}; "
                    "llmtop formats lists them"
                )
        self.only = only
        self.all: Sequence[Format] = everything
        self.lines = tuple(known for known in everything if isinstance(known, LineFormat))
        self.files = tuple(known for known in everything if isinstance(known, FileFormat))
