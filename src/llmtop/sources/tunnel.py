"""The user's own ssh, forwarding a socket of this machine into the rendezvous directory of another.

One connection does it all, so that a password is asked for once. ssh makes the remote socket under
a name of its own in /tmp (who the user is there, and so the directory, is not known before); the
command it runs there moves it into the directory, says so, and waits. When this side goes, however
it goes, that command's stdin ends, and it takes the socket away.

Where llmtop is installed there, the same command runs a `llmtop serve` in a directory of its own,
in which no run will look: it knows that machine and its devices, and nothing that comes twice.
"""

from __future__ import annotations

import secrets
import subprocess
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from llmtop.errors import SourceError

OPTIONS = (
    "-T", "-o", "RemoteCommand=none", "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3",
    "-o", "ExitOnForwardFailure=no",
)  # fmt: skip
"""What the user's config may say otherwise: no terminal, no other command, a sign of life each 5 s,
three of them missed before the connection is given up. A forward of theirs that fails must not end
it; whether ours stands, the command there sees."""
READY = b"llmtop ready"
REFUSED = b"llmtop refused"
WRONG = b"llmtop directory"
MACHINE = b"llmtop machine"
ALONE = b"llmtop alone"
COMMAND = (
    "exec sh -c '"
    "d=${LLMTOP_DIR:-/tmp/llmtop-$(id -u)}; f=/tmp/.llmtop-NAME.sock; s=$d/mon-ssh-NAME.sock; "
    "m=/tmp/.llmtop-NAME.d; p=; PATH=$PATH:$HOME/.local/bin; "
    "c() { [ -z \"$p\" ] || { kill $p; wait $p; rm -rf \"$m\"; }; rm -f \"$s\" \"$f\"; }; "
    "trap c 0; trap \"exit 0\" HUP INT TERM PIPE; "
    "umask 077; mkdir -p \"$d\"; "
    "[ -S \"$f\" ] || { echo llmtop refused; exit 3; }; "
    "[ -O \"$d\" ] && [ ! -h \"$d\" ] && mv \"$f\" \"$s\" || { echo llmtop directory \"$d\"; "
    "exit 3; }; "
    "echo llmtop ready; w=alone; "
    "if command -v llmtop >/dev/null && mkdir \"$m\"; then "
    "LLMTOP_DIR=$m llmtop serve --state \"\" --no-discover </dev/null >/dev/null 2>&1 & p=$!; n=0; "
    "while [ $n -lt 50 ] && kill -0 $p; do n=$((n+1)); for x in \"$m\"/serve-*.sock; do "
    "[ -S \"$x\" ] && ln -s \"$x\" \"$m/machine.sock\" && w=machine && n=50; done; "
    "[ $n = 50 ] || sleep 0.1; done; fi 2>/dev/null; "
    "echo llmtop $w; cat >/dev/null'"
)
"""For sh, whatever shell the user has there; NAME is the connection's own."""
ANSWER_SECONDS = 120.0
"""For a person to type a password and a code."""
BATCH_SECONDS = 20.0
"""For a connection that may not ask anything."""
CLOSE_SECONDS = 1.0
"""For the command there to take the socket away."""
MAX_LINES = 20
"""Lines kept of what ssh says."""
MAX_LINE = 1000
"""Characters of a line: more are another line."""


class Tunnel:
    """One connection."""

    def __init__(
        self, destination: str, socket: str, machine: str, program: Sequence[str]
    ) -> None:
        """Connect `socket`, a path here, with `destination`, by the ssh that `program` starts.

        `machine` is the path here at which the llmtop there is, if there is one.
        """
        self._destination, self._socket, self._machine = destination, socket, machine
        self._answer: _Answer | None = None
        self._program = tuple(program)
        self._process: subprocess.Popen[bytes] | None = None
        self._said: deque[str] = deque(maxlen=MAX_LINES)

    def open(self, *, ask: bool) -> None:
        """Connect, and return when the socket is where publishers look.

        Args:
            ask: whether ssh may ask for passwords, on the terminal.

        Raises:
            SourceError: it could not; the text is ssh's own, or says what the host refuses.
        """
        name = secrets.token_hex(6)
        # ssh does not take the place of a socket that an ssh before it has left.
        Path(self._machine).unlink(missing_ok=True)
        argv = [
            *self._program, *OPTIONS, *(() if ask else ("-o", "BatchMode=yes")),
            "-R", f"/tmp/.llmtop-{name}.sock:{self._socket}",
            "-L", f"{self._machine}:/tmp/.llmtop-{name}.d/machine.sock", "--", self._destination,
            COMMAND.replace("NAME", name),
        ]  # fmt: skip
        try:
            process = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                start_new_session=not ask,
            )  # fmt: skip
        except OSError as error:
            raise SourceError(f"{self._program[0]}: {error.strerror}") from None
        self._process = process
        self._said.clear()
        listening = threading.Thread(target=self._listen, args=(process.stderr,), daemon=True)
        listening.start()
        answer = self._answer = _Answer(process.stdout)
        word = answer.wait(ANSWER_SECONDS if ask else BATCH_SECONDS)
        if word.startswith(READY):
            return
        self.close()
        listening.join(CLOSE_SECONDS)
        raise SourceError(self._reason(word))

    @property
    def alive(self) -> bool:
        """Whether the connection stands."""
        return self._process is not None and self._process.poll() is None

    @property
    def machine(self) -> bool | None:
        """Whether a llmtop there tells of the machine; None as long as that is not known."""
        return self._answer.machine if self.alive and self._answer is not None else False

    def reason(self) -> str:
        """Return why the connection ended."""
        return self._reason(b"")

    def close(self) -> None:
        """End the connection, and have the socket there taken away."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        for end in (None, process.terminate, process.kill):
            if end is not None:
                end()
            try:
                process.wait(CLOSE_SECONDS)
                break
            except subprocess.TimeoutExpired:
                continue

    def _reason(self, word: bytes) -> str:
        host = self._destination
        if word.startswith(REFUSED):
            return (f"{host} does not forward Unix sockets (AllowStreamLocalForwarding in its "
                    "sshd_config); run llmtop there, or llmtop serve and attach by tcp://")
        if word.startswith(WRONG):
            name = word[len(WRONG):].decode(errors="replace").strip()
            return f"{host}: {name} is not a directory of this user's there"
        told = [line for line in self._said if not line.startswith("Warning: Permanently added")]
        return f"{host}: {told[-1] if told else 'the connection ended'}"

    def _listen(self, stderr: IO[bytes] | None) -> None:
        if stderr is None:
            return
        for line in iter(lambda: stderr.readline(MAX_LINE), b""):
            text = line.decode(errors="replace").strip()
            self._said.append("".join(c for c in text if c.isprintable()))
        stderr.close()


class _Answer:
    """The lines of the command there that are meant for llmtop; a login may print others."""

    def __init__(self, stdout: IO[bytes] | None) -> None:
        self.machine: bool | None = None
        """Whether there is a llmtop there; None as long as that was not said."""
        self._stdout = stdout
        self._word = b""
        self._known = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def wait(self, seconds: float) -> bytes:
        """Return the first line, empty if the connection ended before or it took too long."""
        self._known.wait(seconds)
        return self._word

    def _read(self) -> None:
        stdout = self._stdout
        if stdout is None:
            return
        for line in iter(lambda: stdout.readline(MAX_LINE), b""):
            if line.startswith((READY, REFUSED, WRONG)) and not self._word:
                self._word = line
                self._known.set()
            elif line.startswith((MACHINE, ALONE)):
                self.machine = line.startswith(MACHINE)
        stdout.close()
        self.machine = bool(self.machine)
        self._known.set()
