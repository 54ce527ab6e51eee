"""Text -> checked tree, by recursive descent: every error names its column."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from llmtop import metrics
from llmtop.errors import nearest
from llmtop.rules.expression.catalogue import DIMENSIONS, FACTS, FUNCTIONS, Function
from llmtop.rules.expression.dimensions import product_of, same, window_fits
from llmtop.rules.expression.tokens import Dimension, ExpressionError, Token, tokens
from llmtop.rules.expression.tree import (
    Absent,
    Arithmetic,
    Compare,
    Comparison,
    Condition,
    Fact,
    Joined,
    Node,
    Not,
    Number,
    Operation,
    Read,
    Value,
    Window,
)

MAX_DEPTH = 40
"""Parentheses in parentheses: far more than is readable, far less than Python's stack."""
MAX_POINTS = 1 << 16
"""Points of a window: what the store keeps of a distribution."""
MAX_TERMS = 200
"""Operations in a row: evaluating them recurses."""
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
NUMBERS = (Number, Read, Fact, Arithmetic)
WORDS = ("and", "or", "not")

_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class Expression:
    """A condition as written, and as a tree."""

    text: str
    root: Condition
    reads: tuple[str, ...]
    """The metrics it asks for."""
    timed: bool
    """It can change though no new point came."""

    @property
    def subject(self) -> Value:
        """The left side of the first comparison: what an alert shows as its value."""
        return next((node.left for node in walk(self.root) if isinstance(node, Compare)),
                    Number(float("nan"), ""))


def parse(text: str) -> Expression:
    """Return the condition that `text` says.

    Raises:
        ExpressionError: it is not one; the text names the column and the nearest right word.
    """
    parser = _Parser(tokens(text))
    root = parser.either()
    parser.end()
    if isinstance(root, NUMBERS):
        raise ExpressionError("a number is not a condition; compare it, as in loss > 5",
                              parser.last)
    found = list(walk(root))
    reads = tuple(dict.fromkeys(n.metric for n in found if isinstance(n, (Read, Absent))))
    return Expression(text, root, reads, any(map(_timed, found)))


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and all that is in it, from left to right."""
    yield node
    if isinstance(node, (Arithmetic, Compare, Joined)):
        yield from walk(node.left)
        yield from walk(node.right)
    elif isinstance(node, Not):
        yield from walk(node.condition)


def _timed(node: Node) -> bool:
    if isinstance(node, Read):
        return node.function == "age" or bool(node.window and node.window.seconds is not None)
    if isinstance(node, Absent):
        return node.window is not None
    return isinstance(node, Fact)


class _Parser:
    def __init__(self, words: list[Token]) -> None:
        self._words, self._at, self._depth, self._terms = words, 0, 0, 0
        self.last = 0

    @property
    def _now(self) -> Token:
        return self._words[self._at]

    def _next(self) -> Token:
        token = self._now
        self._at += token.kind != "end"
        self.last = token.column
        return token

    def _took(self, *texts: str) -> Token | None:
        token = self._now
        if token.text in texts and token.kind in ("sign", "name"):
            return self._next()
        return None

    def _need(self, text: str, why: str) -> None:
        if self._took(text) is None:
            raise ExpressionError(f"{text!r} is missing {why}", self._now.column)

    def _count(self, column: int) -> None:
        self._terms += 1
        if self._terms > MAX_TERMS:
            raise ExpressionError(f"more than {MAX_TERMS} operations", column)

    def end(self) -> None:
        """Refuse what is left over."""
        token = self._now
        if token.kind == "end":
            return
        near = nearest(token.text, WORDS) if token.kind == "name" else ""
        if token.kind == "sign" and token.text in COMPARISONS:
            near = "; a second comparison needs and"
        raise ExpressionError(f"{token.text!r} is one too many{near}", token.column)

    def either(self) -> Node:
        left = self._both()
        while word := self._took("or"):
            self._count(word.column)
            left = Joined("or", self._condition(left, word), self._condition(self._both(), word))
        return left

    def _both(self) -> Node:
        left = self._opposite()
        while word := self._took("and"):
            self._count(word.column)
            right = self._opposite()
            left = Joined("and", self._condition(left, word), self._condition(right, word))
        return left

    def _opposite(self) -> Node:
        word = self._took("not")
        if word is None:
            return self._comparison()
        self._deeper(word.column)
        found = Not(self._condition(self._opposite(), word))
        self._depth -= 1
        return found

    def _comparison(self) -> Node:
        left = self._sum()
        sign = self._took(*COMPARISONS)
        if sign is None:
            return left
        right = self._number(self._sum(), sign)
        left = self._number(left, sign)
        same(left.dimension, right.dimension, sign)
        return Compare(cast(Comparison, sign.text), left, right)

    def _sum(self) -> Node:
        left = self._product()
        while sign := self._took("+", "-"):
            self._count(sign.column)
            right, left = self._number(self._product(), sign), self._number(left, sign)
            same(left.dimension, right.dimension, sign)
            left = Arithmetic(cast(Operation, sign.text), left, right,
                              left.dimension or right.dimension)
        return left

    def _product(self) -> Node:
        left = self._unary()
        while sign := self._took("*", "/"):
            self._count(sign.column)
            right, left = self._number(self._unary(), sign), self._number(left, sign)
            kind = product_of(sign.text, left.dimension, right.dimension)
            left = Arithmetic(cast(Operation, sign.text), left, right, kind)
        return left

    def _unary(self) -> Node:
        sign = self._took("-")
        if sign is None:
            return self._atom()
        self._deeper(sign.column)
        value = self._number(self._unary(), sign)
        self._depth -= 1
        return Arithmetic("-", Number(0.0, value.dimension), value, value.dimension)

    def _atom(self) -> Node:
        token = self._next()
        if token.kind == "number":
            return Number(token.value, token.dimension)
        if token.text == "(" and token.kind == "sign":
            self._deeper(token.column)
            inner = self.either()
            self._need(")", "to close the parenthesis")
            self._depth -= 1
            return inner
        if token.kind == "quoted":
            return self._series("last", token)
        if token.kind == "name" and token.text not in WORDS:
            if self._took("("):
                return self._call(token)
            if token.text in FACTS:
                return Fact(token.text, FACTS[token.text])
            return self._series("last", token)
        if token.kind == "points":
            raise ExpressionError("points are the length of a window", token.column)
        what = f"before {token.text!r}" if token.text else "at the end"
        raise ExpressionError(f"a number, a metric or a function is missing {what}", token.column)

    def _call(self, name: Token) -> Node:
        percentile = _PERCENTILE.fullmatch(name.text)
        known = FUNCTIONS.get(name.text)
        if known is None and percentile is None and name.text != "absent":
            near = nearest(name.text, (*FUNCTIONS, "absent", "p50", "p90", "p99"))
            raise ExpressionError(f"no function {name.text!r}{near}", name.column)
        series = self._next()
        if series.kind not in ("name", "quoted"):
            raise ExpressionError(f"{name.text} needs a metric first", series.column)
        window = self._window() if self._took(",") else None
        skip = self._window() if self._took(",") else None
        if skip and window and (skip.seconds is None) != (window.seconds is None):
            raise ExpressionError("window and skip must both be times or both points", self.last)
        self._need(")", f"after what {name.text} is given")
        window_fits(name, known or Function(""), window)
        if name.text == "absent":
            return Absent(self._series("last", series).metric, window)
        quantile = float(percentile[1]) / 100 if percentile and known is None else 0.0
        function = name.text if known else "quantile"
        return self._series(function, series, window, skip, quantile)

    def _window(self) -> Window:
        token = self._next()
        if token.kind == "number" and token.dimension == "seconds" and token.value > 0:
            return Window(seconds=token.value)
        if token.kind == "points" and 1 <= token.value <= MAX_POINTS and token.value % 1 == 0:
            return Window(points=int(token.value))
        raise ExpressionError(f"a window is a time (5m) or 1 to {MAX_POINTS} points (128 points)",
                              token.column)

    def _series(
        self, function: str, name: Token, window: Window | None = None,
        skip: Window | None = None, quantile: float = 0.0,
    ) -> Read:  # fmt: skip
        metric = metrics.find(name.text)
        if metric is None and name.kind == "name":
            near = nearest(name.text, (*metrics.BY_NAME, *FACTS))
            raise ExpressionError(
                f"no metric {name.text!r}{near}; a name as logged stands in quotes", name.column)
        named = metric is not None and (name.kind == "name" or name.text == metric.name)
        own: Dimension = DIMENSIONS.get(metric.unit, "") if metric else ""
        asked = FUNCTIONS[function].dimension if function in FUNCTIONS else "same"
        return Read(function, metric.name if named and metric else name.text,
                    own if asked == "same" else asked, window, skip, quantile)

    def _number(self, node: Node, by: Token) -> Value:
        if isinstance(node, NUMBERS):
            return node
        raise ExpressionError(f"{by.text!r} needs numbers, not a condition", by.column)

    def _condition(self, node: Node, by: Token) -> Condition:
        if isinstance(node, NUMBERS):
            raise ExpressionError(f"{by.text!r} needs conditions, such as loss > 5", by.column)
        return node

    def _deeper(self, column: int) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ExpressionError(f"nested more than {MAX_DEPTH} deep", column)
