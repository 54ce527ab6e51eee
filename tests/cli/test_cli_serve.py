"""`llmtop serve` and `llmtop keys` as a person has them: what is printed can be pasted."""

from __future__ import annotations

import json
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from processes import free_port, publisher

from llmtop.cli.serve import bound, is_loopback, parse_address
from llmtop.clock import SystemClock
from llmtop.engine import SourceState
from llmtop.errors import UsageError
from llmtop.relay.listener import Listener

SCRIPT = """
import sys, llmtop
run = llmtop.init("trainer")
for step in range(500):
    run.log({"loss": float(step)}, step=step)
print("logged", flush=True)
sys.stdin.readline()
"""


@contextmanager
def serving(
    environment: dict[str, str], *words: str, nohup: bool = False
) -> Iterator[tuple[subprocess.Popen, list]]:
    """Yield a relay's process and the commands it printed."""
    process = subprocess.Popen(
        [*["nohup"][:nohup], sys.executable, "-m", "llmtop", "serve", "--no-discover", *words],
        env=environment, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    commands = []
    for line in process.stdout:
        if line.startswith("  "):
            commands.append(shlex.split(line))
        if "LLMTOP_ENDPOINT" in line or (not words and commands):
            break
    try:
        yield process, commands
    finally:
        process.kill()
        process.communicate()


def loss_of(text: str) -> int:
    (run,) = [run for run in json.loads(text)["runs"] if run["name"] == "trainer"]
    return next(one["n"] for one in run["series"] if one["name"] == "loss")


def test_a_second_llmtop_attaches_on_the_same_machine(llmtop, environment) -> None:
    with serving(environment) as (process, ((_, address),)), publisher(environment, SCRIPT):
        assert address.startswith("ipc://")
        done = llmtop("--json", address)
        assert (done.returncode, loss_of(done.stdout)) == (0, 500)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert list(Path(environment["LLMTOP_DIR"]).glob("*.sock")) == []


def test_nohup_keeps_it_alive_and_what_is_printed_is_there_already(environment) -> None:
    with serving(environment, nohup=True) as (process, ((_, address),)):
        assert Path(address.removeprefix("ipc://")).is_socket()
        process.send_signal(signal.SIGHUP)
        status = Path(f"/proc/{process.pid}/status").read_text()
        mask = next(line for line in status.splitlines() if line.startswith("SigIgn")).split()[1]
        assert int(mask, 16) & 1 << (signal.SIGHUP - 1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_nothing_to_attach_to_is_announced_before_it_is_bound() -> None:
    listeners = [Listener(f"ipc:///nowhere/{name}.sock", clock=SystemClock()) for name in "ab"]
    lost = SourceState("ipc:///nowhere/a.sock", "retrying", "no such folder")
    going = SourceState("ipc:///nowhere/b.sock", "ok", "")
    assert bound(listeners, [lost, going]) is None
    listeners[1].listening.set()
    assert bound(listeners, [lost, going]) == [listeners[1]]
    listeners[0].listening.set()
    assert bound(listeners, [going, going]) == listeners


def test_publishers_and_viewers_come_with_keys(llmtop, environment, tmp_path: Path) -> None:
    environment["LLMTOP_KEYS"] = str(tmp_path / "keys")
    port = free_port()
    address = f"tcp://0.0.0.0:{port}"
    refused = llmtop("serve", "--listen", address, LLMTOP_KEYS=environment["LLMTOP_KEYS"])
    assert refused.returncode == 2
    assert refused.stdout == ""
    (line,) = refused.stderr.splitlines()
    assert "llmtop keys new" in line
    with_keys = {"LLMTOP_KEYS": environment["LLMTOP_KEYS"]}
    made = llmtop("keys", "new", **with_keys)
    assert made.returncode == 0
    key = made.stdout.split()[0]
    with serving(environment, "--listen", address) as (_, commands):
        attach, publish = commands[-2:]
        pasted = attach[1].replace(socket.gethostname(), "127.0.0.1")
        assert pasted == f"tcp://127.0.0.1:{port}?key={key}"
        assert publish[0] == f"LLMTOP_ENDPOINT={attach[1]}"
        elsewhere = {**environment, "LLMTOP_DIR": str(tmp_path), "LLMTOP_ENDPOINT": pasted}
        with publisher(elsewhere, SCRIPT):
            done = llmtop("--json", pasted, **with_keys)
            assert (done.returncode, loss_of(done.stdout)) == (0, 500)
            stranger = llmtop("--json", "--wait", "1", pasted, LLMTOP_KEYS=str(tmp_path / "none"))
            assert "llmtop keys new" in stranger.stderr
            assert json.loads(stranger.stdout)["runs"] == []


def test_keys_are_listed_allowed_and_revoked(llmtop, environment, tmp_path: Path) -> None:
    keys = {"LLMTOP_KEYS": str(tmp_path / "keys")}
    assert "llmtop keys new" in llmtop("keys", **keys).stdout
    assert llmtop("keys", "allow", "ab" * 32, "laptop", **keys).returncode == 0
    assert f"{'ab' * 32}  laptop" in llmtop("keys", "list", **keys).stdout
    assert llmtop("keys", "revoke", "laptop", **keys).returncode == 0
    assert "laptop" not in llmtop("keys", "list", **keys).stdout
    for words, said in ((("lst",), "did you mean 'list'"), (("allow",), "usage: llmtop keys allow"),
                        (("allow", "zz"), "64 hexadecimal")):  # fmt: skip
        done = llmtop("keys", *words, **keys)
        assert done.returncode == 2
        assert said in done.stderr


def test_what_cannot_be_listened_at_is_said(llmtop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        done = llmtop("serve", "--listen", address)
    assert done.returncode == 2
    assert f"{address}: Address already in use" in done.stderr
    done = llmtop("serve", "--listen", "localhost:80")
    assert "write tcp://127.0.0.1:7788" in done.stderr
    done = llmtop("--once", "--listen", address)
    assert "--listen is for llmtop serve" in done.stderr


@pytest.mark.parametrize(("text", "found"), [
    ("tcp://h:1", ("h", 1)), ("tcp://[::1]:65535", ("::1", 65535)), ("tcp://*:80", ("*", 80)),
])  # fmt: skip
def test_addresses(text: str, found: tuple[str, int]) -> None:
    assert parse_address(text) == found


@pytest.mark.parametrize("text", ["tcp://h", "tcp://h:0", "tcp://h:70000", "h:1", "tcp://:1", ""])
def test_no_addresses(text: str) -> None:
    with pytest.raises(UsageError, match="write tcp://"):
        parse_address(text)


def test_only_loopback_is_loopback() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.8.8.8", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "*", "::", "10.0.0.1", "localhost.example", "")))
