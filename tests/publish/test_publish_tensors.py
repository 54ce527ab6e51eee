"""Tensors: read at the call on the CPU, and without ever waiting for it on a GPU."""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from faketorch import BFLOAT16, FLOAT64, SPECIAL, DTensor, Tensor, Torch
from listener import Listener

import llmtop
from llmtop.publish import encode, tensors
from llmtop.wire import DROPPED_NAME


@pytest.fixture(autouse=True)
def fresh_pool() -> Iterator[None]:
    tensors.forget()
    yield
    tensors.forget()


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> Torch:
    module = Torch()
    monkeypatch.setitem(sys.modules, "torch", module)
    return module


def cuda(value: float, dtype: str = "torch.float32") -> Tensor:
    return Tensor(value, device="cuda", dtype=dtype)


def same(got: list[float], expected: tuple[float, ...]) -> bool:
    def key(value: float) -> tuple[str, float]:
        return ("nan", 0.0) if math.isnan(value) else (repr(value), value)

    return [key(one) for one in got] == [key(one) for one in expected]


def test_a_cpu_tensor_is_its_number_and_no_gpu_is_touched(rendezvous: Path, torch: Torch) -> None:
    with Listener(rendezvous) as hub:
        run = llmtop.init()
        loss = Tensor(0.5)
        run.log({"loss": loss, "acc": {"top1": Tensor(0.25, dtype=BFLOAT16)}}, step=Tensor(7.0))
        loss.values = (9.0,)
        run.observe("d", Tensor(2.0))
        run.gauge("g").set(Tensor(3.0))
        heard = hub.hear(lambda heard: heard.values("g"))
    assert heard.points("loss") + heard.points("acc/top1") == [(7, 0.5), (7, 0.25)]
    assert heard.values("d") + heard.values("g") == [2.0, 3.0]
    assert torch.pools == 0


def test_cuda_values_arrive_in_order_without_anybody_waiting(
    rendezvous: Path, torch: Torch
) -> None:
    with Listener(rendezvous) as hub:
        run = llmtop.init()
        given = [cuda(value) for value in SPECIAL] + [cuda(0.1, FLOAT64), cuda(2.0, BFLOAT16)]
        for step, value in enumerate(given):
            run.log({"loss": value, "cpu": float(step)}, step=step)
        run.distribution("d").observe(cuda(4.0))
        heard = hub.hear(lambda heard: len(heard.values("cpu")) == len(given))
        assert heard.values("loss") == []
        torch.arrive(3)
        hub.hear(lambda heard: len(heard.values("loss")) == 3)
        torch.arrive()
        hub.hear(lambda heard: heard.values("d"))
    assert same(heard.values("loss"), (*SPECIAL, 0.1, 2.0))
    assert [step for step, _ in heard.points("loss")] == list(range(len(given)))
    assert heard.values("d") == [4.0]
    assert heard.values(DROPPED_NAME) == []
    assert sum(value.asked for value in given) == 0
    assert torch.pools == 1


def test_slots_are_used_again_and_again(
    rendezvous: Path, torch: Torch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensors, "SLOTS", 4)
    with Listener(rendezvous) as hub:
        run = llmtop.init()
        for turn in range(3):
            for at in range(4):
                run.log({"loss": cuda(float(at))}, step=turn * 4 + at)
            # One more than there is room for is dropped, and not waited for.
            run.log({"loss": cuda(99.0)}, step=100)
            torch.arrive()
            heard = hub.hear(lambda heard, turn=turn: len(heard.values("loss")) == 4 * turn + 4)
        hub.hear(lambda heard: sum(heard.values(DROPPED_NAME)) == 3)
    assert heard.values("loss") == [0.0, 1.0, 2.0, 3.0] * 3
    assert any("more than 4 CUDA values" in text for text in heard.texts("warning"))


def test_while_a_graph_is_captured_nothing_is_copied(rendezvous: Path, torch: Torch) -> None:
    with Listener(rendezvous) as hub:
        run = llmtop.init()
        torch.capturing = True
        run.log({"loss": cuda(1.0), "lr": 0.1}, step=0)
        assert (torch.on_the_way, torch.pools) == ([], 0)
        torch.capturing = False
        run.log({"loss": cuda(2.0), "lr": 0.1}, step=1)
        torch.arrive()
        heard = hub.hear(lambda heard: heard.values("loss"))
        hub.hear(lambda heard: heard.values(DROPPED_NAME))
    assert heard.points("loss") == [(1, 2.0)]
    assert heard.points("lr") == [(0, 0.1), (1, 0.1)]
    assert heard.values(DROPPED_NAME) == [1.0]
    assert any("graph is captured" in text for text in heard.texts("warning"))


def test_what_cannot_be_read_is_told_and_the_rest_is_logged(
    rendezvous: Path, torch: Torch
) -> None:
    odd = {
        "many": Tensor(1.0, 2.0), "none": Tensor(), "elsewhere": Tensor(1.0, device="mps"),
        "sharded": DTensor(1.0), "many there": Tensor(1.0, 2.0, device="cuda"),
    }  # fmt: skip
    with Listener(rendezvous) as hub:
        run = llmtop.init()
        run.log({**odd, "fine": 1.0})
        run.log({Tensor(1.0): 2.0, cuda(1.0): 3.0})
        run.log({"stepped": 1.0}, step=cuda(3.0))
        heard = hub.hear(lambda heard: heard.values("stepped"))
        hub.hear(lambda heard: sum(heard.values(DROPPED_NAME)) == len(odd) + 2)
    assert heard.values("fine") == [1.0]
    assert heard.points("stepped") == [(-1, 1.0)]
    assert any("log its mean()" in text for text in heard.texts("warning"))
    assert any("mps would block" in text for text in heard.texts("warning"))
    assert torch.pools == 0


@pytest.mark.parametrize("pinnable", [True, False])
def test_a_gpu_that_fails_costs_its_values_only(
    rendezvous: Path, monkeypatch: pytest.MonkeyPatch, pinnable: bool
) -> None:
    torch = Torch(pinnable=pinnable)
    torch.failing = True
    monkeypatch.setitem(sys.modules, "torch", torch)
    with Listener(rendezvous) as hub:
        run = llmtop.init()
        for step in range(3):
            run.log({"loss": cuda(1.0), "lr": 0.1}, step=step)
        heard = hub.hear(lambda heard: sum(heard.values(DROPPED_NAME)) == 3)
    assert len(heard.values("lr")) == 3
    assert heard.values("loss") == []
    assert torch.pools == 1


def test_a_value_that_never_arrives_is_given_up(
    rendezvous: Path, torch: Torch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encode, "ARRIVAL_SECONDS", 0.2)
    with Listener(rendezvous) as hub:
        run = llmtop.init()
        run.log({"loss": cuda(1.0)}, step=0)
        heard = hub.hear(lambda heard: heard.values(DROPPED_NAME))
        assert any("did not arrive" in text for text in heard.texts("warning"))
        torch.on_the_way.clear()
        run.log({"loss": cuda(2.0)}, step=1)
        torch.arrive()
        hub.hear(lambda heard: heard.values("loss"))
    assert heard.points("loss") == [(1, 2.0)]


def test_a_run_that_ends_counts_what_is_still_on_its_way(rendezvous: Path, torch: Torch) -> None:
    with Listener(rendezvous) as hub:
        run = llmtop.init()
        run.log({"loss": cuda(1.0)}, step=0)
        run.log({"loss": cuda(2.0)}, step=1)
        hub.until(lambda: hub.sessions)
        torch.arrive(1)
        threading.Thread(target=run.finish).start()
        heard = hub.hear()
    assert heard.values("loss") == [1.0]
    assert heard.dropped == 1
    assert heard.bye == {"reason": "finished", "text": ""}


def test_a_module_that_is_called_torch_and_is_none_does_no_harm(
    rendezvous: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Half:
        """torch while it is being imported: without its classes."""

    for module in (Half(), None):
        monkeypatch.setitem(sys.modules, "torch", module)
        run = llmtop.init()
        run.log({"a": [1.0], "b": 2.0})
        assert run._inbox.dropped == 1
