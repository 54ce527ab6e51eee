"""Promised latencies are read as people write them, and refused with what helps."""

from __future__ import annotations

import pytest

from llmtop.errors import UsageError
from llmtop.metrics import BY_NAME
from llmtop.slo import KEYS, PRESETS, parse_slo


@pytest.mark.parametrize(("text", "limits"), [
    ("", {}), ("ttft=200ms,itl=50ms", {"ttft_seconds": 0.2, "itl_seconds": 0.05}),
    (" TTFT = 1.5s , tpot=.5ms", {"ttft_seconds": 1.5, "tpot_seconds": 0.0005}),
    ("e2el=2m", {"e2e_seconds": 120.0}), ("chat", {"ttft_seconds": 0.2, "itl_seconds": 0.05}),
    ("llama2-70b,e2e=10s", {"ttft_seconds": 2.0, "tpot_seconds": 0.2, "e2e_seconds": 10.0}),
])  # fmt: skip
def test_limits(text: str, limits: dict[str, float]) -> None:
    assert parse_slo(text) == pytest.approx(limits)


@pytest.mark.parametrize(("text", "says"), [
    ("ttfd=200ms", "did you mean 'ttft'"), ("ttft=200", "200ms or 1.5s"), ("ttft=-1s", "200ms"),
    ("ttft=0ms", "200ms"), ("chatt", "did you mean 'chat'"), ("ttft=", "200ms"), ("=1s", "no lat"),
    ("ttft=nan", "200ms"),
])  # fmt: skip
def test_what_is_no_limit_is_refused(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse_slo(text)


def test_every_limit_is_of_a_latency() -> None:
    for name in {*KEYS.values(), *(name for preset in PRESETS.values() for name in preset)}:
        assert BY_NAME[name].unit == "seconds"
        assert BY_NAME[name].kind == "distribution"
