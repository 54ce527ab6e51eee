"""Choosing among the formats of lines, by what is in them.

A line goes to the formats of which it holds a mark, the one that hit last first. Generic formats
are asked only for what no other knows, and only while no other has read this log; their first
points are held back, since a program may print its settings long before its first metric.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from llmtop import metrics
from llmtop.formats import trouble
from llmtop.formats.base import Item, LineFormat, LineReader, Points
from llmtop.formats.marks import possible, squeeze
from llmtop.samples import NO_STEP

HELD_LINES = 5000
"""Lines after which a generic format's points are believed: the longest preamble seen has 3 335."""
HELD_ITEMS = 20_000
"""Items held back at most."""
REST_LINES = 1000
"""Lines without a metric that are kept of one read: what a run's log pane holds."""
MAX_LINE = 2000
"""Characters of a kept line: ten rows of a wide terminal."""

LAST_LINES = 30
"""Lines a launcher may add after the error that ended its program: torchrun's summary has 20."""

OVERWRITTEN = "\r"
"""Ends a piece that a carriage return overwrites: it is read, but it is no line of the log."""

Found = tuple[LineFormat | None, Item]
"""An item and the format that found it; None for what is found in any log."""


@dataclass(slots=True)
class _Try:
    """One format on this log, and the reader that keeps its place in it."""

    format: LineFormat
    reader: LineReader
    present: tuple[str, ...] = ()
    """Its marks that may occur in the text being read."""
    points: int = 0


@dataclass(slots=True)
class Text:
    """What one stretch of a log held."""

    items: list[Found] = field(default_factory=list)
    rest: deque[str] = field(default_factory=lambda: deque(maxlen=REST_LINES))
    """The last lines that hold no metric."""
    lines: int = 0


class Chooser:
    """Reads one log's lines with whatever formats know them."""

    def __init__(self, formats: Sequence[LineFormat], *, forced: bool = False) -> None:
        """Choose among `formats`; `forced`: the user named the one, so it is not doubted."""
        tries = [_Try(known, known.reader()) for known in formats]
        self._specific = [one for one in tries if forced or not one.format.generic]
        self._generic = [one for one in tries if not forced and one.format.generic]
        self._held: list[Found] | None = []
        self._last: _Try | None = None
        """The format that knew the newest line of those that one knows."""
        self._trouble = trouble.Trouble()
        self._error = "", 0
        """The last error, and the number of its line."""
        self.lines = 0
        self.settled = forced
        """Some format that is not generic has read this log, or was named by the user."""

    def read(self, text: str) -> Text:
        """Return what is in `text`: whole lines, cleaned, that end in LF, CR LF or a bare CR."""
        out = Text()
        if "\r" in text:
            text = text.replace("\r\n", "\n")
        lines = _split(text) if "\r" in text else text.split("\n")
        out.lines = sum(1 for line in lines if line and not line.isspace())
        # Most lines of most logs are of the format that has read it so far; the others are asked
        # for what it leaves, which is less to search for their marks.
        leading = [one for one in self._specific if one.points]
        usual: list[_Try] = []
        if not self.settled and self.lines >= HELD_LINES:
            # So long a log that is of no tool's format will hardly become one's.
            usual = [one for one in self._generic if one.points]
        if leading or usual:
            lines = self._pass(lines, text, leading, usual, out)
            text = "\n".join(lines)
        others = [one for one in self._specific if not one.points]
        lines = self._pass(lines, text, others, [] if self.settled else self._generic, out)
        self._keep(lines, text, out)
        self._specific.sort(key=lambda one: one is not self._last)
        self.lines += out.lines
        if self.lines >= HELD_LINES:
            self._release(out)
        return out

    def _pass(
        self, lines: list[str], text: str, specific: list[_Try], generic: list[_Try], out: Text
    ) -> list[str]:
        """Offer lines to formats; return those that none knows.

        Args:
            lines: the lines.
            text: all of them in one, to see which marks can occur at all.
            specific: formats to ask first.
            generic: formats to ask while no other has read the log.
            out: where their items go.
        """
        squeezed = squeeze(text)
        for one in (*specific, *generic):
            one.present = possible(one.format.marks, squeezed)
        specific = [one for one in specific if one.present]
        generic = [one for one in generic if one.present]
        if not specific and not generic:
            return lines
        offer = self._offer
        return [
            line for line in lines
            if not line or not offer(line.removesuffix(OVERWRITTEN), specific, generic, out)
        ]

    def _keep(self, lines: list[str], text: str, out: Text) -> None:
        """Find errors among the lines that no format knows, and keep the last of them."""
        marks = [mark for mark in trouble.MARKS if mark in text]
        if marks or self._trouble.inside:
            for number, line in enumerate(lines):
                if self._trouble.inside or any(mark in line for mark in marks):
                    note = self._trouble.read(line.removesuffix(OVERWRITTEN))
                    if note is not None:
                        out.items.append((None, note))
                        self._error = note.text, self.lines + out.lines - len(lines) + number
        last = [line for line in lines[-2 * REST_LINES :] if line and not line.isspace()]
        out.rest.extend(line[:MAX_LINE] for line in last if not line.endswith(OVERWRITTEN))

    def settle(self) -> Text:
        """Return what was held back: there is no more for now."""
        out = Text()
        self._release(out)
        return out

    def end(self) -> Text:
        """Return what is held back at the end of the log, unfinished records too."""
        out = Text()
        for one in self._specific:
            self._take(one, one.reader.end(), out)
        self._release(out)
        for one in () if self.settled else self._generic:
            self._take(one, one.reader.end(), out)
        return out

    @property
    def names(self) -> list[str]:
        """Names of the formats that found points, the best first."""
        tries = [one for one in (*self._specific, *self._generic) if one.points]
        return [one.format.name for one in sorted(tries, key=lambda one: -one.points)]

    @property
    def last_error(self) -> str:
        """The error that is among the last LAST_LINES lines, "" if there is none."""
        text, at = self._error
        return text if self.lines - at < LAST_LINES else ""

    def _offer(self, line: str, present: list[_Try], generic: list[_Try], out: Text) -> bool:
        """Return whether some format knows the line."""
        for place, one in enumerate(present):
            for mark in one.present:
                if mark in line:
                    items = one.reader.read(line)
                    break
            else:
                continue
            if items is None:
                continue
            if place:
                present.insert(0, present.pop(place))
            self._last = one
            self._take(one, items, out)
            if self.settled and generic:
                generic.clear()
            return True
        return bool(generic) and self._offer_generic(line, generic, out)

    def _take(self, one: _Try, items: Iterable[Item], out: Text) -> None:
        for item in items:
            out.items.append((one.format, item))
            if type(item) is Points:
                one.points += 1
                if not self.settled and not one.format.generic:
                    self.settled, self._held = True, None

    def _offer_generic(self, line: str, generic: list[_Try], out: Text) -> bool:
        for place, one in enumerate(generic):
            for mark in one.present:
                if mark in line:
                    items = one.reader.read(line)
                    break
            else:
                continue
            if items is None:
                continue
            known: list[Found] = []
            points = 0
            for item in items:
                if type(item) is Points:
                    if not is_metric(item):
                        continue
                    points += 1
                known.append((one.format, item))
            if not points:
                continue
            if place:
                generic.insert(0, generic.pop(place))
            one.points += points
            if self._held is None:
                out.items += known
            elif len(self._held) < HELD_ITEMS:
                self._held += known
            return True
        return False

    def _release(self, out: Text) -> None:
        """Believe the generic formats from now on."""
        if self._held is not None:
            out.items[:0] = self._held
            self._held = None


def is_metric(point: Points) -> bool:
    """Tell whether a generic format's point measures something: a step, or a name known to."""
    return point.step != NO_STEP or _any_known(tuple(point.values))


@lru_cache(maxsize=4096)
def _any_known(names: tuple[str, ...]) -> bool:
    # "train:417" is where a logger's line comes from, though one tool calls its loss so.
    return any(
        metrics.find(name) is not None
        for name in names
        if name not in metrics.PREFIXES and name not in metrics.EVAL_PREFIXES
    )


def _split(text: str) -> list[str]:
    """Return lines, and the pieces of those that carriage returns divide."""
    out: list[str] = []
    for line in text.split("\n"):
        if "\r" in line:
            *pieces, last = line.split("\r")
            out.extend(piece + OVERWRITTEN for piece in pieces if piece)
            out.append(last)
        else:
            out.append(line)
    return out
