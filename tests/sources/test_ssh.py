"""ssh:// through a real sshd on loopback: runs there are seen here, and nothing is left there."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llmtop.clock import SystemClock
from llmtop.engine import Engine
from llmtop.errors import SourceError, UsageError
from llmtop.sources import ssh
from llmtop.sources.ssh import Ssh
from llmtop.store import Store

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
real = pytest.mark.skipif(
    SSHD is None or shutil.which("ssh") is None, reason="needs openssh-server and openssh-client"
)
PATIENCE = 40.0
SCRIPT = """
import sys, llmtop
run = llmtop.init("far")
step = 0
for line in sys.stdin:
    for _ in range(int(line)):
        run.log({"loss": float(step)}, step=step)
        step += 1
"""


class Remote:
    """A host that can be reached by ssh."""

    def __init__(self, folder: Path, *settings: str) -> None:
        self.folder = folder
        self.rendezvous = folder / "there"
        for name in ("host", "user"):
            if not (folder / name).exists():
                subprocess.run(
                    ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True
                )
        shutil.copy(folder / "user.pub", folder / "authorized")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        config = folder / "sshd_config"
        config.write_text("\n".join([
            f"Port {self.port}", "ListenAddress 127.0.0.1", f"HostKey {folder}/host",
            f"AuthorizedKeysFile {folder}/authorized", "StrictModes no", "UsePAM no",
            "PasswordAuthentication no", "PermitRootLogin yes", "PidFile none",
            f"SetEnv LLMTOP_DIR={self.rendezvous} PATH={folder}/bin:/usr/bin:/bin",
            *settings, "",
        ]))  # fmt: skip
        client = folder / "ssh_config"
        client.write_text(
            f"IdentityFile {folder}/user\nIdentitiesOnly yes\nStrictHostKeyChecking no\n"
            f"UserKnownHostsFile {folder}/known\nLogLevel ERROR\n"
        )
        self.program = ("ssh", "-F", str(client))
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        self._server = subprocess.Popen(
            [SSHD, "-D", "-e", "-f", config], stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                break
            except OSError:
                assert time.monotonic() < deadline
                assert self._server.poll() is None
                time.sleep(0.02)

    @property
    def address(self) -> str:
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}"

    def publish(self) -> subprocess.Popen[str]:
        """Start a run there, which logs as many steps as it is told to."""
        return subprocess.Popen(
            [sys.executable, "-c", SCRIPT], text=True, stdin=subprocess.PIPE,
            env={**os.environ, "LLMTOP_DIR": str(self.rendezvous)},
        )  # fmt: skip

    def sockets(self) -> list[str]:
        return sorted(path.name for path in self.rendezvous.glob("*.sock"))

    def close(self) -> None:
        self._server.kill()
        self._server.wait()


@pytest.fixture
def remote() -> Iterator[Callable[..., Remote]]:
    folder = Path(tempfile.mkdtemp(prefix="lt-", dir="/tmp"))
    running: list[Remote] = []

    def start(*settings: str) -> Remote:
        running.append(Remote(folder, *settings))
        return running[-1]

    yield start
    for one in running:
        one.close()
    shutil.rmtree(folder)


def until(condition: Callable[[], object], engine: Engine | None = None) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, engine and (
            engine.source_states, [(run.name, run.state) for run in engine.store.runs])
        if engine is None:
            time.sleep(0.02)
            continue
        engine._arrived.wait(0.02)
        engine._arrived.clear()
        engine.pump(time.time())


@real
def test_runs_there_are_seen_here_again_after_a_break_and_nothing_is_left(remote) -> None:
    host = remote()
    source = Ssh(host.address, clock=SystemClock(), program=host.program)
    source.connect()
    engine = Engine(Store(), [source], SystemClock())
    engine.start()
    script = host.publish()
    try:
        script.stdin.write("300\n")
        script.stdin.flush()
        until(lambda: any(one.n == 300 for one in engine.store.series), engine)
        (run,) = engine.store.runs
        assert (run.name, run.source) == ("far", host.address.removeprefix("ssh://"))
        (before,) = host.sockets()
        os.kill(source._tunnel._process.pid, signal.SIGKILL)
        script.stdin.write("200\n")
        script.stdin.flush()
        until(lambda: engine.source_states[0].state == "lost", engine)
        until(lambda: any(one.n == 500 for one in engine.store.series), engine)
        assert engine.store.dropped == 0
        assert len(engine.store.runs) == 1
        assert run.attempt == 1
        until(lambda: before not in host.sockets())
        assert len(host.sockets()) == 1
        assert host.rendezvous.stat().st_mode & 0o777 == 0o700
        engine.stop()
        until(lambda: host.sockets() == [])
        assert list(Path("/tmp").glob(".llmtop-*.sock")) == []
    finally:
        engine.stop()
        script.kill()
        script.communicate()


def machine_points(engine: Engine) -> int:
    return sum(series.n for run in engine.store.runs if run.is_host
               for series in run.find("host_cpu_utilization"))


@real
def test_a_llmtop_there_tells_of_the_machine_and_ends_with_the_connection(remote) -> None:
    host = remote()
    there = host.folder / "bin" / "llmtop"
    there.parent.mkdir()
    there.write_text(f"#!/bin/sh\necho $$ >>{host.folder}/pids\n"
                     f"exec {sys.executable} -m llmtop \"$@\"\n")
    there.chmod(0o700)
    source = Ssh(host.address, clock=SystemClock(), program=host.program)
    source.connect()
    engine = Engine(Store(), [source, *source.beside], SystemClock())
    engine.start()
    script = host.publish()
    try:
        script.stdin.write("30\n")
        script.stdin.flush()
        until(lambda: machine_points(engine) > 1, engine)
        os.kill(source._tunnel._process.pid, signal.SIGKILL)
        until(lambda: engine.source_states[0].state == "lost", engine)
        before = machine_points(engine)
        until(lambda: source._tunnel.machine and machine_points(engine) > before, engine)
        assert sorted(run.name for run in engine.store.runs) == ["far", socket.gethostname()]
    finally:
        engine.stop()
        script.kill()
        script.communicate()
    pids = [int(pid) for pid in (host.folder / "pids").read_text().split()]
    assert len(pids) == 2
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
    until(lambda: list(Path("/tmp").glob(".llmtop-*.d")) == [])


@real
def test_what_the_host_refuses_is_said_plainly(remote) -> None:
    host = remote("AllowStreamLocalForwarding no")
    with pytest.raises(SourceError, match="does not forward Unix sockets"):
        Ssh(host.address, clock=SystemClock(), program=host.program).connect()
    assert host.sockets() == []


@real
def test_a_directory_that_is_a_link_is_not_used(remote, tmp_path: Path) -> None:
    host = remote()
    host.rendezvous.symlink_to(tmp_path)
    with pytest.raises(SourceError, match=f"{host.rendezvous} is not a directory of this user"):
        Ssh(host.address, clock=SystemClock(), program=host.program).connect()
    assert list(tmp_path.iterdir()) == []


@real
def test_ssh_says_itself_why_it_could_not(remote) -> None:
    host = remote()
    (host.folder / "authorized").write_text("")
    with pytest.raises(SourceError, match="Permission denied"):
        Ssh(host.address, clock=SystemClock(), program=(*host.program, "-oBatchMode=yes")).connect()


def test_no_ssh_is_said() -> None:
    source = Ssh("ssh://nowhere", clock=SystemClock(), program=("no-such-ssh",))
    with pytest.raises(SourceError, match="no-such-ssh: No such file"):
        source.connect()


@pytest.mark.parametrize("text", ["host", "me@host", "me@host:22", "[::1]:22", "host/", "a.b-c"])
def test_destinations(text: str) -> None:
    assert ssh.Ssh(f"ssh://{text}", clock=SystemClock()).name == text.rstrip("/")


@pytest.mark.parametrize("text", ["", "-oProxyCommand=x", "me@-host", "a b", "h:22:3", "h/x", "@h"])
def test_what_is_no_destination_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="write ssh://host"):
        ssh.Ssh(f"ssh://{text}", clock=SystemClock())
