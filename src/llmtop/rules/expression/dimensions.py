"""What may be compared, added and multiplied, and which windows a function takes."""

from __future__ import annotations

from llmtop.rules.expression.catalogue import Function
from llmtop.rules.expression.tokens import Dimension, ExpressionError, Token
from llmtop.rules.expression.tree import Window


def window_fits(name: Token, function: Function, window: Window | None) -> None:
    """Check that a function has the window it needs, and none it does not take.

    Raises:
        ExpressionError: it has not.
    """
    if function.window == "must" and window is None:
        raise ExpressionError(f"{name.text} needs a window, as in {name.text}(loss, 5m)",
                              name.column)
    if function.window == "never" and window is not None:
        raise ExpressionError(f"{name.text} takes no window", name.column)


def same(left: Dimension, right: Dimension, sign: Token) -> None:
    """Check that two sides can be compared or added.

    Raises:
        ExpressionError: they measure different things.
    """
    if left and right and left != right:
        raise ExpressionError(f"{sign.text!r} between {left} and {right}", sign.column)


def product_of(sign: str, left: Dimension, right: Dimension) -> Dimension:
    """Return what a product or quotient measures, "" where that has no name here."""
    if sign == "/" and left == right and left:
        return "fraction"
    plain = ("", "fraction")
    if right in plain:
        return left if left not in plain else ("fraction" if right == left == "fraction" else "")
    return right if sign == "*" and left in plain else ""
