"""A fleet on the screen: what the Train screen of 1000 ranks costs on top of taking them in.

`python -m tests.bench.fleet be RANKS` is the fleet, in one process and over one socket: hosts of
eight ranks, six metrics, a straggler, a rank that hangs, and one that dies.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import zmq
from tests.bench.children import cpu_seconds, end, rendezvous, start
from tests.bench.table import Row, below
from tests.bench.terminal import Bytes, environment

from llmtop.publish.rendezvous import checked_dir
from llmtop.wire import Kind, pack, pack_json

RANKS, RANKS_A_HOST, HERTZ = 1000, 8, 2
SLOW, HUNG, DEAD = 0.337, 0.71, 0.9
"""Which ranks have trouble, as shares of the fleet."""
TROUBLE_SECONDS = 10.0
COLUMNS, ROWS = 160, 45
SETTLE_SECONDS, SECONDS = 25.0, 20.0
NAMES = ("loss", "grad_norm", "step_time_seconds", "tokens_per_second", "data_time_seconds",
         "memory_used_bytes")
USUAL = (2.5, 0.8, 0.5, 8000.0, 0.02, 7e10)
RECORDS = np.dtype([("sid", "<u4"), ("dt", "<u4"), ("step", "<i8"), ("value", "<f8")])


def fleet() -> Iterator[Row]:
    """Yield the cost of intake without anything to draw, and what the Train screen adds."""
    cost = {}
    for keys in ("6", "2"):
        with rendezvous() as env:
            command = [sys.executable, "-m", "llmtop", "--no-discover"]
            with Bytes(command, columns=COLUMNS, rows=ROWS, env=environment(env)) as program:
                program.pump_for(1.0)
                run = start("fleet", "be", str(RANKS), env=env)
                program.send(keys)
                program.pump_for(SETTLE_SECONDS)
                before = cpu_seconds(program.process.pid)
                program.pump_for(SECONDS)
                cost[keys] = (cpu_seconds(program.process.pid) - before) / SECONDS
                end(run)
    what = f"{RANKS} ranks, {len(NAMES)} metrics, {HERTZ} Hz, {COLUMNS}x{ROWS}"
    yield Row(f"{what}: intake alone", f"{cost['6'] * 100:.1f} % of a core")
    yield below("  the Train screen adds", (cost["2"] - cost["6"]) * 100, 10.0, "% of a core")


def be(ranks: int) -> None:
    """Be the fleet for whoever listens in the rendezvous directory, until terminated."""
    directory = checked_dir()
    while not (found := list(Path(directory).glob("mon-*.sock"))):
        time.sleep(0.1)
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.set(zmq.SNDHWM, 0)
        socket.connect(f"ipc://{found[0]}")
        began = time.time()
        for rank in range(ranks):
            about = {"role": "publisher", "name": "llama-70b", "pid": 4000 + rank, "rank": rank,
                     "host": f"node-{rank // RANKS_A_HOST:03}", "world_size": ranks,
                     "started": began, "first_seq": 0, "total_steps": 100_000}
            socket.send(pack_json(Kind.HELLO, about, session=rank + 1))
            names = [[sid, name, {}] for sid, name in enumerate(NAMES)]
            socket.send(pack_json(Kind.DEFS, names, session=rank + 1))
        _train(socket, ranks, began)


def _train(socket: zmq.Socket[bytes], ranks: int, began: float) -> None:
    random = np.random.default_rng(0)
    slow, hung, dead = (int(share * ranks) for share in (SLOW, HUNG, DEAD))
    records = np.zeros((ranks, len(NAMES)), RECORDS)
    records["sid"] = np.arange(len(NAMES))
    due, seq, late = time.monotonic(), 0, 0
    while True:
        trouble = time.time() - began > TROUBLE_SECONDS
        records["value"] = USUAL * (1 + 0.03 * random.standard_normal(records.shape))
        records["value"][:, 0] += 5 / (1 + seq / 50)
        records["value"][slow, 2] *= 1.7 if trouble else 1.0
        records["step"] = seq
        records["step"][slow] = seq - late
        late += trouble and seq % 3 == 0
        now = time.time()
        for rank in range(ranks):
            if trouble and rank == hung and seq % HERTZ == 0:
                socket.send(pack(Kind.PONG, session=rank + 1, seq=int(TROUBLE_SECONDS * HERTZ)))
            if trouble and rank in (hung, dead):
                continue
            socket.send(pack(Kind.DATA, records[rank].tobytes(), count=len(NAMES),
                             session=rank + 1, seq=seq, t0=now))
        while socket.get(zmq.EVENTS) & zmq.POLLIN:
            socket.recv(zmq.NOBLOCK)
        seq += 1
        due += 1 / HERTZ
        time.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    be(int(sys.argv[2]))
