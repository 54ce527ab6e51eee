"""Starts the two processes of the demo, and ends them, however this one ends."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType

from llmtop.publish.environment import RANK_VARIABLES

PROGRAMS = ("llmtop.demo.train", "llmtop.demo.serve")
END_SECONDS = 2.0
"""How long a child may take to say goodbye: a step, and half a second for its last samples."""
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""What numpy's linear algebra looks at; it is to use one core."""
FOREIGN = ("LLMTOP_OFF", "LLMTOP_ENDPOINT", *(name for pair in RANK_VARIABLES for name in pair))
"""What may be set here for other programs: the demo has one rank, and shows itself here."""


class Demo:
    """A context in which a model is trained and served."""

    def __init__(self) -> None:
        self._children: list[subprocess.Popen[bytes]] = []
        self._directory = Path()

    @property
    def pids(self) -> tuple[int, ...]:
        """Process numbers of trainer and server."""
        return tuple(child.pid for child in self._children)

    def __enter__(self) -> Demo:
        self._directory = Path(tempfile.mkdtemp(prefix="llmtop-demo-"))
        try:
            for program in PROGRAMS:
                self._start(program)
        except BaseException:  # Ctrl-C, too, must leave no process behind.
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._end()

    def complaints(self) -> list[str]:
        """Return the last words of each child that ended by an error, in a line each."""
        said = []
        for program, child in zip(PROGRAMS, self._children, strict=False):
            if child.poll():
                words = self._log(program).read_text(errors="replace").splitlines()
                said.append(f"{program}: {words[-1] if words else f'exit code {child.returncode}'}")
        return said

    def _log(self, program: str) -> Path:
        return self._directory / f"{program}.txt"

    def _start(self, program: str) -> None:
        environment = {name: text for name, text in os.environ.items() if name not in FOREIGN}
        with self._log(program).open("wb") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", program, str(self._directory)],
                stdin=subprocess.PIPE, stdout=log, stderr=log,
                env=environment | dict.fromkeys(THREADS, "1"),
                # Ctrl-C and Ctrl-Z at the terminal are meant for the screen.
                start_new_session=True,
            )  # fmt: skip
        self._children.append(child)

    def _end(self) -> None:
        for child in self._children:
            assert child.stdin is not None
            child.stdin.close()
        for child in self._children:
            try:
                child.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        shutil.rmtree(self._directory, ignore_errors=True)
