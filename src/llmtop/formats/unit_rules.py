"""Units of names that are made of parts: by pattern, where a table would have to list them all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping


class UnitRules(Mapping[str, str]):
    """Name -> unit: of the first pattern that matches the whole name."""

    def __init__(self, *rules: tuple[str, str]) -> None:
        """Take (pattern, unit), the special ones first; the unit "" is for no unit."""
        self._rules = tuple((re.compile(pattern), unit) for pattern, unit in rules)

    def __getitem__(self, name: str) -> str:
        for pattern, unit in self._rules:
            if pattern.fullmatch(name):
                return unit
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(pattern.pattern for pattern, _unit in self._rules)

    def __len__(self) -> int:
        return len(self._rules)
