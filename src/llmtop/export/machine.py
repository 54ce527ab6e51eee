"""Machines, their devices, what is read, and llmtop itself on the page."""

from __future__ import annotations

from collections.abc import Sequence

from llmtop import __version__
from llmtop.engine import SourceState
from llmtop.export.families import Families
from llmtop.prometheus import device
from llmtop.rules.machine import devices, number
from llmtop.sources.scraping.source import Scrape
from llmtop.store import Run, Store

UP = {"ok": 1.0, "lost": 0.0, "retrying": 0.0}
"""Of a source by its health; one that has ended is not on the page."""


def add_machines(families: Families, runs: list[Run]) -> None:
    """Add what machines are, and their devices."""
    for run in runs:
        if not run.is_host:
            continue
        host = {"host": run.name}
        memory, cores = number(run.tags.get("memory_total")), number(run.tags.get("core_count"))
        if memory is not None:
            families.add("gauge", "llmtop_host_memory_total_bytes", "Memory of a machine.",
                         memory, dict(host), "bytes")  # fmt: skip
        if cores is not None:
            families.add("gauge", "llmtop_host_cores", "Cores of a machine.", cores, dict(host))
        for one in devices(run):
            labels = {**host, **device(f"{one.key}/")[0]}
            families.add("gauge", "llmtop_gpu_info", "What a device is; its value is 1.", 1.0, {
                **labels, "model": str(one.facts.get("name", "")),
                "uuid": str(one.facts.get("uuid", "")),
            })  # fmt: skip
            families.add("gauge", "llmtop_gpu_up", "1 for a device that answers.",
                         float(not one.lost), labels)  # fmt: skip


def add_sources(
    families: Families, states: Sequence[SourceState], sources: Sequence[object]
) -> None:
    """Add whether what is read can be read."""
    for state in states:
        if state.state in UP:
            families.add("gauge", "llmtop_source_up", "1 for a source that can be read.",
                         UP[state.state], {"source": state.name})  # fmt: skip
    for source in sources:
        for one in list(source.endpoints) if isinstance(source, Scrape) else ():
            if one.looks or one.failures:
                families.add("gauge", "llmtop_server_up", "1 for a server that answers.",
                             float(not one.failures), {"server": one.target.place})  # fmt: skip


def add_own(families: Families, store: Store) -> None:
    """Add what llmtop says of itself."""
    families.add("gauge", "llmtop_build_info", "Which llmtop this is; its value is 1.", 1.0,
                 {"version": __version__})  # fmt: skip
    for kind, name, text, value, unit in (
        ("counter", "llmtop_exporter_samples", "Samples stored.", store.samples, ""),
        ("counter", "llmtop_exporter_lost_samples", "Samples lost on the way.", store.dropped, ""),
        ("gauge", "llmtop_exporter_series", "Series held.", len(store.series), ""),
        ("gauge", "llmtop_exporter_overflowed_names", "Names there was no room for.",
         store.overflowed, ""),
        ("gauge", "llmtop_exporter_memory_bytes", "Memory that series take.",
         store.memory_used, "bytes"),
    ):
        families.add(kind, name, text, float(value), {}, unit)

