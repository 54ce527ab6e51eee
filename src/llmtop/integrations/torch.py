"""How long a training loop waits for its data.

    for batch in timed(loader):
        ...

Works around a DataLoader, with any number of workers, and around any other iterable: the workers
never see it, as it holds the loader and is not held by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from time import perf_counter
from typing import Any, Generic, TypeVar

from llmtop.integrations.target import Target
from llmtop.publish.run import Run

Batch = TypeVar("Batch")
NAME = "data_time_seconds"


class Timed(Generic[Batch]):
    """An iterable that observes the seconds until each batch came; else as what it wraps."""

    def __init__(self, loader: Iterable[Batch], target: Target, name: str) -> None:
        """Wrap `loader`; `timed` does."""
        self._loader, self._target, self._name = loader, target, name

    def __iter__(self) -> Iterator[Batch]:
        """Iterate; what is not asked for is not measured, so that the step itself is left out."""
        waited = self._target.run().distribution(self._name, "seconds")
        start = perf_counter()
        for batch in self._loader:
            waited.observe(perf_counter() - start)
            yield batch
            start = perf_counter()

    def __len__(self) -> int:
        return len(self._loader)  # type: ignore[arg-type]  # an iterable without one says so

    def __getattr__(self, name: str) -> Any:
        # Unpickling asks before there is a loader to ask.
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._loader, name)


def timed(loader: Iterable[Batch], run: Run | None = None, name: str = NAME) -> Timed[Batch]:
    """Return `loader`, measured: each wait for a batch is observed as `name`.

    Args:
        loader: A DataLoader, or any iterable.
        run: Where to; None is the run that is open, or else one by the script's name.
        name: Of the distribution.
    """
    return Timed(loader, Target(run, {}), name)
