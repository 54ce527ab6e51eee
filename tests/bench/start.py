"""What importing a logger and opening a run adds to a bare Python."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

from tests.bench.children import ROOT, rendezvous
from tests.bench.table import Row, below, missing

RUNS = 9
PROBE = """
import time
began = time.perf_counter()
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6
before = resident()
try:
    {code}
except ImportError:
    print("missing")
else:
    print((time.perf_counter() - began) * 1e3, resident() - before)
"""
CODES = {
    "import llmtop; llmtop.init": "import llmtop; llmtop.init('bench')",
    "import prometheus_client": "import prometheus_client",
    "import tensorboardX; SummaryWriter":
        "import tensorboardX, tempfile; tensorboardX.SummaryWriter(tempfile.mkdtemp())",
    "import trackio": "import trackio",
    "import wandb": "import wandb",
}
LIMITS = (60.0, 12.0)


def start() -> Iterator[Row]:
    """Yield milliseconds and MB, the least of RUNS runs."""
    for what, code in CODES.items():
        ours = what.startswith("import llmtop")
        found = [_probe(code) for _ in range(RUNS if ours else 3)]
        if None in found:
            yield missing(what)
            continue
        took, grew = (min(one) for one in zip(*(f for f in found if f is not None), strict=True))
        if ours:
            yield below(f"{what}: time (least of {RUNS})", took, LIMITS[0], "ms")
            yield below(f"{what}: resident memory", grew, LIMITS[1], "MB")
        else:
            yield Row(what, f"{took:,.0f} ms, {grew:.1f} MB")


def _probe(code: str) -> tuple[float, float] | None:
    with rendezvous() as env:
        done = subprocess.run([sys.executable, "-c", PROBE.format(code=code)], cwd=ROOT, env=env,
                              capture_output=True, text=True, check=False, timeout=120)
    words = done.stdout.split()
    return (float(words[0]), float(words[1])) if len(words) == 2 else None
