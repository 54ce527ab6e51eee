"""A kept run as a source."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

from llmtop.clock import Clock
from llmtop.errors import ConfigError, SourceError
from llmtop.keep.book import Book
from llmtop.keep.reading import frames
from llmtop.samples import Batch
from llmtop.sources.hub import BATCH_SAMPLES
from llmtop.sources.intake import Intake
from llmtop.sources.past import NOBODY


class Kept:
    """One run as it was kept."""

    def __init__(self, path: Path, name: str, *, clock: Clock) -> None:
        """Prepare to read the run at `path`, called `name`."""
        self.name = name
        self._path, self._clock = path, clock

    def batches(self, stop: threading.Event) -> Iterator[Batch]:
        """Yield all of it.

        Raises:
            SourceError: the file is damaged; what could be read was yielded.
        """
        intake = Intake(self._clock, "kept")
        yield Batch()
        try:
            book = Book(self._path)
        except ConfigError as error:
            raise SourceError(str(error)) from None
        try:
            for some in frames(book):
                if stop.is_set():
                    return
                yield from feed(intake, some)
        except ConfigError as error:
            yield from feed(intake, [], all_of_it=True)
            raise SourceError(str(error)) from None
        finally:
            book.close()
        yield from feed(intake, [], all_of_it=True)
        yield Batch(caught_up=True)


def feed(intake: Intake, some: list[bytes], *, all_of_it: bool = False) -> Iterator[Batch]:
    """Hand frames to an intake; yield a batch when there is enough for one, or nothing more."""
    for frame in some:
        intake.frame(NOBODY, frame)
    intake.answers.clear()
    for session in intake.sessions.values() if all_of_it else ():
        session.unreported = False
    if all_of_it or intake.pending.count >= BATCH_SAMPLES:
        batch = intake.take()
        if batch is not None:
            yield batch
