"""Text -> words, numbers with their units, and signs, each with its column."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from llmtop.errors import ConfigError, nearest

MAX_LENGTH = 2000
"""Characters of one expression: twenty lines; more is not typed by hand."""

Dimension = Literal["", "seconds", "bytes", "fraction"]
"""What a number measures; "" is a plain number, or something that is not known."""
Kind = Literal["number", "points", "name", "quoted", "sign", "end"]


class ExpressionError(ConfigError):
    """An expression that cannot be used; the text names the column, counted from 1."""

    def __init__(self, text: str, column: int) -> None:
        super().__init__(f"column {column + 1}: {text}")
        self.column = column


@dataclass(frozen=True, slots=True)
class Token:
    """One word of an expression."""

    kind: Kind
    text: str
    column: int
    """From 0."""
    value: float = 0.0
    dimension: Dimension = ""


UNITS: dict[str, tuple[float, Dimension]] = {
    "us": (1e-6, "seconds"), "ms": (1e-3, "seconds"), "s": (1.0, "seconds"),
    "m": (60.0, "seconds"), "min": (60.0, "seconds"), "h": (3600.0, "seconds"),
    "d": (86_400.0, "seconds"),
    "B": (1.0, "bytes"), "kB": (1e3, "bytes"), "MB": (1e6, "bytes"), "GB": (1e9, "bytes"),
    "TB": (1e12, "bytes"), "KiB": (2.0**10, "bytes"), "MiB": (2.0**20, "bytes"),
    "GiB": (2.0**30, "bytes"), "TiB": (2.0**40, "bytes"),
    "%": (0.01, "fraction"), "k": (1e3, ""), "M": (1e6, ""),
}  # fmt: skip
POINTS = ("point", "points")

_NUMBER = re.compile(r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_UNIT = re.compile(r"\s*([A-Za-z]+|%)")
_NAME = re.compile(r"p\d{1,2}\.\d+(?=\s*\()|[A-Za-z_][A-Za-z0-9_]*")
_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_SIGN = re.compile(r"<=|>=|==|!=|[<>()+\-*/,]")
_SPACE = re.compile(r"\s*")


def tokens(text: str) -> list[Token]:
    """Return the words of an expression, with one of kind "end" behind them.

    Raises:
        ExpressionError: it is too long, or something in it is no word.
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"longer than {MAX_LENGTH} characters", MAX_LENGTH)
    found: list[Token] = []
    at = 0
    while True:
        space = _SPACE.match(text, at)
        at = space.end() if space else at
        if at >= len(text):
            found.append(Token("end", "", at))
            return found
        token, at = _token(text, at)
        found.append(token)


def seconds_of(text: str) -> float:
    """Return a length of time such as "5m" in seconds.

    Raises:
        ExpressionError: it is not a number and a unit of time.
    """
    words = tokens(text)
    if len(words) == 2 and words[0].kind == "number" and (
        words[0].dimension == "seconds" or not words[0].value
    ):
        return words[0].value
    raise ExpressionError(f"{text!r} is not a length of time; write 30s, 5m or 1h", 0)


def _token(text: str, at: int) -> tuple[Token, int]:
    if number := _NUMBER.match(text, at):
        return _measured(text, at, number.end())
    if name := _NAME.match(text, at):
        return Token("name", name[0], at), name.end()
    if quoted := _QUOTED.match(text, at):
        word = quoted[1] if quoted[1] is not None else quoted[2]
        if not word:
            raise ExpressionError("an empty name", at)
        return Token("quoted", word, at), quoted.end()
    if sign := _SIGN.match(text, at):
        return Token("sign", sign[0], at), sign.end()
    if text[at] in "'\"":
        raise ExpressionError("the quote is not closed", at)
    hint = {"=": "; write ==", "&": "; write and", "|": "; write or", "!": "; write not"}
    raise ExpressionError(f"{text[at]!r} is nothing here{hint.get(text[at], '')}", at)


def _measured(text: str, start: int, end: int) -> tuple[Token, int]:
    """Return a number with the unit that follows it, if one does."""
    value = float(text[start:end])
    unit = _UNIT.match(text, end)
    if unit is None:
        return Token("number", text[start:end], start, value), end
    word = unit[1]
    whole = text[unit.end() : unit.end() + 1]
    if whole.isalnum() or whole == "_":
        word += re.match(r"\w*", text[unit.end() :])[0]  # type: ignore[index]  # "" matches
    if word in POINTS:
        return Token("points", text[start : unit.end()], start, value), unit.end()
    if word in UNITS:
        factor, dimension = UNITS[word]
        return Token("number", text[start : unit.end()], start, value * factor, dimension), (
            unit.end())
    if unit.start(1) > end:
        return Token("number", text[start:end], start, value), end
    near = nearest(word, (*UNITS, *POINTS))
    raise ExpressionError(f"no unit {word!r}{near}", unit.start(1))
