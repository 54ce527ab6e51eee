"""What a run says to a monitor that is there from the start."""

from __future__ import annotations

import math
import os
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import pytest
from listener import Listener

import llmtop
from llmtop.wire import DROPPED_NAME, NO_STEP, OVERFLOW_NAME, Kind


def test_log_arrives_in_order_with_steps_times_and_a_bye(rendezvous: Path) -> None:
    before = time.time()
    with Listener(rendezvous) as hub:
        run = llmtop.init("tiny", total_steps=10, tokens_per_step=512, config={"lr": 0.1},
                          n_params=7e9, flops_per_token=None)
        for step in range(100):
            run.log({"loss": 1.0 / (1 + step), "lr": 1}, step=step)
        threading.Thread(target=run.finish).start()
        heard = hub.hear()
    assert heard.points("loss") == [(step, 1.0 / (1 + step)) for step in range(100)]
    assert heard.values("lr") == [1.0] * 100
    times = [t for _, t, _, _ in heard.samples]
    assert times == sorted(times)
    assert before - 1e-5 <= times[0] <= times[-1] <= time.time()
    hello = heard.hellos[0]
    assert heard.order[:2] == [Kind.HELLO, Kind.DEFS]
    assert hello["role"] == "publisher"
    assert (hello["name"], hello["pid"], hello["total_steps"]) == ("tiny", os.getpid(), 10)
    assert hello["tags"] == {"tokens_per_step": 512, "n_params": 7_000_000_000,
                             "config": {"lr": 0.1}}
    assert before <= hello["started"] <= time.time()
    assert heard.bye == {"reason": "finished", "text": ""}


def test_steps_count_on_when_none_is_given(rendezvous: Path) -> None:
    with Listener(rendezvous) as hub:
        run = llmtop.init()
        run.log({"a": 1.0})
        run.log({"a": 2.0})
        run.log({"a": 3.0}, step=10)
        run.gauge("g").set(9.0)
        run.log({"a": 4.0})
        run.gauge("g").set(9.5, step=3)
        heard = hub.hear(lambda heard: len(heard.samples) == 6)
    assert heard.points("a") == [(0, 1.0), (1, 2.0), (10, 3.0), (11, 4.0)]
    assert heard.points("g") == [(10, 9.0), (3, 9.5)]


def test_every_kind_of_call_and_its_definition(rendezvous: Path) -> None:
    with Listener(rendezvous) as hub:
        run = llmtop.init("all")
        run.log({"train": {"loss": 2.0, "inner": {"x": 1}}, "none": None, "flag": True})
        run.observe("ttft_seconds", 0.5)
        run.distribution("itl_seconds", unit="seconds").observe(0.25)
        run.count("tokens", 7)
        run.counter("requests").add()
        with run.timer("step_time"):
            pass
        run.event("checkpoint\x1b[31m saved", level="info")
        heard = hub.hear(lambda heard: heard.values("step_time") and heard.texts("info"))
    assert heard.points("train/loss") == [(0, 2.0)]
    assert heard.points("train/inner/x") == [(0, 1.0)]
    assert heard.points("flag") == [(0, 1.0)]
    assert heard.values("none") == []
    assert heard.points("ttft_seconds") == [(NO_STEP, 0.5)]
    assert heard.points("itl_seconds") == [(NO_STEP, 0.25)]
    assert heard.points("tokens") == [(NO_STEP, 7.0)]
    assert heard.points("requests") == [(NO_STEP, 1.0)]
    assert 0 <= heard.values("step_time")[0] < 1
    assert heard.meta["train/loss"] == {"kind": "gauge"}
    assert heard.meta["itl_seconds"] == {"kind": "distribution", "unit": "seconds"}
    assert heard.meta["requests"] == {"kind": "counter"}
    assert heard.texts("info") == ["checkpoint[31m saved"]
    assert heard.events[0]["step"] == 0


def test_module_functions_speak_for_the_current_run(rendezvous: Path) -> None:
    with Listener(rendezvous) as hub:
        llmtop.log({"a": 1.0})
        llmtop.observe("d", 2.0)
        llmtop.count("c")
        llmtop.event("hello", "warning")
        with llmtop.timer("t"):
            pass
        threading.Thread(target=llmtop.finish).start()
        heard = hub.hear()
    assert heard.values("a") + heard.values("d") + heard.values("c") == [1.0, 2.0, 1.0]
    assert heard.texts("warning") == ["hello"]
    assert len(heard.values("t")) == 1


def test_numbers_of_all_sorts(rendezvous: Path) -> None:
    values = {
        "nan": math.nan, "inf": -math.inf, "decimal": Decimal("0.125"), "big": 10**300,
        "text number": "0.5", "text": "warming up", "huge": 10**400, "list": [1], "z": 1j,
    }  # fmt: skip
    with Listener(rendezvous) as hub:
        run = llmtop.init()
        run.log(values, step=1)
        heard = hub.hear(lambda heard: heard.values(DROPPED_NAME) and len(heard.events) == 4)
    assert math.isnan(heard.values("nan")[0])
    assert heard.values("inf") == [-math.inf]
    assert heard.values("decimal") == [0.125]
    assert heard.values("big") == [1e300]
    assert heard.values("text number") == [0.5]
    assert heard.texts("note") == ["text = warming up"]
    assert heard.values("text") == heard.values("huge") == heard.values("list") == []
    assert heard.values(DROPPED_NAME) == [3.0]
    assert any("type list" in text for text in heard.texts("warning"))
    assert any("1.8e308" in text for text in heard.texts("warning"))


def test_numpy_values() -> None:
    numpy = pytest.importorskip("numpy")
    with Listener(Path(os.environ["LLMTOP_DIR"])) as hub:
        run = llmtop.init()
        array = numpy.array([0.25])
        run.log({"f4": numpy.float32(0.5), "i8": numpy.int64(3), "d0": numpy.array(2.0),
                 "one": array, "many": numpy.zeros(3)}, step=numpy.int32(4))  # fmt: skip
        array[0] = 99.0
        heard = hub.hear(lambda heard: len(heard.samples) >= 5)
    assert heard.points("f4") + heard.points("i8") == [(4, 0.5), (4, 3.0)]
    assert heard.points("d0") + heard.points("one") == [(4, 2.0), (4, 0.25)]
    assert heard.values(DROPPED_NAME) == [1.0]


def test_what_is_logged_may_change_after_the_call(rendezvous: Path) -> None:
    with Listener(rendezvous) as hub:
        run = llmtop.init()
        metrics = {"a": 0.0}
        for step in range(50):
            metrics["a"] = float(step)
            run.log(metrics)
        metrics.clear()
        heard = hub.hear(lambda heard: len(heard.samples) == 50)
    assert heard.values("a") == [float(step) for step in range(50)]


def test_many_threads_lose_nothing(rendezvous: Path) -> None:
    def work(thread: int) -> None:
        for at in range(2000):
            run.log({f"t{thread}": float(at)}, step=at)

    with Listener(rendezvous) as hub:
        run = llmtop.init()
        threads = [threading.Thread(target=work, args=(thread,)) for thread in range(4)]
        for thread in threads:
            thread.start()
        heard = hub.hear(lambda heard: len(heard.samples) == 8000)
        for thread in threads:
            thread.join()
    for thread in range(4):
        assert heard.values(f"t{thread}") == [float(at) for at in range(2000)]


def test_a_failing_block_says_which_exception_ended_it(rendezvous: Path) -> None:
    def fail() -> None:
        with suppress(ValueError), llmtop.init() as run:
            run.log({"a": 1.0})
            raise ValueError("two\nlines")

    with Listener(rendezvous) as hub:
        thread = threading.Thread(target=fail)
        thread.start()
        heard = hub.hear()
        thread.join()
    assert heard.bye == {"reason": "failed", "text": "ValueError: two lines"}
    assert heard.values("a") == [1.0]


def test_runs_of_one_process_are_independent(rendezvous: Path) -> None:
    with Listener(rendezvous) as hub:
        first, second = llmtop.init("first"), llmtop.init("second")
        first.log({"a": 1.0})
        llmtop.log({"a": 2.0})
        hub.until(lambda: len([h for h in hub.sessions.values() if h.samples]) == 2)
        second.finish()
        first.log({"a": 3.0})
        hub.until(lambda: any(h.values("a") == [1.0, 3.0] for h in hub.sessions.values()))
    by_name = {heard.hellos[0]["name"]: heard for heard in hub.sessions.values()}
    assert by_name["second"].values("a") == [2.0]
    assert by_name["first"].bye is None


def test_the_oldest_run_makes_way_when_too_many_are_open(rendezvous: Path) -> None:
    from llmtop.publish.process import MAX_RUNS

    runs = [llmtop.init(f"r{at}") for at in range(MAX_RUNS + 2)]
    with Listener(rendezvous) as hub:
        hub.until(lambda: len(hub.sessions) == MAX_RUNS)
    names = {heard.hellos[0]["name"] for heard in hub.sessions.values()}
    assert names == {run.name for run in runs[2:]}


def test_launchers_say_rank_and_world_size(
    rendezvous: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_PROCID", "0")
    monkeypatch.setenv("SLURM_NTASKS", "1")
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "8")
    with Listener(rendezvous) as hub:
        llmtop.init("r")
        hub.until(lambda: hub.sessions)
        hello = hub.only().hellos[0]
    assert (hello["rank"], hello["world_size"], hello["tags"]) == (3, 8, {"local_rank": 1})


def test_names_beyond_the_limit_are_counted_in_one_series(
    rendezvous: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llmtop.publish import names

    monkeypatch.setattr(names, "MAX_SIDS", 6)
    with Listener(rendezvous) as hub:
        run = llmtop.init()
        for at in range(10):
            run.log({f"n{at}": 5.0}, step=at)
            run.distribution(f"n{at}x").observe(7.0)
        heard = hub.hear(lambda heard: len(heard.samples) == 20)
    assert len(heard.meta) == 6
    assert heard.values(OVERFLOW_NAME) == [1.0] * 16


def test_a_full_queue_drops_and_counts(
    rendezvous: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llmtop.publish import inbox
    from llmtop.publish.session import Session

    monkeypatch.setattr(inbox, "MAX_QUEUED", 10)
    gate = threading.Event()
    take = Session.take
    monkeypatch.setattr(Session, "take", lambda self: gate.is_set() and take(self))
    with Listener(rendezvous) as hub:
        run = llmtop.init()
        for step in range(25):
            run.log({"a": float(step), "b": 1.0}, step=step)
        run.observe("d", 1.0)
        gate.set()
        heard = hub.hear(lambda heard: heard.values(DROPPED_NAME))
    assert heard.values("a") == [float(step) for step in range(10)]
    assert heard.values(DROPPED_NAME) == [31.0]


def test_what_cannot_be_imported_is_told_once_and_not_tried_again(
    rendezvous: Path, script: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "zmq.py").write_text(
        "print('tried', flush=True)\nraise ImportError('libzmq.so.5: no such file')\n")
    source = (
        "import llmtop, time\n"
        "for _ in range(2):\n"
        "    run = llmtop.init('r')\n"
        "    for step in range(3):\n"
        "        run._retry_at = 0.0\n"
        "        run.log({'loss': 1.0})\n"
        "    run.finish()\n"
    )
    path = os.pathsep.join([str(tmp_path / "broken"), os.environ.get("PYTHONPATH", "")])
    process = script(source, env={**os.environ, "PYTHONPATH": path})
    out, errors = process.communicate(timeout=20)
    assert (process.returncode, out.split()) == (0, ["tried", "tried"])
    assert errors == "llmtop: nothing is published: ImportError: libzmq.so.5: no such file\n"


def test_off_is_silent(rendezvous: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMTOP_OFF", "1")
    alive = threading.active_count()
    with llmtop.init("off") as run:
        run.log({"a": 1.0})
        run.observe("b", 1.0)
        run.count("c")
        run.event("d")
    assert threading.active_count() <= alive
    assert not run._items
