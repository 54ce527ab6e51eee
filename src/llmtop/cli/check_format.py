"""`llmtop check-format FILE`: what is recognised in a log, and what is left out and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from llmtop.cli.say import say
from llmtop.errors import UsageError
from llmtop.formats.base import SNIFF_BYTES, FileFormat, Item, Points, Skipped
from llmtop.formats.clean import clean
from llmtop.formats.detect import Chooser
from llmtop.formats.table import Table, load_table
from llmtop.samples import NO_STEP
from llmtop.sources.discover import check_path
from llmtop.sources.lines import MAX_LINE_BYTES
from llmtop.sources.textlog import TOO_LONG
from llmtop.units import format_number

SHOWN = 3
"""Places named of lines that hold no metric."""
SHOWN_CHARACTERS = 60


@dataclass
class _Metric:
    points: int = 0
    first: tuple[int, float] = (NO_STEP, 0.0)
    last: tuple[int, float] = (NO_STEP, 0.0)


@dataclass
class Report:
    """What one file holds."""

    formats: Counter[str] = field(default_factory=Counter)
    metrics: dict[str, _Metric] = field(default_factory=dict)
    left_out: dict[str, list[int]] = field(default_factory=dict)
    """Reason -> line numbers, 0 where there are none."""
    counts: Counter[str] = field(default_factory=Counter)
    lines: int = 0
    plain: list[tuple[int, str]] = field(default_factory=list)
    """The first lines without a metric."""
    plain_lines: int = 0

    def take(self, name: str, item: Item, line: int = 0) -> None:
        """Count one item."""
        if isinstance(item, Points):
            self.formats[name] += 1
            for metric, value in item.values.items():
                known = self.metrics.setdefault(metric, _Metric())
                known.first = known.first if known.points else (item.step, value)
                known.last = (item.step, value)
                known.points += 1
        elif isinstance(item, Skipped):
            self.leave_out(item.reason, line, item.count)

    def leave_out(self, reason: str, line: int, count: int = 1) -> None:
        """Count something that was left out."""
        self.counts[reason] += count
        places = self.left_out.setdefault(reason, [])
        if line and len(places) < SHOWN:
            places.append(line)


def run_check_format(paths: list[str], only: str = "") -> int:
    """Print what is in each file; return 0 if there is a metric in all of them, else 1.

    Raises:
        UsageError: no file is named, or one is not there.
    """
    if not paths:
        raise UsageError("check-format: name a log file")
    table = load_table(only)
    empty = False
    for text in paths:
        check_path(text)
        path = Path(text).expanduser()
        if path.is_dir():
            raise UsageError(f"check-format: {text!r} is a folder; name a file in it")
        try:
            report = examine(path, table)
        except OSError as error:
            raise UsageError(f"{text}: {(error.strerror or str(error)).lower()}") from None
        empty = empty or not report.metrics
        for line in describe(text, report):
            print(line)  # noqa: T201
    for problem in table.problems:
        say(problem)
    return 1 if empty else 0


def examine(path: Path, table: Table) -> Report:
    """Return what is in a file.

    Raises:
        OSError: it cannot be read.
    """
    report = Report()
    with path.open("rb") as file:
        head = file.read(SNIFF_BYTES)
    for known in table.files:
        if known.sniff(path, head):
            return _examine_file(path, known, report)
    chooser = Chooser(table.lines, forced=bool(table.only))
    with path.open("rb") as file:
        while line := file.readline(MAX_LINE_BYTES + 2):
            report.lines += 1
            if len(line) > MAX_LINE_BYTES:
                report.leave_out(TOO_LONG, report.lines)
                while line and not line.endswith(b"\n"):
                    line = file.readline(MAX_LINE_BYTES)
                continue
            found = chooser.read(clean(line))
            for chosen, item in found.items:
                report.take(chosen.name if chosen else "", item, report.lines)
            for plain in found.rest:
                report.plain_lines += 1
                if len(report.plain) < SHOWN:
                    report.plain.append((report.lines, plain))
    for chosen, item in chooser.end().items:
        report.take(chosen.name if chosen else "", item)
    return report


def describe(name: str, report: Report) -> Iterator[str]:
    """Yield the report in lines."""
    formats = ", ".join(known for known, _ in report.formats.most_common())
    yield f"{name}: {formats or 'no metric recognised; llmtop formats lists what is known'}"
    width = max((len(metric) for metric in report.metrics), default=0)
    for metric, known in report.metrics.items():
        first, last = _place(known.first), _place(known.last)
        word = "point " if known.points == 1 else "points"
        yield f"  {metric:<{width}}  {known.points:>8,} {word}  {first} .. {last}"
    for reason, places in report.left_out.items():
        where = f" (line {', '.join(map(str, places))})" if places else ""
        yield f"  left out, {report.counts[reason]:,} times: {reason}{where}"
    if report.lines:
        yield f"  {report.plain_lines:,} of {report.lines:,} lines hold no metric" + (
            ":" if report.plain else "")
    for number, line in report.plain:
        yield f"    line {number}: {line[:SHOWN_CHARACTERS]}"


def _examine_file(path: Path, known: FileFormat, report: Report) -> Report:
    for item in known.reader(path).read():
        report.take(known.name, item)
    return report


def _place(point: tuple[int, float]) -> str:
    step, value = point
    text = format_number(value, 6)
    return text if step == NO_STEP else f"{text} at step {step:,}"
