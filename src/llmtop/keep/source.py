"""A kept run as a source."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

from llmtop.clock import Clock
from llmtop.errors import ConfigError, SourceError
from llmtop.keep.book import Book
from llmtop.keep.folder import busy
from llmtop.keep.reading import frames
from llmtop.samples import Batch
from llmtop.sources.hub import BATCH_SAMPLES
from llmtop.sources.intake import Intake
from llmtop.sources.past import NOBODY

FOLLOW_SECONDS = 1.0
"""Between two looks at a run that is still being written: it is, once a second."""


class Kept:
    """One run as it was kept, and as it goes on."""

    def __init__(self, path: Path, name: str, *, clock: Clock) -> None:
        """Prepare to read the run at `path`, called `name`."""
        self.name = name
        self._path, self._intake = path, Intake(clock, "kept")
        self._place = 0
        """Up to which DATA were read."""

    def batches(self, stop: threading.Event) -> Iterator[Batch]:
        """Yield all of it, and what is added as long as another llmtop writes it.

        Raises:
            SourceError: the file is damaged; what could be read was yielded.
        """
        yield Batch()
        going_on, caught_up = True, False
        while going_on and not stop.is_set():
            # What was written before it was let go of is read in this turn.
            going_on = bool(busy(self._path.parent, [self._path.stem]))
            try:
                yield from self._read(stop)
            except ConfigError as error:
                yield from feed(self._intake, [], all_of_it=True)
                raise SourceError(str(error)) from None
            if going_on:
                self._intake.look_at_clock()
                self._intake.tick()
            yield from feed(self._intake, [], all_of_it=True)
            if not caught_up:
                yield Batch(caught_up=True)
                caught_up = True
            if going_on:
                stop.wait(FOLLOW_SECONDS)

    def _read(self, stop: threading.Event) -> Iterator[Batch]:
        """Yield what was not read yet."""
        book = Book(self._path)
        try:
            newest = book.newest()
            for some in frames(book, after=self._place):
                if stop.is_set():
                    return
                yield from feed(self._intake, some)
            self._place = newest
        finally:
            book.close()


def feed(intake: Intake, some: list[bytes], *, all_of_it: bool = False) -> Iterator[Batch]:
    """Hand frames to an intake; yield a batch when there is enough for one, or nothing more."""
    for frame in some:
        intake.frame(NOBODY, frame)
    intake.answers.clear()
    if all_of_it or intake.pending.count >= BATCH_SAMPLES:
        batch = intake.take()
        if batch is not None:
            yield batch
