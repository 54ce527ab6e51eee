"""What the README says for clusters can be pasted: scripts run, manifests and queries are read."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from prometheus_client.exposition import generate_latest

from llmtop import keys
from llmtop.cli.options import parser
from llmtop.clock import ManualClock, SystemClock
from llmtop.engine import Engine
from llmtop.export.pages import Pages
from llmtop.sources.attach import Attach
from llmtop.store import Store
from textstore import T0, filled, introduce, log

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
PATIENCE = 40.0
needs_promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="promtool of Debian's package prometheus is not here"
)

TRAIN = """
import llmtop
run = llmtop.init("sharded")
run.log({"loss": 1.0}, step=7)
open("hold").read()
"""
SRUN = """#!/bin/sh
export LLMTOP_DIR=$PWD/elsewhere SLURM_NTASKS=2
SLURM_PROCID=0 "$@" &
SLURM_PROCID=1 "$@" &
wait
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


def documents() -> list[Any]:
    return [one for block in blocks("yaml") for one in yaml.safe_load_all(block)]


def promtool(tmp_path: Path, what: str, key: str) -> str:
    (block,) = [block for block in blocks("yaml") if key in yaml.safe_load_all(block).__next__()]
    (tmp_path / "it.yml").write_text(block, encoding="utf-8")
    done = subprocess.run(["promtool", "check", what, tmp_path / "it.yml"], text=True,
                          capture_output=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_promtool
def test_prometheus_takes_the_scrape_config_and_the_rules(tmp_path: Path) -> None:
    assert "SUCCESS" in promtool(tmp_path, "config", "scrape_configs")
    assert "3 rules found" in promtool(tmp_path, "rules", "groups")


def test_queries_are_of_what_is_on_the_page() -> None:
    store = filled()
    for rank in range(2):
        introduce(store, f"gpt{rank}", name="gpt", rank=rank, world_size=2)
        log(store, f"gpt{rank}", "ttft_seconds", [0.1], kind="distribution")
    pages = Pages((), ManualClock(T0 + 1))
    asked = pages.ask()
    pages.turn(SimpleNamespace(store=store, source_states=()), float("inf"))  # type: ignore[arg-type]
    page = generate_latest(asked.result(0)).decode()
    names = set(re.findall(r"\bllmtop_[a-z_]+[a-z]\b", README)) - {"llmtop_NAME_UNIT"}
    assert len(names) >= 5
    assert not [name for name in names if f"\n{name}" not in page and name != "llmtop_dropped"]


def test_manifests_run_commands_that_there_are() -> None:
    pods = [one["spec"] for one in documents() if one.get("kind") == "Pod"]
    containers = [one for pod in pods for one in pod["containers"]]
    assert len(containers) >= 4
    commands = [one["command"] for one in containers if one["command"][0] == "llmtop"]
    for command in commands:
        assert parser("0").parse_intermixed_args(command[1:]).source == ["serve"]
    named = {variable["name"] for one in containers for variable in one.get("env", ())}
    assert named == {"LLMTOP_KEYS", "LLMTOP_ENDPOINT", "LLMTOP_DIR"}
    for pod in pods:
        mounted = {one["name"] for each in pod["containers"] for one in each["volumeMounts"]}
        assert mounted == {one["name"] for one in pod["volumes"]}


def test_shell_snippets_are_shell() -> None:
    for block in (*blocks("sh"), *blocks("bash")):
        done = subprocess.run(["bash", "-n"], input=block, text=True, capture_output=True,
                              check=False)
        assert done.returncode == 0, block + done.stderr


def test_the_batch_script_brings_every_rank_to_one_relay(tmp_path: Path, monkeypatch) -> None:
    (script,) = [block for block in blocks("bash") if "#SBATCH" in block and "listen" in block]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    python = f'#!/bin/sh\nexec "{sys.executable}"'
    for name, text in {
        "srun": SRUN, "hostname": "#!/bin/sh\necho 127.0.0.1\n", "python": f'{python} "$@"\n',
        "llmtop": f'{python} -m llmtop "$@"\n',
    }.items():  # fmt: skip
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "train.py").write_text(TRAIN)
    os.mkfifo(tmp_path / "hold")
    for name, value in {
        "PATH": f"{tmp_path}:{os.environ['PATH']}", "LLMTOP_KEYS": str(tmp_path / "keys"),
        "LLMTOP_DIR": str(tmp_path / "here"), "LLMTOP_NO_DISCOVER": "1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    address = f"tcp://127.0.0.1:{port}?key={keys.new_pair().public}"
    store = Store(memory_bytes=64 << 20)
    engine = Engine(store, [Attach(address, clock=SystemClock())], SystemClock())
    job = subprocess.Popen(
        ["bash", "-c", script.replace("7788", str(port))], cwd=tmp_path, start_new_session=True,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        engine.start()
        deadline = time.monotonic() + PATIENCE
        while [sorted(run.ranks) for run in store.runs if run.step == 7] != [[0, 1]]:
            assert time.monotonic() < deadline, (store.runs, engine.source_states)
            engine._arrived.wait(0.02)
            engine._arrived.clear()
            engine.pump(time.time())
    finally:
        engine.stop()
        os.killpg(job.pid, signal.SIGKILL)
        job.wait()
