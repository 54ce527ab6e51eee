"""Rows of measurements, and the machine they were made on."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple


class Row(NamedTuple):
    """One line of the table."""

    what: str
    measured: str
    target: str = ""
    met: bool | None = None
    """None where there is no target."""

    @property
    def verdict(self) -> str:
        """The target and whether it was met."""
        return self.target if self.met is None else f"{self.target} {'✓' if self.met else '✗'}"


Subject = Callable[[], Iterator[Row]]


def machine() -> str:
    """Return CPU model, cores and Python in one line."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(": ")[2] for line in info if line.startswith("model name")), "")
    model = model or platform.processor() or platform.machine()
    python = platform.python_version()
    cores = f"{len(os.sched_getaffinity(0))} cores"
    return f"{model}, {cores}, {platform.system()}, Python {python}"


def below(what: str, value: float, limit: float, unit: str, digits: int = 1) -> Row:
    """Return the row of a number that should be below a limit."""
    return Row(what, f"{value:,.{digits}f} {unit}", f"< {limit:g} {unit}", value < limit)


def above(what: str, value: float, limit: float, unit: str, digits: int = 1) -> Row:
    """Return the row of a number that should be at least a limit."""
    return Row(what, f"{value:,.{digits}f} {unit}", f"≥ {limit:g} {unit}", value >= limit)


def missing(what: str) -> Row:
    """Return the row of something that is not installed here."""
    return Row(what, "not installed, skipped")


def print_plain(title: str, rows: Iterator[Row]) -> None:
    """Print rows as they are measured."""
    print(f"\n{title}", flush=True)
    for row in rows:
        print(f"  {row.what:<58} {row.measured:>30}  {row.verdict}", flush=True)


def print_markdown(tables: Sequence[tuple[str, list[Row]]]) -> None:
    """Print everything as one Markdown table."""
    print(f"Measured on {machine()}.\n")
    print("| what | measured | target |\n| --- | ---: | --- |")
    for title, rows in tables:
        print(f"| **{title}** | | |")
        for row in rows:
            print(f"| {row.what} | {row.measured} | {row.verdict} |")


def note(text: str) -> None:
    """Tell what is being done, without getting into the table."""
    print(text, file=sys.stderr, flush=True)
