"""What is on the page of a store: every number once, under its unit, and no more than fits."""

from __future__ import annotations

import math
import shutil
import subprocess
from types import SimpleNamespace

import numpy as np
import pytest
from exposing import made, page_of
from prometheus_client.exposition import generate_latest

from llmtop.clock import ManualClock
from llmtop.engine import SourceState
from llmtop.export.families import Families
from llmtop.export.machine import add_sources
from llmtop.export.pages import Pages
from llmtop.export.runs import BOUNDS
from llmtop.metrics import METRICS
from llmtop.samples import Batch, Bucketed, RunInfo, SeriesInfo
from llmtop.sources.scraping.source import Scrape
from llmtop.store import Store
from textstore import T0, end, filled, introduce, log

needs_promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="promtool of Debian's package prometheus is not here"
)
AWKWARD = 'a "quoted" \\ 名 {x="y"}'
"""A name with everything that a label must escape."""


def test_each_kind_has_its_family_in_base_units() -> None:
    store = filled()
    introduce(store, "gpt", total_steps=100, tags={"tokens_per_step": 4096})
    log(store, "gpt", "train/loss", [3.0, math.nan, 2.0])
    log(store, "gpt", "step_time", [80.0, 90.0], unit="ms")
    log(store, "gpt", "prompt_tokens", [5.0, 7.0], kind="counter")
    log(store, "gpt", "ttft", [0.0002, 0.2, 30.0, 1e9], kind="distribution")
    page = page_of(store, T0 + 5)
    labels = {"run": "gpt", "host": "node-07", "phase": "train"}
    assert page.samples("llmtop_loss") == {frozenset(labels.items()): 2.0}
    assert page.value("llmtop_step_time_seconds", **labels) == pytest.approx(0.09)
    assert page.value("llmtop_prompt_tokens_total", **labels) == 12
    assert page.units["llmtop_step_time_seconds"] == "seconds"
    assert page.families["llmtop_prompt_tokens"].type == "counter"
    assert page.families["llmtop_ttft_seconds"].type == "histogram"
    buckets = {le: page.value("llmtop_ttft_seconds_bucket", le=le)
               for le in ("0.0001", "0.00025", "0.1", "0.25", "500.0", "+Inf")}
    assert [*buckets.values()] == [0, 1, 1, 2, 3, 4]
    assert page.value("llmtop_ttft_seconds_count") == 4
    assert page.value("llmtop_ttft_seconds_sum") == pytest.approx(1e9 + 30.2002)
    assert page.value("llmtop_run_step", run="gpt") == 3
    assert page.value("llmtop_run_planned_steps") == 100
    assert page.value("llmtop_run_tokens_per_step") == 4096
    assert page.value("llmtop_run_state", state="live") == 1
    assert page.value("llmtop_run_state", state="died") == 0


@needs_promtool
def test_promtool_has_nothing_to_say_against_the_vocabulary() -> None:
    store = filled()
    introduce(store, AWKWARD, total_steps=3, rank=0, world_size=2)
    introduce(store, "second", name=AWKWARD, rank=1, world_size=2)
    introduce(store, "box", phase="host", tags={
        "memory_total": 2.0**30, "core_count": 2, "devices": [{"key": "gpu0", "name": "H100"}],
    })  # fmt: skip
    for metric in METRICS:
        log(store, AWKWARD, metric.name, [1.0], kind=metric.kind)
        log(store, "box", f"gpu0/{metric.name}", [0.5], kind=metric.kind)
    page = generate_latest(made(Pages((), ManualClock(T0 + 1)), store))
    assert page.count(b"# TYPE") > len(METRICS)
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=page, capture_output=True, check=False
    )
    # That quantity is one of bits; there is no other word for it.
    assert (done.stdout + done.stderr).decode().splitlines() == [
        'llmtop_bits_per_byte use base unit "bytes" instead of "bits"'
    ]


def test_a_bucket_never_falls_while_values_leave_the_raw_points() -> None:
    store = Store(memory_bytes=32 << 20)
    introduce(store, "gpt")
    random = np.random.default_rng(3)
    values = np.concatenate([random.lognormal(-2, 2, 150_000), np.full(9000, 0.25)])
    before, n = np.zeros(22, np.int64), 0
    for part in np.array_split(values, 8):
        log(store, "gpt", "itl", part.tolist(), kind="distribution", steps=False)
        n += len(part)
        family = page_of(store, T0 + 9).families["llmtop_itl_seconds"]
        counts = np.array([one.value for one in family.samples if one.name.endswith("bucket")])
        assert (counts >= before).all()
        assert counts[-1] == n
        before = counts
    (series,) = [one for one in store.series if one.n]
    assert len(series.window(1 << 40).time) < n
    assert before[BOUNDS["seconds"].tolist().index(0.25)] == pytest.approx(
        (values <= 0.25).sum(), rel=0.01)


def test_a_servers_own_buckets_are_passed_on() -> None:
    store = filled()
    store.apply(0, Batch(
        runs=(RunInfo("s", "llama", phase="serve", started=T0),), alive=("s",),
        series=(SeriesInfo(0, "s", "ttft_seconds", "distribution", "seconds", bucketed=True),),
    ), T0)  # fmt: skip
    bounds = np.array([0.1, 1.0, np.inf])
    for at in (T0, T0 + 1):
        counts = np.array([3, 1, 1])
        store.apply(0, Batch(bucketed=(Bucketed(0, at, at + 1, bounds, counts, 2.5),)), at + 1)
    store.commit(T0 + 2)
    page = page_of(store, T0 + 2)
    found = [page.value("llmtop_ttft_seconds_bucket", le=le) for le in ("0.1", "1.0", "+Inf")]
    assert found == [6, 8, 10]
    assert page.value("llmtop_ttft_seconds_sum") == 5.0


def test_ranks_hosts_and_devices_are_labels_and_odd_names_are_escaped() -> None:
    store = filled()
    for rank in range(3):
        introduce(store, f"{AWKWARD}@{rank}", name=AWKWARD, rank=rank, world_size=3,
                  host=f"node-{rank}")
        log(store, f"{AWKWARD}@{rank}", "loss", [1.0 + rank])
        log(store, f"{AWKWARD}@{rank}", "gpu0/memory_used_bytes", [2.0**30])
    introduce(store, "box", phase="host", host="box")
    log(store, "box", "gpu1/mig2/gpu_utilization", [0.5])
    page = page_of(store, T0 + 3)
    assert page.value("llmtop_loss", run=AWKWARD, rank="2", host="node-2", phase="train") == 3.0
    assert page.value("llmtop_memory_used_bytes", rank="1", gpu="0") == 2.0**30
    assert page.value("llmtop_rank_step", rank="2", host="node-2") == 0
    assert page.value("llmtop_run_world_size") == 3
    assert page.samples("llmtop_gpu_utilization_ratio") == {
        frozenset({("host", "box"), ("gpu", "1"), ("mig", "2")}): 0.5}


def test_two_names_of_one_metric_and_two_kinds_of_one_name_stay_apart() -> None:
    store = filled()
    introduce(store, "gpt")
    log(store, "gpt", "loss", [1.0])
    log(store, "gpt", "lm_loss", [2.0])
    introduce(store, "other")
    log(store, "other", "things", [4.0], kind="counter")
    log(store, "gpt", "things", [3.0])
    log(store, "other", "loss", [5.0], kind="distribution")
    page = page_of(store, T0 + 3)
    assert page.value("llmtop_loss", logged="lm_loss") == 2.0
    assert len(page.samples("llmtop_loss")) == 2
    assert page.value("llmtop_things") == 3.0
    assert page.value("llmtop_things_counted_total") == 4.0
    assert page.value("llmtop_loss_observed_count") == 1


def test_a_name_keeps_its_kind_when_the_run_that_had_it_first_is_gone() -> None:
    store = filled()
    introduce(store, "first")
    log(store, "first", "things", [3.0])
    introduce(store, "second")
    log(store, "second", "things", [4.0], kind="counter")
    clock = ManualClock(T0 + 1)
    pages = Pages((), clock)
    made(pages, store)
    end(store, "first", "finished", 2)
    clock.advance(400)
    names = {one.name for one in made(pages, store).collect()}
    assert "llmtop_things_counted" in names
    assert "llmtop_things" not in names


def test_a_tag_that_is_no_number_one_can_write_is_left_out() -> None:
    store = filled()
    introduce(store, "gpt", tags={"tokens_per_step": 10**400})
    assert page_of(store, T0).samples("llmtop_run_tokens_per_step") == {}


def test_what_a_relay_leaves_to_viewers_is_worked_out_for_the_page() -> None:
    store, clock = filled(), ManualClock(T0 + 20)
    introduce(store, "gpt", tags={"tokens_per_step": 1000})
    log(store, "gpt", "loss", [1.0] * 20, every=0.5)
    pages = Pages((), clock)
    for more in (0, 20):
        log(store, "gpt", "loss", [1.0] * more, first_step=20, every=0.5)
        text = generate_latest(made(pages, store)).decode()
        assert 'llmtop_tokens_per_second{host="node-07",phase="train",run="gpt"} 2000.0' in text
        assert 'llmtop_step_time_seconds{host="node-07",phase="train",run="gpt"} 0.5' in text


def test_only_the_newest_attempt_is_told() -> None:
    store = filled()
    introduce(store, "gpt")
    log(store, "gpt", "loss", [3.0] * 50)
    log(store, "gpt", "loss", [2.0] * 10, first_step=5)
    page = page_of(store, T0 + 60)
    assert page.value("llmtop_loss") == 2.0
    assert page.value("llmtop_run_restarts_total") == 1


def test_what_is_over_leaves_after_five_minutes() -> None:
    store = filled()
    introduce(store, "gpt")
    log(store, "gpt", "loss", [3.0])
    introduce(store, "box", phase="host")
    log(store, "box", "host_load", [1.0])
    end(store, "gpt", "failed", 10)
    just_over = page_of(store, T0 + 250)
    assert just_over.value("llmtop_run_state", state="failed") == 1
    assert just_over.value("llmtop_loss") == 3.0
    assert just_over.samples("llmtop_host_load") == {}
    assert not [name for name in page_of(store, T0 + 400).families if "loss" in name]


def test_what_does_not_fit_is_counted_and_each_run_has_its_first_ranks() -> None:
    store = filled()
    for run in "ab":
        for rank in range(8):
            introduce(store, f"{run}{rank}", name=run, rank=rank, world_size=8)
            for name in ("loss", "lr", "mfu"):
                log(store, f"{run}{rank}", name, [1.0])
    whole = page_of(store, T0 + 2)
    page = page_of(store, T0 + 2, room=whole.size - 36)
    assert page.value("llmtop_exporter_left_out_samples") == 35
    assert page.size == whole.size - 35
    ranks = {dict(found)["run"]: set() for found in page.samples("llmtop_loss")}
    for found in page.samples("llmtop_loss"):
        ranks[dict(found)["run"]].add(dict(found)["rank"])
    assert ranks["a"] >= {"0", "1"}
    assert ranks["b"] >= {"0", "1"}
    assert len(ranks["a"]) < 8


def test_what_came_from_such_a_page_is_not_told_again() -> None:
    store = filled()
    introduce(store, "far", tags={"engine": "llmtop"}, source="scrape")
    log(store, "far", "loss", [1.0])
    assert page_of(store, T0 + 1).samples("llmtop_loss") == {}


def test_sources_and_servers_are_up_or_not() -> None:
    source = Scrape(["http://a:8000", "http://b:8000"], clock=ManualClock())
    source.endpoints[0].looks, source.endpoints[1].failures = 3, 2
    families = Families(100, {})
    states = [SourceState("one"), SourceState("two", "retrying"), SourceState("log", "ended")]
    add_sources(families, states, [source])
    found = {(one.name, *one.labels.values()): one.value
             for family in families.collect() for one in family.samples}
    assert found == {
        ("llmtop_source_up", "one"): 1.0, ("llmtop_source_up", "two"): 0.0,
        ("llmtop_server_up", "a:8000"): 1.0, ("llmtop_server_up", "b:8000"): 0.0,
    }  # fmt: skip


def test_a_page_is_made_in_pieces_and_for_all_who_ask() -> None:
    store = filled()
    introduce(store, "gpt")
    for name in ("ttft", "itl", "e2e"):
        log(store, "gpt", name, [1.0], kind="distribution")
    engine = SimpleNamespace(store=store, source_states=())
    pages = Pages((), ManualClock(T0))
    first, second = pages.ask(), pages.ask()
    turns = 0
    while not first.done():
        pages.turn(engine, -math.inf)  # type: ignore[arg-type]
        turns += 1
    assert turns > 3
    assert first.result() is second.result()
    pages.turn(engine, math.inf)  # type: ignore[arg-type]
    waiting = pages.ask()
    pages.close()
    with pytest.raises(Exception, match="ends"):
        waiting.result(0)
    with pytest.raises(Exception, match="ends"):
        pages.ask().result(0)
