"""What a format is: how one kind of log says its numbers.

Two kinds. A `LineFormat` reads lines of text, whatever file, pipe or process they come from. A
`FileFormat` reads a file that is not lines in order: binary records, a table whose header may
change, JSON that is written anew as a whole. Both yield items:

    Points   numbers measured together
    Note     a line worth an event
    About    what the log says of its run
    End      how the run ended
    Skipped  data that is damaged or too large, and why it was left out

Names and values are as logged: nothing is renamed or converted. `units` says what the numbers
are in where the name does not tell, and `metrics.find` knows the canonical name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from llmtop.samples import NO_STEP, EndReason


@dataclass(frozen=True, slots=True)
class Points:
    """Numbers of one moment."""

    values: Mapping[str, float]
    """Name as logged -> value; nested names joined with "/"; NaN and infinities are data."""
    step: int = NO_STEP
    time: float | None = None
    """Unix seconds; None where the log has no time, or only the time of day."""
    rank: int | None = None
    run: str = ""
    """Which run of a log that holds several; "" for the log's only one."""


@dataclass(frozen=True, slots=True)
class Note:
    """A line worth an event: a checkpoint, a warning, an error."""

    text: str
    level: str = "info"
    step: int = NO_STEP
    time: float | None = None


@dataclass(frozen=True, slots=True)
class About:
    """What the log says of its run; None and "" where it says nothing."""

    name: str = ""
    phase: str = ""
    """train, eval or serve."""
    total_steps: int | None = None
    world_size: int | None = None
    started: float | None = None
    """Unix seconds."""
    tags: Mapping[str, object] = field(default_factory=dict)
    run: str = ""


@dataclass(frozen=True, slots=True)
class End:
    """How the run ended."""

    reason: EndReason
    text: str = ""
    time: float | None = None
    run: str = ""


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that was not read."""

    reason: str
    """In one line, in words that say the same for the same cause: they are counted by it."""
    count: int = 1
    """Records or lines."""


Item = Points | Note | About | End | Skipped


class LineReader(Protocol):
    """Reads the lines of one log, in order; keeps what a record of several lines needs."""

    def read(self, line: str) -> Iterable[Item] | None:
        """Return the items of a line, () for one that is part of a record, None for a foreign one.

        Args:
            line: one line without its end, ANSI codes and control characters already taken out;
                a piece that ended with a bare carriage return is a line too.
        """
        ...

    def end(self) -> Iterable[Item]:
        """Return what is still held back, at the end of the log."""
        ...


class FileReader(Protocol):
    """Reads one file that may grow, be replaced or written anew."""

    def read(self) -> Iterator[Item]:
        """Yield what is new since the last call; a record that is not complete yet waits.

        Each point comes once, however often the file is rewritten. A file that begins anew (its
        old beginning is gone) starts over. Yields little at a time, so that the caller can stop
        between two items.

        Raises:
            OSError: the file cannot be read.
        """
        ...


@dataclass(frozen=True, slots=True)
class LineFormat:
    """A format of lines of text."""

    name: str
    """What --format calls it."""
    title: str
    """The tool that writes it."""
    example: str
    """A line (or record of lines) that it reads; `llmtop formats` shows it, a test reads it."""
    marks: tuple[str, ...]
    """Texts of which a line must hold at least one to be looked at: tested before anything else,
    for every line of every log."""
    reader: Callable[[], LineReader]
    units: Mapping[str, str] = field(default_factory=dict)
    """Name as logged -> unit (seconds, ms, s, us, minutes, bytes, GB, GiB, MiB, percent, fraction,
    tokens/s ...), where the vocabulary's unit of that name is another."""
    phase: str = "train"
    generic: bool = False
    """Of no tool in particular: asked only for lines that no other format knows, and only as long
    as none of those has read this log."""


@dataclass(frozen=True, slots=True)
class FileFormat:
    """A format of whole files."""

    name: str
    title: str
    example: str
    """A file name, and what is in it, in one line."""
    sniff: Callable[[Path, bytes], bool]
    """Whether a file is of this format, from its path and its first SNIFF_BYTES."""
    reader: Callable[[Path], FileReader]
    units: Mapping[str, str] = field(default_factory=dict)
    phase: str = "train"


SNIFF_BYTES = 1 << 16
"""What a FileFormat is shown of a file: the longest JSON header seen is 20 kB."""
