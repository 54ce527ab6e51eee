from __future__ import annotations

import os
import pty
import threading

import pytest

from llmtop.ui.terminal.files import PENDING_BYTES, TerminalOutput


@pytest.fixture
def ends() -> tuple[int, int]:
    """A pipe: where to read, where to write."""
    return os.pipe()


def test_bytes_are_counted_when_they_are_sent(ends: tuple[int, int]) -> None:
    output = TerminalOutput(ends[1])
    output.write("╭─")
    assert output.bytes_written == 0
    output.flush()
    assert os.read(ends[0], 99) == "╭─".encode()
    assert output.bytes_written == 6


def test_what_is_pending_is_bounded(ends: tuple[int, int]) -> None:
    output = TerminalOutput(ends[1])
    got = bytearray()

    def take() -> None:
        while data := os.read(ends[0], 1 << 16):
            got.extend(data)

    reader = threading.Thread(target=take)
    reader.start()
    output.write("x" * (PENDING_BYTES + 1))
    assert output.bytes_written == PENDING_BYTES + 1
    os.close(ends[1])
    reader.join()
    assert len(got) == PENDING_BYTES + 1


def test_a_terminal_that_does_not_block_gets_everything(ends: tuple[int, int]) -> None:
    os.set_blocking(ends[1], False)
    output = TerminalOutput(ends[1])
    text = "⣿" * 100_000
    writer = threading.Thread(target=lambda: (output.write(text), output.flush()))
    writer.start()
    got = bytearray()
    while len(got) < 3 * len(text):
        got.extend(os.read(ends[0], 1 << 16))
    writer.join()
    assert got.decode() == text


def test_a_terminal_that_is_gone_is_not_an_error() -> None:
    leader, follower = pty.openpty()
    output = TerminalOutput(follower)
    assert output.isatty()
    os.close(leader)
    output.write("text")
    output.flush()
    assert output.gone
    output.write("more")
    output.flush()
    assert output.bytes_written == 0


def test_lone_surrogates_and_plain_terminals_get_stand_ins(ends: tuple[int, int]) -> None:
    for unicode, expected in ((True, b"\xe2\x94\x82 ?"), (False, b"| ?")):
        output = TerminalOutput(ends[1], unicode=unicode)
        output.write("│ \udc80")
        output.flush()
        assert os.read(ends[0], 99) == expected
