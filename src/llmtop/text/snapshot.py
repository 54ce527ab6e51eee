"""`--once`: what a person wants to read in a terminal, a chat message or a job's log."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

from llmtop.errors import printable
from llmtop.publish.rendezvous import directory_name
from llmtop.rules.alert import Alert
from llmtop.rules.machine import hosts
from llmtop.rules.progress import elapsed, progress
from llmtop.store import Run, Store
from llmtop.text.alerts import alert_lines
from llmtop.text.hosts import host_lines
from llmtop.text.lost import dropped
from llmtop.text.measures import OPEN, SCRAPED, SECTIONS, rows
from llmtop.text.table import INDENT, flow, table
from llmtop.units import format_duration

LEAST_WIDTH = 20
"""Narrower lines say nothing any more."""
MAX_NAMES = 200
"""Names of one kind shown a run: four screens of them; --json has all."""
MAX_NAMED = 8
"""Files and servers named where none of them holds anything."""
ORDER = ("live", "stale", "failed", "died", "finished", "restarted")
"""Runs by state: what goes on first."""
NOTHING_YET = 'nothing logged yet; run.log({"loss": loss}, step=step) fills this'


def render_text(
    store: Store, now: float, width: int, alerts: Sequence[Alert] = (),
    named: Sequence[str] = (),
) -> str:  # fmt: skip
    """Return the snapshot as of `now` (unix seconds), in lines of at most `width` cells.

    Args:
        store: what is known.
        now: the time.
        width: of a line.
        alerts: that are firing.
        named: what was asked for, if anything: said where nothing came of it.
    """
    width = max(width, LEAST_WIDTH)
    runs = [run for run in store.runs if not run.is_host]
    lines: list[str] = [] if runs else _nothing(width, named)
    for run in sorted(runs, key=lambda run: ORDER.index(run.state)):
        lines += [*([""] if lines else []), *_run(run, now, width)]
    for host in hosts(store):
        lines += ["", *host_lines(store, host, now, width)]
    for alert in alerts:
        lines += ["", *alert_lines(alert, width=width)]
    lost = dropped(store)
    if lost:
        lines += ["", *wrap(f"{lost:,} samples were dropped on the way", width)]
    return "\n".join(lines)


def _nothing(width: int, named: Sequence[str]) -> list[str]:
    if named:
        more = f" and {len(named) - MAX_NAMED:,} more" if len(named) > MAX_NAMED else ""
        shown = printable(", ".join(named[:MAX_NAMED]))
        return wrap(f"no runs: nothing to show in {shown}{more}", width, break_on_hyphens=False)
    why = f"no runs: nothing of yours publishes to {directory_name()}"
    return [
        *wrap(why, width, break_on_hyphens=False),
        *wrap("try: llmtop demo", width),
        *wrap('or in a script: import llmtop; run = llmtop.init("name"); '
              'run.log({"loss": loss}, step=step)', width),
    ]  # fmt: skip


def _run(run: Run, now: float, width: int) -> list[str]:
    lines = flow(_headline(run, now), width)
    several = estimated = scraped = False
    for kind, section in SECTIONS.items():
        found = rows(run, kind, now)
        if not found:
            continue
        shown = found[:MAX_NAMES]
        lines += table([section.titles, *((row.name, *row.values) for row in shown)], width)
        if len(found) > MAX_NAMES:
            lines.append(f"{INDENT}and {len(found) - MAX_NAMES:,} more; --json has all")
        several = several or any(row.ranks > 1 for row in shown)
        signs = {text[:1] for row in shown for text in row.values}
        estimated, scraped = estimated or "~" in signs, scraped or bool(signs & {SCRAPED, OPEN})
    if not any(series.n for series in run.series):
        over = run.state not in ("live", "stale")
        lines += _note("nothing was logged" if over else NOTHING_YET, width)
    if several:
        lines += _note("xN: N ranks; last is their median, percentiles the worst rank's", width)
    if estimated:
        lines += _note("~: estimated from a histogram, within 1 %", width)
    if scraped:
        lines += _note(f"{SCRAPED}: estimated as exactly as the server's own buckets allow; "
                       f"{OPEN}: beyond the last of them", width)
    return lines


def _note(text: str, width: int) -> list[str]:
    return wrap(text, width, initial_indent=INDENT, subsequent_indent=INDENT)


def _headline(run: Run, now: float) -> list[str]:
    """Return what is to be said of the run as a whole, in parts."""
    known, took = progress(run, now), elapsed(run, now)
    parts = [run.name, run.phase, _state(run, now)]
    if run.attempt > 1:
        parts.append(f"attempt {run.attempt}")
    if run.step >= 0:
        parts.append(f"step {run.step:,}" + (f"/{run.total_steps:,}" if run.total_steps else ""))
    if known.fraction is not None:
        parts.append(f"{known.fraction * 100:.1f} %")
    over = run.state in ("failed", "died", "finished")
    if known.eta_seconds is not None and not over:
        parts.append(f"eta {format_duration(known.eta_seconds)}")
    if took is not None:
        parts.append(f"elapsed {format_duration(took)}")
    parts += [run.host] if run.host else []
    if len(run.ranks) > 1 or (run.world_size or 0) > 1:
        parts.append(f"{len(run.ranks)}/{run.world_size or len(run.ranks)} ranks")
    return parts


def _state(run: Run, now: float) -> str:
    if run.state == "stale":
        return f"stale, silent for {format_duration(now - run.last_seen)}"
    return f"{run.state}: {run.reason}" if run.reason else run.state
