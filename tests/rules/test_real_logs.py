"""The built-in rules over real logs of many tools: what fires is what happened.

The files are not part of the project; where they are not beside it, there is nothing to check.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from llmtop.clock import ManualClock
from llmtop.formats.table import Table
from llmtop.rules.alerts import Alerts
from llmtop.rules.replay import replay
from llmtop.sources.tail import Tail
from llmtop.store import Store

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT.parent / "shared" / "samples" / "logs"
LOGS = sorted(
    str(path.relative_to(SAMPLES)) for path in SAMPLES.glob("*/*") if path.is_file()
)
SLICES = 200
"""Pieces each log is lived through in: some steps of a long log are judged together."""
TRUE: dict[str, dict[str, str]] = {
    "llmc_main_log/llmc-style.adamw.f66d43d7.log": {
        "loss_spike": "ten single steps lie more than 6 sigma above the 128 before them",
        "spike_rate": "that is more than one in a thousand steps",
    },
    "wandb_offline/run-clnzftry.wandb": {"run_died": "its process ended with exit code 255"},
    "wandb_offline/run-k85o2nt0.wandb": {"run_died": "its process ended with exit code 1"},
}
"""Log -> rule -> why it is right that it fires. Every other log is quiet."""

pytestmark = pytest.mark.skipif(not LOGS, reason="the sample logs are not beside the project")


@pytest.mark.parametrize("name", LOGS)
def test_what_fires_is_what_happened(name: str) -> None:
    store = Store(memory_bytes=64 << 20)
    source = Tail([str(SAMPLES / name)], clock=ManualClock(2e9), table=Table(), poll=0.05)
    fired = replay(store, Alerts(), [source], slices=SLICES)
    assert {one.rule for one in fired} == TRUE.get(name, {}).keys()
