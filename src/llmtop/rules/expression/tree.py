"""What an expression is made of, once it is read and checked: frozen, typed, nothing to execute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from llmtop.rules.expression.tokens import Dimension

Comparison = Literal["<", "<=", ">", ">=", "==", "!="]
Operation = Literal["+", "-", "*", "/"]


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of a series: one of the two is set."""

    seconds: float | None = None
    points: int | None = None


@dataclass(frozen=True, slots=True)
class Number:
    """A number as written, in its base unit."""

    value: float
    dimension: Dimension


@dataclass(frozen=True, slots=True)
class Read:
    """A function of a series."""

    function: str
    metric: str
    """Canonical name, or a name as logged."""
    dimension: Dimension
    window: Window | None = None
    """None: all there is."""
    skip: Window | None = None
    """How much before now the window ends."""
    quantile: float = 0.0


@dataclass(frozen=True, slots=True)
class Fact:
    """Something known of a run itself."""

    name: str
    dimension: Dimension


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Two numbers made one."""

    sign: Operation
    left: Value
    right: Value
    dimension: Dimension


@dataclass(frozen=True, slots=True)
class Compare:
    """A condition."""

    sign: Comparison
    left: Value
    right: Value


@dataclass(frozen=True, slots=True)
class Absent:
    """Whether a series has nothing in a window, or was never there."""

    metric: str
    window: Window | None = None


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    condition: Condition


@dataclass(frozen=True, slots=True)
class Joined:
    """Two conditions."""

    word: Literal["and", "or"]
    left: Condition
    right: Condition


Value = Number | Read | Fact | Arithmetic
Condition = Compare | Absent | Not | Joined
Node = Number | Read | Fact | Arithmetic | Compare | Absent | Not | Joined
