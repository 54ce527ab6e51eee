"""One server that is asked again and again: where its page is, when it is due, whether it is up."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from llmtop.clock import Clock
from llmtop.samples import Batch, Event
from llmtop.sources.scraping.address import candidates
from llmtop.sources.scraping.exposition import NotMetricsError, Reader
from llmtop.sources.scraping.extra import families, nearest_family
from llmtop.sources.scraping.fetch import Answer, Fetch, FetchError
from llmtop.sources.scraping.settings import Settings
from llmtop.sources.scraping.target import Look, Target

TIMEOUT_SHARE = 0.8
"""Part of the interval that an answer may take: the next look is never late because of it."""
LONGEST_TIMEOUT = 10.0
LONGEST_PAUSE = 30.0
"""A server that does not answer is asked after 1, 2, 4 ... 30 intervals or seconds."""
DOWN_AFTER = 2
"""Looks in a row without an answer that make a server down: one may be chance."""
NAMED_FAMILIES = 3
NO_PAGE = {
    404: "SGLang has a page of metrics with --enable-metrics; of a server that has none, "
         "its clients tell: llmtop.integrations.openai.watch(client)",
    501: "llama.cpp's server has a page of metrics with --metrics",
}  # fmt: skip
"""Status of a usual address -> what helps."""


@dataclass(frozen=True, slots=True)
class Found:
    """How a look went."""

    answer: Answer | None
    why: str
    """What was wrong, if there is no answer."""
    look: Look


@dataclass(slots=True)
class Endpoint:
    """One server."""

    address: str
    target: Target
    fetch: Fetch
    settings: Settings
    clock: Clock
    due: float = 0.0
    """Monotonic seconds of the next look."""
    url: str = ""
    """Where its page is, once that is known."""
    looks: int = 0
    """Pages read."""
    failures: int = 0
    """Looks in a row that failed."""
    why: str = ""
    """Why the last look failed."""
    down: bool = False
    note: str = ""
    """What is to be said of its page: that nothing on it is known."""

    def look(self) -> Found:
        """Ask for the page; the only part that waits, and that runs in another thread."""
        timeout = min(self.settings.interval * TIMEOUT_SHARE, LONGEST_TIMEOUT)
        why, first = "", ""
        for url in [self.url] if self.url else candidates(self.address):
            try:
                answer = self.fetch.get(url, timeout)
            except FetchError as error:
                hint = "" if self.url or url == self.address else NO_PAGE.get(error.status, "")
                why = f"{error}; {hint}" if hint else str(error)
            else:
                if self.url or is_page(answer.text):
                    return Found(answer, "", self._now())
                why = "not a page of metrics"
            # What the first address says is what a person can do something about.
            first = first or why
        return self.failed_look(first)

    def failed_look(self, why: str) -> Found:
        """Return a look that ended without a page."""
        return Found(None, why, self._now())

    def took(self, found: Found) -> Batch | None:
        """Take in how a look went; return what it gave, and set when the next one is due."""
        batch = None
        if found.answer is not None:
            try:
                batch = self.target.take(found.answer.text, found.answer.started, found.look)
            except NotMetricsError as error:
                found = replace(found, answer=None, why=str(error))
        if found.answer is None or batch is None:
            return self._failed(found)
        self.url = self.url or found.answer.url
        self.note = "" if self.target.runs else self._unknown()
        events = batch.events
        if self.down:
            text = f"target_up: {self.address} answers again"
            events = (*(Event(key, found.look.time, "info", text) for key in self.target.runs),
                      *events)
        self.looks, self.failures, self.why, self.down = self.looks + 1, 0, "", False
        # The same beat whatever an answer took; beats that were missed are not made up for.
        late = (found.look.mono - self.due) / self.settings.interval
        self.due += self.settings.interval * max(1, math.ceil(late))
        return replace(batch, events=events)

    def _failed(self, found: Found) -> Batch | None:
        self.failures += 1
        self.why = found.why
        pause = self.settings.interval * 2 ** min(self.failures - 1, 16)
        self.due = found.look.mono + min(pause, max(LONGEST_PAUSE, self.settings.interval))
        if self.failures < DOWN_AFTER or self.down or not self.looks:
            return None
        self.down = True
        text = f"target_down: {self.address}: {found.why}"
        return Batch(events=tuple(
            Event(key, found.look.time, "critical", text) for key in self.target.runs
        ))  # fmt: skip

    def _unknown(self) -> str:
        """Return what to say of a page on which no table knows anything."""
        page = self.target.page
        names = sorted(families(page)) if page is not None else []
        if not names:
            return f"{self.address}: its page is empty"
        if self.settings.metrics:
            pattern = self.settings.metrics[0].pattern
            return f"--metric {pattern}: not found{nearest_family(pattern, names)}"
        some = ", ".join(names[:NAMED_FAMILIES])
        return (f"{self.address}: no engine known here; --metric REGEX charts any of its "
                f"{len(names)} metrics: {some} ...")

    def _now(self) -> Look:
        return Look(self.clock.time(), self.clock.monotonic())


def is_page(text: str) -> bool:
    """Tell whether an answer may be a page of metrics."""
    try:
        Reader().read(text)
    except NotMetricsError:
        return False
    return True
