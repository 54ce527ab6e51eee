"""Runs on disk: what keeping costs a relay with 1000 ranks, and how soon a long run is open again.

`python -m tests.bench.keep serve KEPT` is the relay of `tests.bench.relay`, which keeps what it
sees where KEPT is 1. The long run is 10 million samples of 50 series, written as a relay has them
written, within the share that one run has of a gigabyte.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tests.bench import relay as ranks
from tests.bench.children import answer, rendezvous, tell
from tests.bench.table import Row, below

from llmtop.clock import SystemClock
from llmtop.keep.book import Book
from llmtop.keep.keeper import Keeper
from llmtop.keep.limits import Limits
from llmtop.keep.page import Told
from llmtop.keep.source import Kept
from llmtop.keep.trim import trim
from llmtop.keep.writer import SHARE, Writer
from llmtop.relay.channels import Channels
from llmtop.relay.packing import pack_samples
from llmtop.store import Store
from llmtop.wire import Kind, pack, pack_json

SAMPLES, SERIES = 10_000_000, 50
PAGE = 500
"""Frames in one transaction."""


def keep() -> Iterator[Row]:
    """Yield what keeping costs, and how long a kept run takes to open."""
    cost: list[float] = []
    for kept in (0, 1):
        with rendezvous() as env:
            env["LLMTOP_KEYS"] = f"{env['LLMTOP_DIR']}/keys"
            said = answer("keep", "serve", str(kept), env=env).split()
        cost.append(float(said[0]))
        who = f"{ranks.RANKS} ranks x {ranks.METRICS} metrics, {ranks.HERTZ} Hz"
        yield Row(f"{who}, {'kept' if kept else 'not kept'}: CPU", f"{cost[-1] * 100:.1f} %")
    yield below("keeping adds", (cost[1] - cost[0]) * 100, 5.0, "% of a core")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "00000000.run"
        began = time.process_time()
        write_long(path)
        spent = time.process_time() - began
        yield Row(f"{SAMPLES:,} samples: written, CPU", f"{spent / SAMPLES * 1e9:.0f} ns a sample")
        yield Row("  on disk", f"{path.stat().st_size / 2**20:.0f} MiB")
        picture, complete, came = map(
            float, answer("keep", "open", str(path), env=os.environ).split()
        )
        yield below("  opened: a picture of the whole", picture, 1.0, "s", 2)
        yield below("  opened: all of it", complete, 10.0, "s", 1)
        yield Row("  samples, told and folded", f"{came:,.0f}", f"{SAMPLES:,}", came == SAMPLES)


class Keeping(ranks.Timed):
    """A timed store whose relay keeps what it sees."""

    folder: Path

    def __init__(self, channels: Channels, clock: Any, *, memory_bytes: int) -> None:
        super().__init__(channels, clock, memory_bytes=memory_bytes)
        keeper = Keeper(Writer(self.folder, Limits(), clock), channels.log, ["listener"])
        channels.log.hear = keeper.hear
        self.keeper = keeper


def serve(kept: bool) -> None:
    """Run the relay and its ranks."""
    with tempfile.TemporaryDirectory() as folder:
        Keeping.folder = Path(folder)
        ranks.Timed = Keeping if kept else ranks.Timed  # type: ignore[misc]
        ranks.serve(0)


def write_long(path: Path) -> None:
    """Write a run of 10 million samples."""
    about = {"role": "relay", "name": "long", "host": "elsewhere", "pid": 1, "started": 1.79e9}
    names = [[sid, f"metric_{sid}", {}] for sid in range(SERIES)]
    opening = [Told("1", Kind.HELLO, 0, pack_json(Kind.HELLO, about, session=1)),
               Told("1", Kind.DEFS, 0, pack_json(Kind.DEFS, names, session=1))]
    book = Book(path, write=True)
    book.write(opening, {"name": "long"})
    rows, seq = SAMPLES // SERIES, 0
    for at in range(0, rows, 10_000):
        step = np.repeat(np.arange(at, at + 10_000), SERIES)
        sid = np.tile(np.arange(SERIES), 10_000)
        value = np.sin(step * 1e-4) + sid
        told = []
        for t0, count, records in pack_samples(sid, 1.79e9 + step * 0.1, step, value):
            frame = pack(Kind.DATA, records, count=count, session=1, seq=seq, t0=t0)
            told.append(Told("1", Kind.DATA, seq, frame))
            seq += 1
        book.write(told, {"name": "long"})
        trim(book, Limits().size // SHARE)
    book.close()


def open_long(path: str) -> None:
    """Open a run; tell when its last step was on the screen's store, and when it was complete."""
    clock = SystemClock()
    began = time.monotonic()
    store, picture = Store(), 0.0
    for batch in Kept(Path(path), "long", clock=clock).batches(threading.Event()):
        store.apply(0, batch, clock.time())
        store.commit(clock.time())
        if not picture and store.samples > SAMPLES // 2:
            picture = time.monotonic() - began
    tell(picture, time.monotonic() - began, sum(one.n for one in store.series))


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2] == "1")
    else:
        open_long(sys.argv[2])
    sys.stdout.flush()
    os._exit(0)
