"""Text of a /metrics page -> samples: Prometheus text format and OpenMetrics.

A server's next page names the same samples, so what stands before the values is compared with the
last page, then looked up line by line, and only parsed when it is new: a line takes 0.4 us where a
parser that starts anew takes 20. What is not of the format is skipped and counted; nothing here
raises but `NotMetricsError`, for a body that is something else.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass, field

MAX_LINES = 1 << 19
"""Lines of one page that are read: ten times a page of 5 MB."""
SPARE_NAMES = 4096
"""Names remembered beyond twice those on the last page: samples that come and go."""
MAX_LABELS = 64
"""Labels of one sample; Prometheus's own limit, where one is set, is 30."""

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:.\-]*"
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_NUMBER = r"[^\s#]+"
_LINE = re.compile(
    rf"[ \t]*(?P<head>(?P<name>{_NAME})?[ \t]*(?:\{{(?P<labels>(?:[^\"}}]|{_QUOTED})*)\}})?)"
    rf"[ \t]*(?P<value>{_NUMBER})(?P<rest>[ \t]+-?[0-9][^\s#]*)?[ \t]*(?P<exemplar>#.*)?"
)
_LABEL = re.compile(rf'[ \t]*({_NAME}|{_QUOTED})[ \t]*(?:=[ \t]*({_QUOTED})[ \t]*)?(,|$)')
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", '"': '"', "\\": "\\"}
_PLAIN = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_WORDS = {
    "nan": float("nan"), "inf": float("inf"), "+inf": float("inf"), "-inf": float("-inf"),
    "infinity": float("inf"), "+infinity": float("inf"), "-infinity": float("-inf"),
}  # fmt: skip


class NotMetricsError(ValueError):
    """A body that is no page of metrics; the text says what it is instead."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One sample's identity; the same object on every page of one `Reader`."""

    name: str
    labels: dict[str, str]


@dataclass(frozen=True, slots=True)
class Page:
    """What one page says."""

    samples: list[Sample]
    values: list[float]
    """Beside `samples`; NaN and infinities are kept."""
    types: dict[str, str]
    """Family -> the kind it is declared to be, as far as it is declared."""
    bad: int
    """Lines that are not of the format, and samples that came twice."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """A page without its values."""

    heads: list[str]
    """What stands before the last space of each line."""
    places: list[int]
    """The lines that are samples."""
    samples: list[Sample]
    types: dict[str, str]


@dataclass(slots=True)
class Reader:
    """Reads one server's pages, one after the other."""

    _heads: dict[str, Sample] = field(default_factory=dict)
    """Text before the value -> sample."""
    _known: dict[tuple[str, frozenset[tuple[str, str]]], Sample] = field(default_factory=dict)
    _comments: dict[str, tuple[str, str] | None] = field(default_factory=dict)
    _last: _Shape | None = None

    def read(self, text: str) -> Page:
        """Return the samples of a page.

        Raises:
            NotMetricsError: it is HTML, JSON, or nothing in it is a sample.
        """
        text = unwrapped(text)
        lines = text.split("\n", MAX_LINES)
        parts = [line.rpartition(" ") for line in lines]
        last = self._last
        if last is not None and [part[0] for part in parts] == last.heads:
            numbers = [parts[place][2] for place in last.places]
            with suppress(ValueError):
                if "_" not in "".join(numbers):
                    return Page(last.samples, list(map(float, numbers)), last.types, 0)
        return self._line_by_line(lines, parts)

    def _line_by_line(self, lines: list[str], parts: list[tuple[str, str, str]]) -> Page:
        heads, comments = self._heads, self._comments
        samples: list[Sample] = []
        values: list[float] = []
        types: dict[str, str] = {}
        places: list[int] | None = []
        bad = 0
        if len(lines) > MAX_LINES:
            bad += 1
            lines.pop()
        for place, line in enumerate(lines):
            if line[:1] == "#":
                if line in comments:
                    kind = comments[line]
                else:
                    kind = comments[line] = _kind(line)
                if kind is not None:
                    types[kind[0]] = kind[1]
                continue
            head, _, number = parts[place]
            sample = heads.get(head)
            if sample is not None and "_" not in number:
                try:
                    values.append(float(number))
                except ValueError:
                    bad += 1
                    continue
                samples.append(sample)
                if places is not None:
                    places.append(place)
            elif line and not line.isspace():
                found = self._slowly(line)
                if found is None:
                    bad += 1
                    continue
                samples.append(found[0])
                values.append(found[1])
                if heads.get(head) is not found[0]:
                    # With a timestamp or an exemplar more than the value changes.
                    places = None
                elif places is not None:
                    places.append(place)
        if bad and not samples:
            raise NotMetricsError("not a page of metrics")
        if len(set(samples)) < len(samples):
            samples, values, twice = _once(samples, values)
            bad += twice
        self._last = None
        if places is not None and not bad:
            self._last = _Shape([part[0] for part in parts], places, samples, types)
        self._forget(len(samples), len(types))
        return Page(samples, values, types, bad)

    def _slowly(self, line: str) -> tuple[Sample, float] | None:
        found = _LINE.fullmatch(line.rstrip("\r"))
        if found is None:
            return None
        value = _number(found["value"])
        labels = _labels(found["labels"] or "")
        if value is None or labels is None:
            return None
        name = found["name"] or labels.pop("", "")
        if not name or "" in labels:
            return None
        sample = self._sample(name, labels)
        if not found["rest"] and not found["exemplar"]:
            self._heads[line.rpartition(" ")[0]] = sample
        return sample, value

    def _sample(self, name: str, labels: dict[str, str]) -> Sample:
        key = name, frozenset(labels.items())
        sample = self._known.get(key)
        if sample is None:
            sample = self._known[key] = Sample(name, labels)
        return sample

    def _forget(self, samples: int, types: int) -> None:
        """Begin anew when far more was seen than is on a page: names that change every time."""
        if len(self._known) > 2 * samples + SPARE_NAMES or len(self._heads) > (
            2 * samples + SPARE_NAMES
        ):
            self._known.clear()
            self._heads.clear()
            self._last = None
        if len(self._comments) > 4 * types + SPARE_NAMES:
            self._comments.clear()


def unwrapped(text: str) -> str:
    """Return the page in a body: some builds of llama.cpp send it as one JSON string.

    Raises:
        NotMetricsError: it is HTML or JSON.
    """
    text = text.removeprefix("\ufeff")
    first = text[:64].lstrip()[:1]
    if first == "<":
        raise NotMetricsError("not a page of metrics but HTML")
    if first and first in '"[{':
        try:
            inside = json.loads(text)
        except (ValueError, RecursionError):
            return text
        if not isinstance(inside, str):
            raise NotMetricsError("not a page of metrics but JSON")
        return inside
    return text


def _kind(line: str) -> tuple[str, str] | None:
    """Return family and kind of a TYPE line, None for another comment."""
    words = line.split(None, 3)
    return (words[2], words[3].strip()) if words[1:2] == ["TYPE"] and len(words) == 4 else None


def _number(text: str) -> float | None:
    if _PLAIN.fullmatch(text):
        return float(text)
    return _WORDS.get(text.lower())


def _labels(text: str) -> dict[str, str] | None:
    """Return labels, a quoted metric name under ""; None where they are not of the format."""
    labels: dict[str, str] = {}
    at, end = 0, len(text.rstrip(" \t"))
    while at < end:
        found = _LABEL.match(text, at, end)
        if found is None or len(labels) >= MAX_LABELS:
            return None
        name, value = found[1], found[2]
        if value is None:
            name, value = "", name
        elif name[0] == '"':
            name = _unescaped(name)
        if name in labels:
            return None
        labels[name] = _unescaped(value) if value[:1] == '"' else value
        at = found.end()
    return labels


def _unescaped(quoted: str) -> str:
    inside = quoted[1:-1]
    if "\\" not in inside:
        return inside
    return _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[0]), inside)


def _once(samples: list[Sample], values: list[float]) -> tuple[list[Sample], list[float], int]:
    """Return the first of samples that came twice, and how many came again."""
    first: dict[Sample, float] = {}
    for sample, value in zip(samples, values, strict=True):
        first.setdefault(sample, value)
    return list(first), list(first.values()), len(samples) - len(first)
