from __future__ import annotations

from codecs import getincrementaldecoder
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.drivers import linux_driver

from llmtop.ui.terminal.keyboard import EndOfInputError, TerminalDecoder, guard_decoder


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (bytes([32, 200, 40]), "\x1b[<0;168;8M"),
        (bytes([34, 33, 33]), "\x1b[<2;1;1M"),
        (bytes([35, 200, 40]), "\x1b[<0;168;8m"),
        (bytes([67, 250, 113]), "\x1b[<35;218;81M"),
        (bytes([96, 160, 40]), "\x1b[<64;128;8M"),
    ],
)
def test_an_old_mouse_report_becomes_a_modern_one(report: bytes, expected: str) -> None:
    assert TerminalDecoder().decode(b"\x1b[M" + report + b"q") == expected + "q"


@given(st.binary(max_size=40), st.integers(0, 40))
def test_any_bytes_decode_and_cuts_do_not_matter(data: bytes, cut: int) -> None:
    whole, pieces = TerminalDecoder(), TerminalDecoder()
    expected = whole.decode(data, final=True)
    first = pieces.decode(data[:cut]) if data[:cut] else ""
    assert first + pieces.decode(data[cut:], final=True) == expected


def test_a_report_cut_in_two_is_one_report() -> None:
    decoder = TerminalDecoder()
    assert decoder.decode(b"a\x1b[M" + bytes([32])) == "a"
    assert decoder.decode(bytes([200, 40]) + b"q") == "\x1b[<0;168;8Mq"


@given(st.text(max_size=30).filter(lambda text: "\x1b[M" not in text))
def test_text_is_itself(text: str) -> None:
    assert TerminalDecoder().decode(text.encode("utf-8", "replace"), final=True) == text.encode(
        "utf-8", "replace"
    ).decode("utf-8")


def test_an_escape_key_is_not_held_back() -> None:
    assert TerminalDecoder().decode(b"\x1b") == "\x1b"
    assert TerminalDecoder().decode(b"\x1b[") == "\x1b["


def test_the_end_of_input_is_told_and_the_final_call_is_not_one() -> None:
    with pytest.raises(EndOfInputError):
        TerminalDecoder().decode(b"")
    assert TerminalDecoder().decode(b"", final=True) == ""


def test_the_guard_goes_in_and_out() -> None:
    undo = guard_decoder(linux_driver)
    assert undo is not None
    try:
        assert isinstance(linux_driver.getincrementaldecoder("utf-8")(), TerminalDecoder)
    finally:
        undo()
    assert linux_driver.getincrementaldecoder is getincrementaldecoder


def test_a_driver_that_decodes_another_way_is_left_alone() -> None:
    changed = ModuleType("changed")
    assert guard_decoder(changed) is None
    assert not hasattr(changed, "getincrementaldecoder")
