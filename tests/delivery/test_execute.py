"""Real programs: what they get, how they fail, and that none outlives its time."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from alerting import PATIENCE, alert, deliver, until

from llmtop.clock import SystemClock
from llmtop.delivery.execute import Execute
from llmtop.delivery.settings import SinkSettings
from llmtop.delivery.sink import NotDelivered


def program(code: str, *words: str, timeout: float = PATIENCE) -> Execute:
    settings = SinkSettings(
        "page", "exec", command=(sys.executable, "-c", code, *words), timeout=timeout)
    return Execute(settings, SystemClock())


def test_it_gets_the_alert_on_stdin(tmp_path: Path) -> None:
    out = tmp_path / "got.json"
    code = "import sys; open(sys.argv[1], 'w').write(sys.stdin.read())"
    program(code, str(out)).send(alert(message="$(touch /tmp/no) ; 'quoted'"))
    got = json.loads(out.read_text())
    assert (got["message"], got["value"]) == ("$(touch /tmp/no) ; 'quoted'", "NaN")


def test_failure_is_told_with_its_last_line() -> None:
    code = "print('first'); print('bad \\x1b[2J thing'); raise SystemExit(3)"
    with pytest.raises(NotDelivered, match=r"exit code 3: bad \[2J thing"):
        program(code).send(alert())


def test_no_such_program() -> None:
    sink = Execute(SinkSettings("page", "exec", command=("/no/such",)), SystemClock())
    assert sink.check() == "/no/such: no such command"
    with pytest.raises(NotDelivered, match="no such file"):
        sink.send(alert())


def test_one_that_reads_nothing_and_prints_much() -> None:
    code = "import sys\nfor _ in range(3000): print('x' * 999)\nraise SystemExit(1)"
    with pytest.raises(NotDelivered) as caught:
        program(code).send(alert())
    assert len(str(caught.value)) < 300


def test_one_that_takes_too_long_is_killed_with_its_children(tmp_path: Path) -> None:
    mark = tmp_path / "child"
    code = ("import subprocess, sys, time\n"
            "child = subprocess.Popen(['sleep', '60'])\n"
            "open(sys.argv[1], 'w').write(str(child.pid) + '\\n')\n"
            "time.sleep(60)")
    sink = program(code, str(mark), timeout=1.5)
    with pytest.raises(NotDelivered, match=r"took longer than 1\.5 s"):
        sink.send(alert())
    pid = int(mark.read_text())
    until(lambda: not alive(pid))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def test_a_surprise_while_it_runs_does_not_leave_it_running(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sink = program("import time; time.sleep(60)")
    seen: list[int] = []

    def surprise(process: Any) -> Any:
        seen.append(process.pid)
        raise RuntimeError

    monkeypatch.setattr(sink, "_read", surprise)
    with pytest.raises(RuntimeError):
        sink.send(alert())
    assert not alive(seen[0])


def test_what_it_leaves_behind_is_not_waited_for() -> None:
    code = "import subprocess\nprint(subprocess.Popen(['sleep', '20']).pid)\nraise SystemExit(4)"
    began = time.monotonic()
    with pytest.raises(NotDelivered, match="exit code 4: ") as caught:
        program(code).send(alert())
    os.kill(int(str(caught.value).rsplit(" ", 1)[1]), 9)
    assert time.monotonic() - began < PATIENCE


def test_a_slow_program_holds_up_nobody_who_tells() -> None:
    slow = SinkSettings("slow", "exec", command=("sleep", "60"), timeout=0.3)
    sent = deliver(slow)
    assert sent.tell([alert()]) == ""
    sent.close(PATIENCE)
    assert sent.problems() == ["slow: sleep: took longer than 0.3 s"]
