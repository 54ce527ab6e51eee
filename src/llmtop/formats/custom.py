"""The user's own formats: regular expressions of the config file, and other packages' plugins."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from llmtop import plugins
from llmtop.config import NO_METRICS, FormatConfig
from llmtop.formats.base import FileFormat, Item, LineFormat, Points
from llmtop.formats.numbers import number, step_of, unix_time

MAX_SEARCHED = 1 << 14
"""Characters of a line that a user's pattern is tried on: verl's lines of 8 kB fit."""

Format = LineFormat | FileFormat


class PatternReader:
    """Reads lines with a regular expression whose groups are the metrics."""

    def __init__(self, config: FormatConfig) -> None:
        self._search = config.pattern.search
        self._metrics = [name for name in config.pattern.groupindex if name not in NO_METRICS]
        self._others = set(config.pattern.groupindex) & NO_METRICS

    def read(self, line: str) -> Iterable[Item] | None:
        """Return the numbers in a line, None where the pattern does not match."""
        found = self._search(line[:MAX_SEARCHED])
        if found is None:
            return None
        values = {}
        for name in self._metrics:
            value = number(found.group(name) or "")
            if value is not None:
                values[name] = value
        if not values:
            return None
        other = {name: found.group(name) or "" for name in self._others}
        rank = step_of(number(other["rank"])) if "rank" in other else -1
        return [Points(
            values, step_of(number(other["step"])) if "step" in other else -1,
            unix_time(other["time"]) if "time" in other else None, rank if rank >= 0 else None,
        )]  # fmt: skip

    def end(self) -> Iterable[Item]:
        """Return nothing: a line is a record."""
        return ()


def from_pattern(config: FormatConfig) -> LineFormat:
    """Return the format of a user's regular expression."""
    return LineFormat(
        name=config.name, title="your config file", example=config.pattern.pattern, marks=("",),
        reader=lambda: PatternReader(config), units=config.units, phase=config.phase,
    )


def from_plugins() -> tuple[list[Format], list[str]]:
    """Return the formats that other packages add, and what is wrong with the rest."""
    loaded, problems = plugins.load(plugins.FORMATS)
    formats: list[Format] = []
    for name, value in loaded:
        parts: tuple[Any, ...] = tuple(value) if isinstance(value, (tuple, list)) else (value,)
        for part in parts:
            if isinstance(part, (LineFormat, FileFormat)):
                formats.append(part)
            else:
                problems.append(
                    f"plugin {name!r} of {plugins.FORMATS} was left out: "
                    f"{type(part).__name__} is no LineFormat or FileFormat"
                )
    return formats, problems


def unique(formats: Iterable[Format], taken: Iterable[str]) -> tuple[list[Format], list[str]]:
    """Return the formats whose names are theirs alone, and a message for each other one."""
    names, kept, problems = set(taken), [], []
    for known in formats:
        if known.name in names:
            problems.append(f"format {known.name!r} is there twice: the later one was left out")
            continue
        names.add(known.name)
        kept.append(known)
    return kept, problems
