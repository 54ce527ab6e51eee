"""The last line: keys at the left, at the right what llmtop itself costs."""

from __future__ import annotations

from dataclasses import dataclass

from llmtop.ui.keys import KEYS, SCREENS
from llmtop.ui.rows import Row, Run, clip, width
from llmtop.units import format_bytes

LEAST_KEYS = 10
"""Cells kept for the first key, which leads to the others."""


@dataclass(frozen=True)
class Cost:
    """What llmtop costs the machine it runs on."""

    cpu_percent: float = 0.0
    rss_bytes: int = 0
    bytes_per_second: float = 0.0


@dataclass(frozen=True)
class News:
    """What sources have to say."""

    problem: str = ""
    """Why one is lost."""
    status: str = ""
    """What one is at: how far a large log is read, a file it may not read."""


def cost_runs(cost: Cost | None, dropped: int, news: News, cells: int) -> list[Run]:
    """Return the right end; lost samples and lost sources come before the cost."""
    out: list[Run] = []
    if news.problem:
        out += [("▲ " + news.problem, "critical"), ("  ", "blank")]
    elif news.status:
        out += [(news.status, "accent"), ("  ", "blank")]
    if dropped:
        out += [(f"● {dropped:,} dropped", "warning"), ("  ", "blank")]
    if cost is None:
        return out
    if cells < 100:
        return [*out, (f"{cost.cpu_percent:.0f}% cpu", "dim")]
    sent = f"{cost.bytes_per_second / 1000:.1f} kB/s"
    return [*out, (f"{cost.cpu_percent:.1f}% cpu · {format_bytes(cost.rss_bytes)} · {sent}"
                   f"{'' if dropped else ' · 0 dropped'}", "dim")]


def footer_row(cost: Cost | None, dropped: int, news: News, cells: int) -> Row:
    """Return the footer; keys of low rank are left out until the rest fits."""
    told = cost_runs(cost, dropped, news, cells)
    if width(told) > cells // 2:
        # What helps is told where there is more room; here it would hide the keys.
        brief = News(news.problem.partition("; ")[0], news.status.partition("; ")[0])
        told = cost_runs(cost, dropped, brief, cells)
    right = clip(told, cells - LEAST_KEYS)
    room = cells - width(right) - 4
    shown = [key for key in KEYS if key.footer]
    screens: list[Run] = []
    if cells >= 120:
        for key, name, _ in SCREENS:
            screens += [(key, "key"), (f" {name} ", "dim"), (" ", "blank")]
    while True:
        keys = [run for key in shown for run in
                ((key.show, "key"), (f" {key.label} ", "dim"), (" ", "blank"))]
        if width([*screens, *keys]) <= room or not shown:
            break
        shown.remove(max(shown, key=lambda key: key.footer))
    left = [*screens, *keys]
    gap = max(1, cells - 2 - width(left) - width(right))
    return ((" ", "blank"), *left, (" " * gap, "blank"), *right, (" ", "blank"))
