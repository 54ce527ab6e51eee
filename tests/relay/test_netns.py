"""A viewer on another machine, as the kernel makes one: its link is cut and mended."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmtop.publish.current import init

VIEWER = """
import json, sys, time
from llmtop import engine as engines
from llmtop.clock import SystemClock
from llmtop.sources import attach, dialling
from llmtop.store import Store
attach.SILENT_SECONDS, attach.ASK_SECONDS, attach.CONNECT_MILLISECONDS = 0.5, 0.1, 200
attach.DIAL_SECONDS = dialling.ASK_SECONDS = 0.1
attach.Attach.longest_pause = engines.FIRST_RETRY_SECONDS = 0.1
engine = engines.Engine(
    Store(memory_bytes=64 << 20), [attach.Attach(sys.argv[1], clock=SystemClock())], SystemClock()
)
engine.start()
said = None
while True:
    engine._arrived.wait(0.02)
    engine._arrived.clear()
    engine.pump(time.time())
    state, store = engine.source_states[0], engine.store
    now = {"state": state.state, "reason": state.reason, "dropped": store.dropped,
           "runs": {run.name: [one.n for one in run.find("loss")] for run in store.runs}}
    if now != said:
        print(json.dumps(now), flush=True)
        said = now
"""


def ip(*words: str) -> bool:
    done = subprocess.run(["ip", *words], capture_output=True, timeout=10, check=False)
    return done.returncode == 0


class Laptop:
    """A network namespace at the end of a cable."""

    def __init__(self) -> None:
        self.name, self.cable = f"lt{os.getpid()}", f"lt{os.getpid()}"
        self.here = f"10.213.{os.getpid() % 250}.1"
        there = self.here[:-1] + "2"
        self.good = ip("netns", "add", self.name) and all(ip(*words.split()) for words in (
            f"link add {self.cable} type veth peer name far netns {self.name}",
            f"addr add {self.here}/30 dev {self.cable}", f"link set {self.cable} up",
            f"-n {self.name} addr add {there}/30 dev far", f"-n {self.name} link set far up",
        ))  # fmt: skip

    def close(self) -> None:
        ip("link", "del", self.cable)
        ip("netns", "del", self.name)


@pytest.fixture
def laptop() -> Iterator[Laptop]:
    if os.geteuid() or not shutil.which("ip"):
        pytest.skip('making a network needs root and "ip" of iproute2')
    one = Laptop()
    try:
        if not one.good:
            pytest.skip("this kernel lets nobody make network namespaces")
        yield one
    finally:
        one.close()


def test_a_viewer_whose_link_was_cut_has_all_there_is_and_said_what_was_wrong(
    serve, laptop: Laptop, address: str, tmp_path: Path
) -> None:
    address = address.replace("127.0.0.1", laptop.here)
    serve(address)
    run = init("far", endpoint=address)
    for step in range(100):
        run.log({"loss": 1.0}, step=step)
    viewer = subprocess.Popen(
        ["ip", "netns", "exec", laptop.name, sys.executable, "-c", VIEWER, address],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "LLMTOP_DIR": str(tmp_path)},
    )  # fmt: skip
    try:
        said = map(json.loads, viewer.stdout)
        assert any(one["runs"].get("far") == [100] for one in said)
        ip("link", "set", laptop.cable, "down")
        for step in range(100, 200):
            run.log({"loss": 1.0}, step=step)
        lost = next(one for one in said if one["state"] == "lost")
        assert lost["reason"].endswith("connecting again")
        assert any(one["reason"].endswith("running there?") for one in said)
        ip("link", "set", laptop.cable, "up")
        back = next(one for one in said if one["runs"]["far"] != [100])
        assert (back["runs"], back["dropped"], back["state"]) == ({"far": [200]}, 0, "ok")
    finally:
        viewer.kill()
        viewer.communicate()
