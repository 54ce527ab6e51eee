"""Data time of a real DataLoader, with and without workers."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the frameworks extra")

from llmtop.integrations.torch import timed  # noqa: E402 - skips first

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize(("workers", "method"), [(0, None), (2, "fork"), (2, "spawn")])
def test_each_batch_is_observed_once_and_workers_open_no_run(
    told: Callable[..., Any], workers: int, method: str | None
) -> None:
    def work() -> None:
        import llmtop

        run = llmtop.init("data")
        loader = torch.utils.data.DataLoader(
            torch.utils.data.TensorDataset(torch.arange(12)), batch_size=4, num_workers=workers,
            multiprocessing_context=method,
        )  # fmt: skip
        batches = timed(loader, run)
        assert len(batches) == 3
        assert batches.batch_size == 4
        for _ in range(2):
            assert [len(one[0]) for one in batches] == [4, 4, 4]
        run.finish()

    heard = told(work)
    times = heard.values("data_time_seconds")
    assert len(times) == 6
    assert all(0 < one < 60 for one in times)
    assert heard.meta["data_time_seconds"]["kind"] == "distribution"


def test_the_step_between_batches_is_left_out(
    told: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from llmtop.integrations import torch as module

    clock = [0.0]
    monkeypatch.setattr(module, "perf_counter", lambda: clock[0])

    def slow() -> Any:
        for seconds in (1.0, 2.0):
            clock[0] += seconds
            yield seconds

    def work() -> None:
        import llmtop

        run = llmtop.init()
        for _ in timed(slow()):
            clock[0] += 100.0
        run.finish()

    assert told(work).values("data_time_seconds") == [1.0, 2.0]


def test_a_timed_loader_can_be_pickled() -> None:
    again = pickle.loads(pickle.dumps(timed([1, 2])))
    assert len(again) == 2
