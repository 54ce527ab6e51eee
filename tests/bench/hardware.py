"""What sampling eight scripted GPUs costs, and the screen that shows them.

`python -m tests.bench.hardware` is the screen that is measured: llmtop with a scripted NVML.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.children import cpu_seconds, rendezvous, resident_mb
from tests.bench.table import Row, below
from tests.bench.terminal import Bytes, environment

sys.path.insert(0, str(Path(__file__).parent.parent / "sources"))
from fakenvml import GIB, Gpu, ScriptedNvml

DEVICES = 8
SWEEPS = 200
COLUMNS, ROWS = 160, 45
SETTLE_SECONDS, LIVE_SECONDS = 8.0, 20.0


def scripted() -> ScriptedNvml:
    """Return eight devices at work, with GPM and a process each."""
    gpus = [
        Gpu(index=i, gpm={2: 40.0, 3: 30.0, 5: 28.0, 10: 55.0, 20: 800.0, 21: 1500.0,
                          60: 9e4, 61: 8.8e4}, processes=[(4_000_000 + i, 60 * GIB)],
            busy=[(4_000_000 + i, 1, 90)])
        for i in range(DEVICES)
    ]  # fmt: skip
    return ScriptedNvml(gpus)


def shuffle(fake: ScriptedNvml) -> None:
    """Let every device's numbers move as they do at work."""
    for gpu in fake.gpus:
        gpu.gpu, gpu.used = random.randint(85, 100), int((60 + random.random() * 8) * GIB)
        gpu.power, gpu.temperature = random.randint(580_000, 640_000), random.randint(62, 68)
        gpu.energy += gpu.power


def hardware() -> Iterator[Row]:
    """Yield the cost of a sweep, and of the GPUs screen."""
    from llmtop.clock import SystemClock
    from llmtop.engine import Engine
    from llmtop.sources.hardware import Hardware
    from llmtop.store import Store

    sys.modules["pynvml"] = scripted()  # type: ignore[assignment]
    clock, stop = SystemClock(), threading.Event()
    stop.wait = lambda timeout=None: False  # type: ignore[method-assign]
    source, engine = Hardware(clock), Engine(Store(), [], clock)
    batches = source.batches(stop)
    for _ in range(10):
        engine.store.apply(0, next(batches), time.time())
    reading = storing = 0.0
    for _ in range(SWEEPS):
        before = time.process_time()
        batch = next(batches)
        between = time.process_time()
        engine.store.apply(0, batch, time.time())
        engine.pump(time.time())
        reading, storing = reading + between - before, storing + time.process_time() - between
    batches.close()  # type: ignore[attr-defined]
    yield below(f"sampling {DEVICES} devices and the host at 1 Hz", 100 * reading / SWEEPS, 0.5,
                "% of a core")
    yield Row("  storing it", f"{100 * storing / SWEEPS:.2f} % of a core")
    with rendezvous() as env:
        command = [sys.executable, "-m", "tests.bench.hardware"]
        with Bytes(command, columns=COLUMNS, rows=ROWS, env=environment(env)) as program:
            program.pump_for(SETTLE_SECONDS / 2)
            program.send(b"4")
            program.pump_for(SETTLE_SECONDS / 2)
            pid = program.process.pid
            before, began = cpu_seconds(pid), time.monotonic()
            sent = len(program.pump_for(LIVE_SECONDS))
            took = time.monotonic() - began
            busy = (cpu_seconds(pid) - before) / took
            yield below(f"GPUs screen, {COLUMNS}x{ROWS}, {DEVICES} devices: CPU", busy * 100, 3.0,
                        "% of a core")
            yield below("  sent to the terminal", sent / took / 1e3, 15.0, "kB/s")
            yield Row("  resident memory", f"{resident_mb(pid):.0f} MB")


def main() -> None:
    """Run the screen on the hardware alone: what else runs on this machine is not measured."""
    from llmtop.clock import SystemClock
    from llmtop.engine import Engine
    from llmtop.sources.hardware import Hardware
    from llmtop.store import Store
    from llmtop.ui.app import LlmtopApp
    from llmtop.ui.terminal.crash import run_app

    fake = scripted()
    sys.modules["pynvml"] = fake  # type: ignore[assignment]

    def play() -> None:
        while True:
            shuffle(fake)
            time.sleep(1.0)

    threading.Thread(target=play, daemon=True).start()
    clock = SystemClock()
    sys.exit(run_app(lambda: LlmtopApp(lambda: Engine(Store(), [Hardware(clock)], clock))))


if __name__ == "__main__":
    main()
