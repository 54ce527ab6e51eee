"""A server in three lines: what it is, where requests spend their time, what it promised."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING

from llmtop.rules.serving import goodput, kept, of_requests, phases, ratio, series_of
from llmtop.slo import limit_text
from llmtop.ui.panels.absent import missing
from llmtop.ui.panels.base import Content, Scene, Size
from llmtop.ui.panels.frame import framed, inner
from llmtop.ui.rows import Row, Run, clip, width
from llmtop.units import MISSING, format_number, format_seconds, format_value

if TYPE_CHECKING:
    from llmtop.store import Run as StoreRun

BOX_FROM = 5
SECONDS = 5.0
"""How often the numbers of the last minutes are worked out anew."""
COLOURS = {"queue": "series-2", "prefill": "series-4", "decode": "series-1"}
"""Phase -> role of its part of the bar."""
BAR_CELLS = 40
"""The bar needs no more to be read; its numbers stand beside it."""
MOST_SETTINGS = 4
PROMISED = 0.99
"""Part of the requests that a promised limit is meant for: presets are limits of p99."""
PREEMPTION_SECONDS = 60.0
SHORT = {"ttft_seconds": "ttft", "itl_seconds": "itl", "tpot_seconds": "tpot",
         "e2e_seconds": "e2e", "queue_seconds": "queue"}


def signature(scene: Scene, size: Size) -> Hashable:
    """Return what the frame depends on."""
    run = scene.run
    return None if run is None else (run.id, run.version if run.state != "live" else 0,
                                     len(run.series), scene.now // SECONDS, scene.view.slos)


def frame(scene: Scene, size: Size) -> list[Row]:
    """Return the lines, the most wanted first."""
    run = scene.run
    if run is None:
        return framed("server", (), (), size, BOX_FROM)
    columns, lines = inner(size, BOX_FROM)
    rows = [_phase_row(run, scene, columns), _promise_row(run, scene, columns)]
    if lines > len(rows):
        rows.insert(0, clip(_facts(run), columns))
    right: list[Run] = [("5 min", "dim")]
    return framed("server", right, rows[:lines], size, BOX_FROM)


def _facts(run: StoreRun) -> list[Run]:
    """Return engine, version, model, place and some of the configuration."""
    tags = run.tags
    out: list[Run] = []
    engine = " ".join(str(tags[key]) for key in ("engine", "version") if tags.get(key))
    engine = engine or "publishes its numbers itself"
    for text, role in ((engine, "bright"), (str(tags.get("model", "")), "text"),
                       (run.host, "dim")):
        if text:
            out += [("  ", "blank")] * bool(out) + [(text, role)]
    if tags.get("tls"):
        out += [("  ", "blank"), (f"● certificate {tags['tls']}", "warning")]
    settings = tags.get("config")
    if isinstance(settings, Mapping):
        for name, value in list(settings.items())[:MOST_SETTINGS]:
            out += [("  ", "blank"), (f"{name} ", "dim"), (str(value), "text")]
    return out


def _phase_row(run: StoreRun, scene: Scene, columns: int) -> Row:
    """Return the mean request as one thin bar of its phases, and their times."""
    found = phases(run, scene.now)
    if found is None:
        why = missing(run).get("e2e_seconds") or "needs ttft_seconds and e2e_seconds"
        return ((f"where requests spend their time: {why}", "dim"),)
    whole = sum(part.seconds for part in found.parts) or 1.0
    labels: list[Run] = []
    for part in found.parts:
        about = "≈" if found.derived and part.name != "queue" else ""
        labels += [("  ", "blank"), (part.name, COLOURS[part.name]),
                   (f" {about}{format_seconds(part.seconds)}", "bright"),
                   (f" {part.seconds / whole * 100:.0f}%", "dim")]
    room = min(BAR_CELLS, columns - width(labels))
    glyph = "=" if scene.ascii else "━"
    bar: list[Run] = []
    done = edge = 0
    before = 0.0
    if room >= 8:
        for part in found.parts:
            before += part.seconds
            edge = round(room * before / whole)
            bar.append((glyph * (edge - done), COLOURS[part.name]))
            done = edge
    return clip([*bar, *(labels if bar else labels[1:])], columns)


def _promise_row(run: StoreRun, scene: Scene, columns: int) -> Row:
    """Return how the promises are kept, then caches, speculation and preemptions."""
    out: list[Run] = []
    slos = dict(scene.view.slos)
    parts = kept(run, slos, scene.now)
    whole = goodput(kept(run, of_requests(slos), scene.now))
    if whole is not None:
        role = "ok" if whole.least >= PROMISED else "critical" if whole.most < PROMISED else "text"
        out += [("goodput ", "dim"), (_between(whole.least, whole.most), role)]
    for one in parts:
        role = "critical" if one.most < PROMISED else "text"
        out += [("  ", "blank"), (f"{SHORT.get(one.metric, one.metric)}≤{limit_text(one.limit)} ",
                                  "dim"),
                (_between(one.least, one.most, one.share), role)]
    for name, text in (("prefix_cache_hit_rate", "prefix hits"),
                       ("spec_decode_acceptance", "drafts accepted")):
        value = ratio(run, name, scene.now)
        if value == value:
            out += [("  ", "blank"), (f"{text} ", "dim"), (format_value(value, "fraction"), "text")]
    preempted = series_of(run, "preemptions")
    if preempted is not None:
        rate = preempted.rate(PREEMPTION_SECONDS, scene.now) * PREEMPTION_SECONDS
        out += [("  ", "blank"), ("preemptions ", "dim"),
                (format_number(rate, 2), "warning" if rate > 0 else "text"), ("/min", "dim")]
    if not slos:
        out += [("  ", "blank"), ("--slo ttft=200ms,itl=50ms draws limits and counts goodput",
                                  "dim")]
    return clip(_trimmed(out), columns)


def _trimmed(line: Sequence[Run]) -> Sequence[Run]:
    return line[1:] if line and not line[0][0].strip() else line


def _between(least: float, most: float, value: float | None = None) -> str:
    """Return a share as percent: one number where it is certain, else from where to where."""
    if least != least or most != most:
        return MISSING
    if most - least < 0.001:
        return f"{least * 100:.1f}%"
    about = "" if value is None else f"≈{value * 100:.1f}% of "
    return f"{about}{least * 100:.0f}..{most * 100:.0f}%" if value is None else (
        f"≈{value * 100:.1f}%")


CONTENT = Content("server", frame, signature, focusable=False)
