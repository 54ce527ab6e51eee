"""Pages made of a store without HTTP, read back with prometheus_client's parsers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as open_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_open
from prometheus_client.parser import text_string_to_metric_families as read

from llmtop.clock import ManualClock
from llmtop.export.pages import Pages
from llmtop.store import Store

Labels = frozenset[tuple[str, str]]


def made(pages: Pages, store: Store, sources: Sequence[Any] = ()) -> Any:
    """Return the page of a store, made in one turn."""
    asked = pages.ask()
    pages.turn(SimpleNamespace(store=store, source_states=sources), math.inf)  # type: ignore[arg-type]
    return asked.result(0)


class Read:
    """A page as a reader has it; both formats must say the same."""

    def __init__(self, text: str, open_text: str) -> None:
        self.families = {one.name: one for one in read(text)}
        in_open = {one.name: one for one in read_open(open_text)}
        assert list(self.families) == list(in_open)
        for name, one in in_open.items():
            assert (one.type, len(one.samples)) == (
                self.families[name].type, len(self.families[name].samples)), name
            assert not one.unit or name.endswith("_" + one.unit)
            assert one.documentation
        self.units = {name: one.unit for name, one in in_open.items()}

    def samples(self, name: str) -> dict[Labels, float]:
        """Return the samples of one name by their labels."""
        return {
            frozenset(one.labels.items()): one.value for family in self.families.values()
            for one in family.samples if one.name == name
        }  # fmt: skip

    def value(self, name: str, **labels: str) -> float:
        """Return the one sample of a name that has these labels."""
        (value,) = [
            value for found, value in self.samples(name).items() if labels.items() <= set(found)
        ]
        return value

    @property
    def size(self) -> int:
        return sum(len(one.samples) for one in self.families.values())


def page_of(store: Store, now: float, **options: Any) -> Read:
    """Return the page of a store at a time."""
    page = made(Pages((), ManualClock(now), **options), store)
    return Read(generate_latest(page).decode(), open_latest(page).decode())
