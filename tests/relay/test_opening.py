"""What a late viewer is sent makes the same series there: of any history, in one go."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from llmtop.clock import ManualClock
from llmtop.relay.channels import Channels
from llmtop.relay.log import Log
from llmtop.relay.opening import opening
from llmtop.relay.outlet import Outlet
from llmtop.relay.relay import PublishedStore
from llmtop.relay.viewer import Viewer
from llmtop.samples import Batch, RunEnd, RunInfo, Samples, SeriesInfo
from llmtop.sources.intake import Intake
from llmtop.store import Store
from llmtop.wire import BIN, BUCKET, MAX_FRAME_BYTES, SID, Kind, pack_json, read_json, unpack

KINDS = ("gauge", "counter", "distribution")
SMALL = 40 << 20
part = st.tuples(
    st.integers(0, 2), st.integers(1, 2500), st.integers(0, 1 << 30), st.booleans(),
    st.sampled_from([0.0, 0.01, 1.0]),
)  # fmt: skip
"""Kind of series, points, seed, with steps, part of values that is not finite."""


def filled(parts: list[tuple[int, int, int, bool, float]]) -> tuple[PublishedStore, Channels]:
    clock = ManualClock(2_000_000.0)
    channels = Channels(b"instance", Log())
    store = PublishedStore(channels, clock, memory_bytes=SMALL)
    infos = tuple(SeriesInfo(k, "file", KINDS[k], KINDS[k]) for k in range(3))  # type: ignore[arg-type]
    store.apply(0, Batch(runs=(RunInfo("file", "run", started=1e6),), series=infos), clock.time())
    step = 0
    for kind, n, seed, stepped, odd in parts:
        rng = np.random.default_rng(seed)
        value = rng.lognormal(size=n).astype(np.float32).astype(np.float64)
        value[rng.random(n) < odd] = rng.choice([math.nan, math.inf, -math.inf])
        time = 1e6 + step + np.arange(n) * rng.choice([1e-3, 1.0, 100.0])
        steps = np.arange(step, step + n) if stepped else np.full(n, -1)
        samples = Samples(np.full(n, kind, np.uint32), time, steps.astype(np.int64), value)
        store.apply(0, Batch(samples=samples), clock.time())
        store.commit(clock.time(), settle=True)
        step += n
    return store, channels


@settings(max_examples=40, deadline=None)
@given(st.lists(part, min_size=1, max_size=6))
def test_the_same_series(parts: list[tuple[int, int, int, bool, float]]) -> None:
    here, channels = filled(parts)
    (channel,) = channels.all.values()
    intake = Intake(ManualClock(2_000_000.0), "there")
    frames = opening(channel, here)
    for frame in frames:
        assert len(frame) <= MAX_FRAME_BYTES
        intake.frame(b"", frame)
    assert intake.bad == 0
    assert intake.complete
    there = Store(memory_bytes=SMALL)
    there.apply(0, intake.take() or Batch(), 2_000_000.0)
    there.commit(2_000_000.0, settle=True)
    assert there.dropped == 0
    for one in (series for series in here.series if series.n):
        (same,) = [series for series in there.series if series.name == one.name]
        assert (same.n, same.nonfinite, same.kind) == (one.n, one.nonfinite, one.kind)
        for mine, other in ((one.min, same.min), (one.max, same.max), (one.sum, same.sum)):
            assert np.isclose(mine, other, rtol=1e-6, equal_nan=True)
        raw, again = one.window(1 << 20), same.window(1 << 20)
        n = min(len(raw.time), len(again.time))
        assert np.array_equal(raw.value[-n:], again.value[-n:], equal_nan=True)
        assert np.array_equal(raw.step[-n:], again.step[-n:])
        assert np.allclose(raw.time[-n:], again.time[-n:], rtol=0, atol=2e-6)
        assert one.first is not None
        assert same.first is not None
        assert (one.first.step, one.first.time) == (same.first.step, same.first.time) or n == one.n
        if one.kind == "distribution" and one.n > one.nonfinite:
            mine, other = (s.quantiles((0.1, 0.5, 0.99)).values for s in (one, same))
            assert np.allclose(mine, other, rtol=0.02)


def test_data_ends_where_the_log_goes_on() -> None:
    here, channels = filled([(0, 5000, 1, True, 0.0)])
    (channel,) = channels.all.values()
    seqs = [frame.seq for data in opening(channel, here)
            if (frame := unpack(data)).kind == Kind.DATA]  # fmt: skip
    assert seqs == list(range(channel.next - len(seqs), channel.next))


def test_each_observation_is_in_the_histogram_or_among_the_points() -> None:
    here, channels = filled([(2, 50_000, seed, False, 0.01) for seed in range(3)])
    (channel,) = channels.all.values()
    (one,) = [series for series in here.series if series.n]
    points = one.window(1 << 20).value
    counted = folded = 0
    for data in opening(channel, here):
        frame = unpack(data)
        if frame.kind == Kind.HIST:
            counted += sum(count for _, count in BIN.iter_unpack(frame.payload[SID.size :]))
        elif frame.kind == Kind.BUCKETS:
            folded += sum(row[1] for row in BUCKET.iter_unpack(frame.payload))
    assert 0 < folded == one.n - len(points)
    assert counted == one.n - one.nonfinite - np.isfinite(points).sum()


def test_the_newest_run_comes_first_and_of_a_run_its_first_process() -> None:
    clock = ManualClock(2_000_000.0)
    channels = Channels(b"instance", Log())
    store = PublishedStore(channels, clock, memory_bytes=SMALL)
    lives = [("old", "a1"), ("again", "b1"), ("lone", "c1"), ("again", "b2")]
    for at, (name, key) in enumerate(lives):
        runs = (RunInfo(key, name, started=1e6 + at),)
        store.apply(0, Batch(runs=runs), clock.time())
        store.apply(0, Batch(ends=(RunEnd(key, 1e6 + at, "finished"),)), clock.time())
        store.commit(clock.time())
    outlet = Outlet(b"viewer", unpack(pack_json(Kind.HELLO, {}, session=1)))
    Viewer(outlet, channels, {}).turn(store, clock, clock.monotonic() + 1.0)
    told = [read_json(frame, dict) for data in outlet.frames
            if (frame := unpack(data)).kind == Kind.HELLO]  # fmt: skip
    assert [(one["name"], one["started"] - 1e6) for one in told] == [
        ("again", 1.0), ("again", 3.0), ("lone", 2.0), ("old", 0.0),
    ]  # fmt: skip
