"""The text the model reads: this package's own source, the one text that is always there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Tokens = NDArray[np.int64]

VOCABULARY = "\n" + "".join(map(chr, range(32, 127)))
"""One token a character; what is not printable ASCII is left out of the text."""
HELD_OUT = 0.1
"""Share of the text, its end, that is kept for evaluation."""


def read_text() -> str:
    """Return the package's Python files end to end, in order of their names."""
    package = Path(__file__).parent.parent
    return "".join(path.read_text(encoding="utf-8") for path in sorted(package.rglob("*.py")))


def encode(text: str) -> Tokens:
    """Return the tokens of a text, shape (n,)."""
    codes = np.frombuffer(text.encode("ascii", "ignore"), np.uint8).astype(np.int64)
    codes = codes[(codes == 10) | ((codes >= 32) & (codes < 127))]
    return np.where(codes == 10, 0, codes - 31)


def decode(tokens: Tokens) -> str:
    """Return the text of tokens."""
    return "".join(VOCABULARY[token] for token in tokens.tolist())


def split(tokens: Tokens) -> tuple[Tokens, Tokens]:
    """Return what is trained on and what is held out."""
    at = int(len(tokens) * (1 - HELD_OUT))
    return tokens[:at], tokens[at:]


def windows(
    tokens: Tokens, count: int, length: int, random: np.random.Generator
) -> tuple[Tokens, Tokens]:
    """Return random stretches and what follows each of their tokens, both (count, length)."""
    start = random.integers(0, len(tokens) - length, count)
    at = start[:, None] + np.arange(length)
    return tokens[at], tokens[at + 1]
