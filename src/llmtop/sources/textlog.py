"""One log of lines, wherever its bytes come from: lines, formats, and what is left over."""

from __future__ import annotations

from collections import deque

from llmtop.formats.clean import clean
from llmtop.formats.detect import REST_LINES, Chooser, Text
from llmtop.formats.table import Table
from llmtop.sources.collect import LOG, Collector
from llmtop.sources.lines import BLOCK_BYTES, MAX_LINE_BYTES, Lines
from llmtop.sources.logs import Log

SETTLE_SECONDS = 2.0
"""How long a young log is watched before a generic format is believed."""
OVERWRITTEN_SECONDS = 2.0
"""Quiet after which the piece after the last carriage return is read."""
UNFINISHED_SECONDS = 30.0
"""Quiet after which any unfinished line is read: its program does not write in blocks."""
TOO_LONG = f"line longer than {MAX_LINE_BYTES >> 10} KiB"
CUT = "rest of a line that was read before it was complete"


class TextLog:
    """Turns the bytes of one log into items for a collector."""

    def __init__(self, log: Log, table: Table, collector: Collector) -> None:
        self.log = log
        self._table, self._collector = table, collector
        self._tail: deque[str] = deque(maxlen=REST_LINES)
        self.restart()

    def restart(self) -> None:
        """Begin anew: the log was truncated or replaced."""
        self._lines = Lines()
        self._chooser = Chooser(self._table.lines, forced=bool(self._table.only))
        self._settled = False
        self._cut = False
        self._size = 0

    @property
    def formats(self) -> list[str]:
        """Names of the formats that found points in it, the best first."""
        return self._chooser.names

    @property
    def last_error(self) -> str:
        """The error that it ends with, "" if it ends with none."""
        return self._chooser.last_error

    @property
    def lines(self) -> int:
        """Lines read since it began."""
        return self._chooser.lines

    def feed(self, data: bytes, now: float) -> None:
        """Read `data`; points without a time are of `now` (unix seconds)."""
        self._size += len(data)
        whole = self._lines.feed(data)
        if too_long := self._lines.take_too_long():
            self._collector.skip(self.log, TOO_LONG, too_long)
        if self._cut and whole:
            whole = self._without_cut(whole)
        if whole:
            self._take(self._chooser.read(clean(whole)), now)

    def rest(self, now: float, *, age: float, quiet: float) -> None:
        """Say what can be said while nothing more comes.

        Args:
            now: unix seconds, for what has no time of its own.
            age: seconds since the log was first looked at, or last changed, whichever is more.
            quiet: seconds since it last changed.
        """
        if not self._settled and age >= SETTLE_SECONDS:
            self._settled = True
            self._take(self._chooser.settle(), now)
        self._flush_tail(now)
        if not self._lines.waiting or self._size % BLOCK_BYTES == 0:
            # A program that writes in blocks has cut its line here, and the rest is to come.
            return
        patience = OVERWRITTEN_SECONDS if self._lines.overwritten else UNFINISHED_SECONDS
        if quiet >= patience:
            self._read_unfinished(now)
            self._cut = True

    def end(self, now: float) -> None:
        """Read what is left: nothing more will come."""
        self._read_unfinished(now)
        self._take(self._chooser.end(), now)
        self._flush_tail(now)

    @property
    def unsettled(self) -> bool:
        """Whether a generic format's points are still held back."""
        return not self._settled and not self._chooser.settled

    def _read_unfinished(self, now: float) -> None:
        whole = self._lines.flush()
        if whole:
            self._take(self._chooser.read(clean(whole)), now)

    def _without_cut(self, whole: bytes) -> bytes:
        """Return what follows the rest of a line that was taken for complete."""
        self._cut = False
        ends = [at for at in (whole.find(b"\n"), whole.find(b"\r")) if at >= 0]
        begin = min(ends) + 1
        if begin > 1:
            self._collector.skip(self.log, CUT)
        return whole[begin:]

    def _take(self, text: Text, now: float) -> None:
        self._collector.take(self.log, text.items, now)
        self._tail.extend(text.rest)

    def _flush_tail(self, now: float) -> None:
        """Pass on the lines that are no metrics, once the log has a run to belong to."""
        if self._tail and self.log.sessions:
            for line in self._tail:
                self._collector.event(self.log, LOG, line, now)
            self._tail.clear()
