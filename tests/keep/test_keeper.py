"""What was not written for want of room is written when there is some: whole, or as it was."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from keep.telling import bye, data, defs, event, hello, kinds, loaded
from llmtop.clock import SystemClock
from llmtop.keep import keeper as keepers
from llmtop.keep import writer as writers
from llmtop.keep.folder import paths
from llmtop.keep.keeper import Keeper
from llmtop.keep.limits import Limits
from llmtop.keep.listing import list_runs
from llmtop.keep.page import Told
from llmtop.keep.writer import Writer
from llmtop.relay.channels import Channels
from llmtop.relay.log import Log
from llmtop.relay.relay import PublishedStore
from llmtop.samples import Batch, Event, RunInfo, Samples, SeriesInfo
from llmtop.sources.intake import Intake
from llmtop.wire import Kind

PATIENCE = 20.0


class Monitor:
    """A store that is kept, and an intake that feeds it."""

    def __init__(self, folder: Path, log_bytes: int = 1 << 20) -> None:
        self.clock = SystemClock()
        channels = Channels(b"instance", Log(log_bytes))
        self.store = PublishedStore(channels, self.clock, memory_bytes=64 << 20)
        self.writer = Writer(folder, Limits(), self.clock)
        self.keeper = Keeper(self.writer, channels.log, ["local"])
        channels.log.hear = self.keeper.hear
        self.store.keeper = self.keeper
        self.intake = Intake(self.clock)
        self.intake.keep_frames = True

    def hear(self, *told: Told) -> None:
        for one in told:
            self.intake.frame(b"", one.frame)
        self.apply(self.intake.take() or Batch())

    def apply(self, batch: Batch) -> None:
        now = self.clock.time()
        self.store.apply(0, batch, now)
        self.store.commit(now, settle=True)

    def until_written(self) -> None:
        deadline = time.monotonic() + PATIENCE
        keeper, writer = self.keeper, self.writer
        while keeper._missed or keeper._lacking or writer._sheets or writer.missed or (
            writer.lacking or not writer.ok
        ):
            assert time.monotonic() < deadline
            self.store.commit(self.clock.time())
            time.sleep(0.01)


@pytest.fixture(autouse=True)
def _swift(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "RETRY_SECONDS", 0.02)
    monkeypatch.setattr(keepers, "WRITE_SECONDS", 0.0)


def points(seq: int) -> list[tuple[int, float, int, float]]:
    return [(0, seq * 1.0 + at * 1e-3, seq * 100 + at, float(at)) for at in range(100)]


@pytest.mark.parametrize(("log_bytes", "folded"), [(1 << 20, False), (1 << 14, True)])
def test_what_there_was_no_room_for_is_there_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log_bytes: int, folded: bool
) -> None:
    monkeypatch.setattr(writers, "WAITING_BYTES", 10_000)
    place = tmp_path / "place"
    place.write_text("a file is here")
    monitor = Monitor(place / "runs", log_bytes)
    monitor.hear(hello(7), defs(7, "loss"))
    for seq in range(100):
        monitor.hear(data(7, seq, points(seq)))
        if seq == 50:
            monitor.hear(event(7, 1, "half"))
    assert not monitor.writer.room
    place.unlink()
    monitor.until_written()
    monitor.hear(data(7, 100, points(100)), bye(7))
    monitor.keeper.close(monitor.store, monitor.clock.time())
    [path] = paths(place / "runs")
    [run] = loaded(path).runs
    [loss] = run.find("loss")
    assert (run.state, loss.n, loss.last.step) == ("finished", 10_100, 10_099)
    assert [one.text for one in run.events] == ["half"]
    assert (Kind.BUCKETS in kinds(path)) == folded


def test_a_list_tells_of_the_newest_there_is_however_seldom_states_are_looked_at(
    tmp_path: Path,
) -> None:
    monitor = Monitor(tmp_path)
    monitor.store.state_seconds = 0.05
    monitor.hear(hello(7), defs(7, "loss"))
    for seq in range(20):
        monitor.hear(data(7, seq, points(seq)))
    time.sleep(0.06)
    monitor.hear()
    monitor.until_written()
    [run] = list_runs(tmp_path)
    assert run.steps == 1999
    monitor.keeper.close(monitor.store, monitor.clock.time())


def test_a_log_file_that_is_read_again_takes_its_own_place(tmp_path: Path) -> None:
    for steps in (10, 20):
        monitor = Monitor(tmp_path)
        info = RunInfo("/logs/train.log", "train", started=1e9, source="file")
        at = np.arange(steps)
        samples = Samples(np.zeros(steps, np.uint32), 1e9 + at, at, at * 2.0)
        monitor.apply(Batch(runs=(info,), series=(SeriesInfo(0, info.key, "loss"),)))
        monitor.apply(Batch(samples=samples, events=(Event(info.key, 1e9, "info", "saved"),)))
        monitor.keeper.close(monitor.store, monitor.clock.time())
    [path] = paths(tmp_path)
    [run] = loaded(path).runs
    [loss] = run.find("loss")
    assert (loss.n, loss.last.value, len(run.events)) == (20, 38.0, 1)
