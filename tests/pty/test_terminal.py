"""What a terminal sees of an app on llmtop's terminal layer, through a real pseudo-terminal."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from harness import Program

SAMPLE = str(Path(__file__).with_name("sample_app.py"))


def start(*words: str, **options: object) -> Program:
    program = Program([sys.executable, SAMPLE, *words], **options)  # type: ignore[arg-type]
    if not {"early", "timer"} & set(words):
        program.wait_for_text("count 0")
    return program


def step(program: Program, count: int) -> None:
    program.send("n")
    program.wait_for_text(f"count {count} bytes")


def restored(program: Program) -> bool:
    off = {b"?1049l", b"?25h", b"?1000l", b"?1003l", b"?2004l", b"?1004l"}
    return not program.in_alternate_screen and all(b"\x1b[" + code in program.raw for code in off)


def test_a_quit_leaves_the_screen_with_code_0_and_without_a_word() -> None:
    with start() as program:
        program.send("q")
        assert program.exit_code() == 0
        assert restored(program)
        assert program.after_screen.strip() == ""


@pytest.mark.parametrize("report", [bytes([32, 200, 40]), bytes([35, 255, 113])])
def test_an_old_mouse_report_does_not_end_the_app(report: bytes) -> None:
    with start() as program:
        program.send(b"\x1b[M" + report)
        step(program, 1)
        program.send("q")
        assert program.exit_code() == 0


def test_stray_bytes_do_not_end_the_app() -> None:
    with start() as program:
        program.send(b"\xc3\x28\xf0\x80\xff")
        step(program, 1)
        assert program.process.poll() is None


def crash_file(text: str) -> Path:
    found = re.search(r"traceback in (\S+)", text)
    assert found, text
    return Path(found.group(1))


@pytest.mark.parametrize("words", [("timer",), ("early",)])
def test_a_crash_restores_the_terminal_and_says_why(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    reason = "the reason" if words == ("timer",) else "before the screen"
    with start(*words, env={"TMPDIR": str(tmp_path)}) as program:
        assert program.exit_code() == 1
        assert not program.in_alternate_screen
        lines = program.after_screen.split()
        assert reason in " ".join(lines)
        report = crash_file(" ".join(lines))
    assert "Traceback" in report.read_text()
    assert reason in report.read_text()
    assert report.stat().st_mode & 0o077 == 0


def test_a_crash_says_it_in_two_lines_and_all_of_it_when_asked() -> None:
    with start("timer") as program:
        program.exit_code()
        text = program.after_screen.strip()
        assert text.startswith("llmtop: stopped by an error: ValueError: the reason")
        assert "Traceback" not in text
        crash_file(text).unlink()
    with start("timer", env={"LLMTOP_DEBUG": "1"}) as program:
        assert program.exit_code() == 1
        assert "Traceback (most recent call last)" in program.after_screen


def test_a_panic_is_a_crash_too(tmp_path: Path) -> None:
    with start(env={"TMPDIR": str(tmp_path)}) as program:
        program.send("p")
        assert program.exit_code() == 1
        assert "gone wrong" in program.after_screen


def test_a_mistake_is_one_line_and_code_2() -> None:
    with start() as program:
        program.send("b")
        assert program.exit_code() == 2
        assert program.after_screen.strip() == "llmtop: llmtop.toml: no such key 'fsp'"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_the_app_with_the_terminal_restored(number: signal.Signals) -> None:
    with start() as program:
        program.signal(number)
        assert program.exit_code() == 128 + number
        assert restored(program)
        assert program.after_screen.strip() == ""


def test_a_terminal_that_is_closed_ends_the_app() -> None:
    with start() as program:
        program.hang_up()
        assert program.process.wait(timeout=20) in (129, 1)
        assert program.process.returncode == 129


def test_suspend_gives_the_terminal_back_and_resume_draws_everything() -> None:
    with start() as program:
        step(program, 1)
        program.settle(0.15)
        before = program.cells()
        program.send(b"\x1a")
        program.wait_until_stopped()
        program.screen.reset()
        program.signal(signal.SIGCONT)
        program.wait_for_text("count 1 bytes")
        program.wait_for(lambda: program.cells() == before)
        step(program, 2)
        program.send("q")
        assert program.exit_code() == 0


def test_a_stop_nobody_announced_is_survived() -> None:
    with start() as program:
        program.signal(signal.SIGSTOP)
        program.wait_for(lambda: psutil.Process(program.process.pid).status() == "stopped")
        program.screen.reset()
        program.signal(signal.SIGCONT)
        program.wait_for_text("count 0")
        step(program, 1)
        program.send("q")
        assert program.exit_code() == 0


def test_nothing_a_library_writes_reaches_the_screen() -> None:
    with start() as program:
        program.send("w")
        program.wait_for_text("count 1 bytes")
        program.send("q")
        assert program.exit_code() == 0
        assert b"NOISE" not in program.raw


def test_an_error_file_gets_the_log_and_the_screen_stays(tmp_path: Path) -> None:
    errors = tmp_path / "errors"
    with start(stderr=errors) as program:
        step(program, 1)
        program.send("w")
        program.wait_for_text("count 2 bytes")
        program.send("q")
        assert program.exit_code() == 0
        assert b"NOISE" not in program.raw
    assert "NOISE from C on 2" in errors.read_text()


def test_output_and_errors_to_files_still_draw(tmp_path: Path) -> None:
    with start(stderr=tmp_path / "e", stdout=tmp_path / "o", columns=70, rows=20) as program:
        step(program, 1)
        assert "╮" in program.text.splitlines()[1][68:]
        program.send("x")
        assert program.exit_code() == 1
    assert "the reason" in (tmp_path / "e").read_text()


def test_nothing_is_sent_while_nothing_changes() -> None:
    with start() as program:
        step(program, 1)
        program.settle(0.5)
        sent = len(program.raw)
        assert not program.pump(1.0)
        assert len(program.raw) == sent


def test_frames_are_marked_for_terminals_that_can_show_them_whole() -> None:
    with start() as program:
        program.send(b"\x1b[?2026;2$y")
        program.settle(0.2)
        before = len(program.raw)
        step(program, 1)
        program.settle(0.2)
        frames = bytes(program.raw[before:])
        assert frames.startswith(b"\x1b[?2026h")
        assert frames.endswith(b"\x1b[?2026l")
        assert frames.count(b"\x1b[?2026h") == frames.count(b"\x1b[?2026l")


def test_resize_and_back_draws_the_same() -> None:
    with start() as program:
        step(program, 1)
        program.settle(0.15)
        before = program.cells()
        program.resize(20, 5)
        program.settle(0.15)
        assert program.process.poll() is None
        program.resize(80, 24)
        program.wait_for(lambda: program.cells() == before)


def test_a_repaint_draws_over_what_another_program_wrote() -> None:
    with start() as program:
        step(program, 1)
        program.settle(0.15)
        before = program.cells()
        program.screen.reset()
        program.send("r")
        program.wait_for_text("count 1 bytes")
        program.wait_for(lambda: program.cells() == before)


@pytest.mark.parametrize(
    "env",
    [{}, {"COLORTERM": None}, {"NO_COLOR": "1"}],
    ids=["truecolor", "256", "none"],
)
def test_the_screen_is_the_one_textual_draws_for_less_than_half_the_bytes(
    env: dict[str, str | None],
) -> None:
    shown, sent = [], []
    for words in ((), ("plain",)):
        with start(*words, env=env) as program:
            program.settle(0.15)
            first = len(program.raw)
            for count in range(1, 9):
                step(program, count)
            program.settle(0.15)
            shown.append(program.cells())
            sent.append(len(program.raw) - first)
    assert shown[0] == shown[1]
    assert sent[0] < sent[1] / 2


def test_without_colour_there_is_no_colour() -> None:
    with start(env={"NO_COLOR": "1"}) as program:
        step(program, 1)
        program.settle(0.15)
        assert not re.search(rb"[\[;](38|48|3[0-7]|4[0-7]|9[0-7]);?[0-9;]*m", bytes(program.raw))


def test_256_colours_draw_dark_backgrounds_in_grey() -> None:
    with start(env={"COLORTERM": None}) as program:
        step(program, 1)
        used = {int(number) for number in re.findall(rb"48;5;(\d+)", bytes(program.raw))}
        assert used & set(range(232, 256))
        assert b";2;" not in program.raw


def test_a_locale_that_is_not_utf8_gets_plain_characters() -> None:
    with start(env={"LC_ALL": "C"}) as program:
        step(program, 1)
        program.settle(0.15)
        assert program.raw.isascii()
        assert "+---" in program.text


def test_no_terminal_at_all_is_said() -> None:
    done = subprocess.run(
        [sys.executable, SAMPLE],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,
        timeout=30,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("llmtop: no terminal")
    assert done.stdout == ""
