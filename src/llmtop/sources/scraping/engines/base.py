"""How a table says which samples of an engine mean which metric.

A source of values is written as text: names without the engine's prefix, `+` between samples that
add up, and after a name, in braces, what its labels must be (a pattern; a label that is missing is
""). Of several texts the first counts that finds a sample on the page.

    Rule("requests_waiting", "gauge", ("num_requests_waiting + num_api_requests_waiting",))
    Rule("errors", "counter", ("request_success{finished_reason=error}",))
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

Kind = Literal["gauge", "counter", "histogram", "mean"]
How = Literal["sum", "max", "mean"]

_PICK = re.compile(r"([a-zA-Z0-9_:]+)(?:\{([^}]*)\})?")


@dataclass(frozen=True)
class Pick:
    """Samples of one name whose labels match."""

    name: str
    where: tuple[tuple[str, re.Pattern[str]], ...] = ()

    def takes(self, labels: dict[str, str]) -> bool:
        """Tell whether a sample's labels match."""
        return all(pattern.fullmatch(labels.get(label, "")) for label, pattern in self.where)


@dataclass(frozen=True)
class Rule:
    """One metric of the vocabulary and where an engine tells it."""

    metric: str
    """Its series' name."""
    kind: Kind
    """A histogram has `_bucket`, `_sum` and `_count`; a mean is one counter over another."""
    texts: tuple[str, ...]
    scale: float = 1.0
    """What a value is multiplied by to be in the metric's unit."""
    how: How = "sum"
    """What several engines on one page make of a gauge; a maximum has the mean beside it."""
    per: str = ""
    """Of a mean: the counter that is divided by."""
    least: float = float("-inf")
    """A gauge below is a sentinel and says nothing."""
    most: float = float("inf")
    """A gauge above is one, too."""
    by: str = ""
    """A label each of whose values is a series, named by it where the metric has a `*`."""
    exactly: Pick | None = None
    """Instead of texts."""

    @cached_property
    def choices(self) -> tuple[tuple[Pick, ...], ...]:
        """The texts as picks: one tuple a text, whose picks add up."""
        if self.exactly is not None:
            return ((self.exactly,),)
        return tuple(tuple(map(_pick, text.split(" + "))) for text in self.texts)

    @cached_property
    def divisor(self) -> tuple[Pick, ...]:
        """`per` as picks."""
        return tuple(map(_pick, self.per.split(" + "))) if self.per else ()


@dataclass(frozen=True)
class Engine:
    """One engine: how its pages are known and what they say."""

    name: str
    """As the engine calls itself."""
    prefixes: tuple[str, ...]
    """Of its samples; of two that say the same (old and new names on one page) the first counts."""
    rules: tuple[Rule, ...]
    split: str = ""
    """A label whose values are engines of different roles, each a run of its own."""
    titled: bool = False
    """The value of `split` is the name of the run, also where there is only one."""
    bare: tuple[str, ...] = ()
    """Names without a prefix that, all on one page, are this engine's too."""
    model_labels: tuple[str, ...] = ("model_name", "model")
    phase: str = "serve"
    lacks: dict[str, str] = field(default_factory=dict)
    """Metric -> why this engine does not tell it, in a line for its panel."""


def gauge(metric: str, *texts: str, how: How = "sum", scale: float = 1.0) -> Rule:
    """Return the rule of a gauge."""
    return Rule(metric, "gauge", texts, scale, how)


def share(metric: str, *texts: str, how: How = "max", scale: float = 1.0) -> Rule:
    """Return the rule of a gauge that is a part of a whole, 0..1; below zero it is not known."""
    return Rule(metric, "gauge", texts, scale, how, least=0.0)


def counter(metric: str, *texts: str, scale: float = 1.0) -> Rule:
    """Return the rule of something that only grows, whatever the page declares it to be."""
    return Rule(metric, "counter", texts, scale)


def histogram(metric: str, *texts: str, scale: float = 1.0) -> Rule:
    """Return the rule of a histogram."""
    return Rule(metric, "histogram", texts, scale)


def mean(metric: str, text: str, per: str, scale: float = 1.0) -> Rule:
    """Return the rule of the mean of what was counted between two looks."""
    return Rule(metric, "mean", (text,), scale, per=per)


def _pick(text: str) -> Pick:
    found = _PICK.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no name with labels in braces")
    pairs = [pair.partition("=") for pair in (found[2] or "").split(",") if pair]
    return Pick(found[1], tuple((label, re.compile(pattern)) for label, _, pattern in pairs))
