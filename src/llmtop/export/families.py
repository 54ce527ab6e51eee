"""The families of one page, filled sample by sample under a limit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client.core import Metric

OTHERWISE = {"gauge": "value", "counter": "counted", "histogram": "observed"}
"""What is added to a name that another kind of family has already."""
AGAIN = "logged"
"""Label that tells two series of one rank apart which mean the same metric."""
MAX_KINDS = 1 << 14
"""Names whose kind is remembered: as many as there are series on a page at the most."""


class Families:
    """The families of one page, in order of their first sample."""

    def __init__(self, room: int, kinds: dict[str, str]) -> None:
        """Begin a page.

        Args:
            room: samples it may hold.
            kinds: kind by name, of this page and those before it, so that a name means the same
                as long as llmtop runs.
        """
        self.samples = 0
        self.left_out = 0
        """Samples there was no room for."""
        self._room, self._kinds = room, kinds
        self._found: dict[str, Metric] = {}
        self._taken: set[tuple[str, ...]] = set()

    def collect(self) -> Iterator[Metric]:
        """Yield the families, as prometheus_client asks for them."""
        yield from self._found.values()

    def add(
        self, kind: str, name: str, text: str, value: float, labels: dict[str, str],
        unit: str = "", logged: str = "",
    ) -> None:  # fmt: skip
        """Add one sample, of a "gauge" or a "counter".

        Args:
            kind: of its family.
            name: of its family.
            text: HELP of its family.
            value: the sample; of a counter its total.
            labels: whose it is.
            unit: that the name ends in, if any.
            logged: what it is told apart by where there is one with these labels already.
        """
        family = self._place(kind, name, text, labels, unit, logged, 1)
        if family is not None:
            ending = "_total" if kind == "counter" else ""
            family.add_sample(family.name + ending, labels, value)

    def histogram(
        self, name: str, text: str, bounds: Sequence[float], counts: Sequence[int], total: float,
        labels: dict[str, str], unit: str = "", logged: str = "",
    ) -> None:  # fmt: skip
        """Add a histogram: how many observations are at most each bound, the last one infinity."""
        family = self._place("histogram", name, text, labels, unit, logged, len(bounds) + 2)
        if family is None:
            return
        for bound, upto in zip(bounds, counts, strict=True):
            le = "+Inf" if bound == float("inf") else repr(float(bound))
            family.add_sample(f"{family.name}_bucket", {**labels, "le": le}, upto)
        family.add_sample(f"{family.name}_count", labels, counts[-1])
        family.add_sample(f"{family.name}_sum", labels, total)

    def finish(self) -> None:
        """Say how much was left out, for which there is always room."""
        text = f"Samples that found no room on this page, which holds {self._room} at most."
        self._room = self.samples + 1
        self.add("gauge", "llmtop_exporter_left_out_samples", text, float(self.left_out), {},
                 "samples")  # fmt: skip

    def _place(
        self, kind: str, name: str, text: str, labels: dict[str, str], unit: str, logged: str,
        size: int,
    ) -> Metric | None:  # fmt: skip
        """Return the family of a sample, None where there is no room; complete the labels."""
        if len(self._kinds) < MAX_KINDS or name in self._kinds:
            known = self._kinds.setdefault(name, kind)
        else:
            known = ""
        if known != kind:
            name, unit = f"{name}_{OTHERWISE[kind]}", ""
        if self.samples + size > self._room:
            self.left_out += size
            return None
        owner = (name, *(text for pair in sorted(labels.items()) for text in pair))
        if owner in self._taken and logged:
            labels[AGAIN] = logged
            owner = (*owner, AGAIN, logged)
        if owner in self._taken:
            self.left_out += size
            return None
        self._taken.add(owner)
        self.samples += size
        family = self._found.get(name)
        if family is None:
            family = self._found[name] = Metric(name, text, kind, unit)
        return family
