"""What series are called on a page for Prometheus: llmtop_NAME_UNIT, in base units.

A metric of the vocabulary has one name however it was logged; any other keeps its own, with what
Prometheus does not take folded into "_".
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from llmtop import metrics
from llmtop.quantities import convert

NAMESPACE = "llmtop_"
OWN = ("run_", "rank_", "source_", "server_", "exporter_", "build_", "gpu_info", "gpu_up")
"""Beginnings of the names of what llmtop says itself; a logged name that begins so is put behind
LOGGED."""
LOGGED = "logged_"
RESERVED = re.compile(r"_(?:total|count|sum|bucket|created|info|gcount|gsum)$")
"""Endings that mean a part of a family."""


class Base(NamedTuple):
    """A unit as Prometheus has it."""

    suffix: str
    factor: float = 1.0
    """What a value in the unit as shown is multiplied by."""
    tails: tuple[str, ...] = ()
    """Last words of names that say the unit in another spelling."""


BASES = {
    "": Base(""), "nats": Base(""),
    "seconds": Base("seconds", tails=("ms", "us", "ns", "sec", "secs", "minutes", "hours")),
    "bytes": Base("bytes", tails=("kb", "mb", "gb", "tb", "kib", "mib", "gib", "tib")),
    "ratio": Base("ratio"), "fraction": Base("ratio"),
    "percent": Base("ratio", 0.01, ("percent", "percentage", "pct", "perc")),
    "Hz": Base("hertz", tails=("hz",)),
    "TFLOP/s": Base("flops_per_second", 1e12, ("tflops",)),
    "J/token": Base("joules_per_token"),
}  # fmt: skip
"""Unit as shown -> unit as exposed. A loss in nats has no suffix, as it has none on the screen:
what one logs as loss need not be in nats."""


class Exposed(NamedTuple):
    """How a series is exposed."""

    family: str
    """Its name, without the ending of a counter."""
    unit: str
    """The unit the name ends in, "" if it ends in none."""
    factor: float
    """What brings a logged value into that unit."""
    help: str
    """What it is, in a few words."""


@lru_cache(maxsize=1 << 14)
def expose(name: str, unit: str) -> Exposed:
    """Return how a series is exposed that was logged under `name`, in `unit` where that is told."""
    known = metrics.find(name)
    factor, shown = convert(name, unit or (known.unit if known else ""))
    base = BASES.get(shown) or Base(_words(shown))
    words = known.name.removeprefix(NAMESPACE) if known else _words(name)
    words = RESERVED.sub("_value", words.removesuffix("_total"))
    if not known and words.startswith(OWN):
        words = LOGGED + words
    for tail in base.tails:
        if words == tail or words.endswith(f"_{tail}"):
            words = words.removesuffix(tail).rstrip("_")
            break
    suffix = base.suffix
    if suffix and not re.search(rf"(?:^|_){suffix}$", words):
        if re.search(rf"(?:^|_){suffix}_", words):
            # "tokens_per_second_per_gpu" says its unit in the middle.
            suffix = ""
        else:
            words = f"{words}_{suffix}".lstrip("_")
    title = known.title if known else f"logged as {name!r}"
    return Exposed(NAMESPACE + words, suffix, factor * base.factor, title)


def device(name: str) -> tuple[dict[str, str], str]:
    """Return the device that a series' name begins with, as labels, and the rest of the name."""
    labels = {}
    head, mark, rest = name.partition("/")
    while mark and metrics.DEVICE.fullmatch(head):
        labels["gpu" if head.startswith("gpu") else "mig"] = head.lstrip("gpumi")
        name = rest
        head, mark, rest = name.partition("/")
    return labels, name


def _words(text: str) -> str:
    """Return a name in lower case, its words joined by "_"; "per" for a stroke before a unit."""
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text)
    text = re.sub(r"/s$", " per second", text)
    return metrics.fold(text) or "unnamed"
