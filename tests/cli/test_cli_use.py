"""Exit codes and messages: what is printed where, and what bad use is told."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from llmtop import __version__

BAD_USE = {
    "--onec": "did you mean '--once'?",
    "--jsn": "did you mean '--json'?",
    "--wait=-1": "--wait: seconds cannot be negative",
    "--wait=soon": "--wait",
    "--fps=1000": "--fps: between 0.1 and 30",
    "--memory=lots": "'lots' is not a size; write 512M or 2G",
    "--memory=1K": "'1K' is too small; the least is 32M",
}


def test_what_resembles_nothing_is_not_guessed(llmtop) -> None:
    said = llmtop("--bogus").stderr
    assert "--bogus" in said
    assert "did you mean" not in said


@pytest.mark.parametrize("word", BAD_USE)
def test_bad_use_is_one_line_on_stderr(llmtop, word: str) -> None:
    done = llmtop(word)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("llmtop: ")
    assert BAD_USE[word] in line


def test_demo_takes_no_argument(llmtop) -> None:
    done = llmtop("demo", "fast", "--once")
    assert done.returncode == 2
    assert "'fast'" in done.stderr


def test_version_and_help_go_to_stdout(llmtop) -> None:
    done = llmtop("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"llmtop {__version__}\n", "")
    done = llmtop("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "--once" in done.stdout


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["--once"], ["--json"]])
def test_textual_is_not_imported(words: list[str], environment: dict[str, str]) -> None:
    script = (
        "import sys\n"
        "from llmtop.cli.main import main\n"
        "try:\n"
        "    main(sys.argv[1:])\n"
        "except SystemExit:\n"
        "    pass\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('textual', 'rich')],\n"
        "      file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *words], env=environment, capture_output=True, text=True,
        timeout=50, check=True,
    )  # fmt: skip
    assert done.stderr == "[]\n"


def test_nothing_to_show_is_said_and_is_no_failure(llmtop, rendezvous: Path) -> None:
    done = llmtop("--once")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"no runs: nothing of yours publishes to {rendezvous}" in done.stdout
    assert "llmtop demo" in done.stdout
    done = llmtop("--json")
    document = json.loads(done.stdout)
    (host,) = document.pop("hosts")
    assert document == {"version": 1, "runs": [], "alerts": [], "dropped": 0}
    assert host["memory_total"] > 0
    assert "host_memory_used_bytes" in [series["name"] for series in host["series"]]


def test_stdout_that_is_no_terminal_gets_a_snapshot(llmtop) -> None:
    done = llmtop()
    assert done.returncode == 0
    assert done.stderr == "llmtop: stdout is not a terminal, so this is --once\n"
    assert done.stdout.startswith("no runs")


def test_a_directory_that_is_open_to_others_is_told_of(llmtop, rendezvous: Path) -> None:
    rendezvous.chmod(0o755)
    done = llmtop("--json")
    assert done.returncode == 1
    assert f"chmod 700 {rendezvous}" in done.stderr
    assert json.loads(done.stdout)["runs"] == []


def test_a_wait_that_is_too_short_is_told_of(llmtop) -> None:
    done = llmtop("--once", "--wait", "0")
    assert done.returncode == 0
    assert "not everything was read within 0 s" in done.stderr


@pytest.mark.parametrize("option", ["--once", "--json"])
def test_a_reader_that_leaves_early_is_no_failure(
    option: str, environment: dict[str, str]
) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "llmtop", option], env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_a_locale_that_cannot_spell_a_name_still_gets_a_snapshot(
    llmtop, environment: dict[str, str]
) -> None:
    script = "import llmtop, sys\nllmtop.init('訓練').log({'损失': 1.0})\nsys.stdin.read()\n"
    with subprocess.Popen(
        [sys.executable, "-c", script], env=environment, stdin=subprocess.PIPE
    ) as process:
        done = llmtop("--once", PYTHONIOENCODING="ascii")
        assert (done.returncode, done.stderr) == (0, "")
        assert "?? " in done.stdout
        done = llmtop("--json", PYTHONIOENCODING="ascii")
        assert json.loads(done.stdout)["runs"][0]["name"] == "訓練"
        process.communicate()
