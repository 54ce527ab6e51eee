"""Which format reads a line, by what is in it; and what is said of lines that none reads."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from llmtop.formats import detect
from llmtop.formats.base import Item, LineFormat, Note, Points
from llmtop.formats.clean import clean
from llmtop.formats.detect import Chooser, Text
from llmtop.formats.trouble import Trouble


class Reader:
    """Reads "<word> <number>"."""

    def __init__(self, word: str) -> None:
        self.word = word

    def read(self, line: str) -> Iterable[Item] | None:
        first, _, rest = line.partition(" ")
        return [Points({"loss": float(rest)}, 1)] if first == self.word else None

    def end(self) -> Iterable[Item]:
        return ()


def known(word: str, generic: bool = False) -> LineFormat:
    return LineFormat(word, word, f"{word} 1", (word,), lambda: Reader(word), generic=generic)


FORMATS = (known("alpha"), known("beta"), known("any", generic=True))


def names(text: Text) -> list[str]:
    return [chosen.name for chosen, item in text.items if chosen and isinstance(item, Points)]


def test_lines_go_to_the_format_that_knows_them() -> None:
    text = Chooser(FORMATS).read("alpha 1\nnothing\nbeta 2\r\nalpha 3\n")
    assert sorted(names(text)) == ["alpha", "alpha", "beta"]
    assert list(text.rest) == ["nothing"]
    assert text.lines == 4


def test_generic_points_wait_until_the_log_is_settled() -> None:
    chooser = Chooser(FORMATS)
    assert names(chooser.read("any 1\nany 2\n")) == []
    assert names(chooser.settle()) == ["any", "any"]
    assert names(chooser.read("any 3\n")) == ["any"]


def test_generic_points_are_dropped_when_a_tool_is_recognised() -> None:
    chooser = Chooser(FORMATS)
    assert names(chooser.read("any 1\n")) == []
    assert names(chooser.read("alpha 1\nany 2\n")) == ["alpha"]
    assert names(chooser.end()) == []


def test_generic_points_are_believed_after_a_long_preamble() -> None:
    chooser = Chooser(FORMATS)
    text = chooser.read("any 1\n" + "x\n" * detect.HELD_LINES)
    assert names(text) == ["any"]


def test_a_generic_format_that_the_user_names_is_believed_at_once() -> None:
    assert names(Chooser(FORMATS[2:], forced=True).read("any 1\n")) == ["any"]


def test_overwritten_pieces_are_read_and_not_kept() -> None:
    text = Chooser(FORMATS).read("10%\ralpha 1\r20%\r30%\nend\n")
    assert names(text) == ["alpha"]
    assert list(text.rest) == ["30%", "end"]


@given(st.binary(max_size=300))
def test_cleaned_text_has_no_control_characters(data: bytes) -> None:
    assert not set(clean(data)) & {chr(code) for code in range(32)} - {"\t", "\n", "\r"}


def test_clean_keeps_the_text_between_sequences() -> None:
    data = "\x1b[38;2;1;2;3mstep\x1b[0m: \x1b]8;;x\x1b\\1\x1b]8;;\x1b\\ \x1b(B▇".encode()
    assert clean(data) == "step: 1 ▇"


def said(*lines: str) -> list[str]:
    trouble, notes = Trouble(), []
    for line in lines:
        note = trouble.read(line)
        if isinstance(note, Note):
            notes.append(note.text)
    return notes


def test_a_traceback_is_its_last_line() -> None:
    frames = ['  File "a.py", line 1, in f', "    f()", "", "    ^^^"]
    assert said("Traceback (most recent call last):", *frames, "ValueError: bad", "after") == [
        "ValueError: bad"]
    rank = "[rank3]: "
    lines = (rank + "Traceback (most recent call last):", *(rank + line for line in frames),
             rank + "KeyboardInterrupt")
    assert said(*lines) == ["KeyboardInterrupt"]


def test_the_same_error_of_every_rank_is_said_once() -> None:
    assert said(*["RuntimeError: CUDA out of memory"] * 8) == ["RuntimeError: CUDA out of memory"]


def test_words_about_errors_are_no_errors() -> None:
    assert said("MSE Error rate 0.5", "no errors", "on_error: ignore", "ErrorFeedback=1") == []
