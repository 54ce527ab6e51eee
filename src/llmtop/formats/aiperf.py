"""AIPerf (and GenAI-Perf before it): a record for each request, and statistics of all of them.

The records (profile_export.jsonl) come live, with their times. The statistics are written at the
end, as JSON and as CSV of several tables; each is named metric/statistic.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from llmtop.formats.base import About, FileFormat, Item, LineFormat, Note, Points
from llmtop.formats.documents import Document, outline
from llmtop.formats.numbers import SECONDS, number, number_of, unix_time
from llmtop.formats.unit_rules import UnitRules

_UNITS = UnitRules(
    (r".*/count", ""),
    (r"benchmark_duration(?:/.*)?", "seconds"),
    (r"(?:time_to_|inter_)\w+(?:/.*)?|\w*(?:latency|_duration|_time)(?:/.*)?", "ms"),
    (r"(?:request_throughput|goodput)(?:/.*)?", "requests/s"),
    (r"\w*token_throughput\w*(?:/.*)?", "tokens/s"),
    (r"\w*(?:sequence_length|token_count|_tokens|_isl|_osl)(?:/.*)?", "tokens"),
)
_CSV_UNITS = UnitRules(
    (r".*/count", ""),
    (r".*\(ms\)(?:/.*)?", "ms"),
    (r".*\(sec\)(?:/.*)?", "seconds"),
    (r".*\(tokens/sec(?:/\w+)?\)(?:/.*)?", "tokens/s"),
    (r".*\(requests/sec\)(?:/.*)?", "requests/s"),
    (r".*\(tokens\)(?:/.*)?", "tokens"),
)
_METRICS = (
    "request_latency", "request_throughput", "time_to_first_token", "inter_token_latency",
    "output_token_throughput", "request_count",
)
"""At least one of these is in every summary."""
_CSV_HEADS = (b"Metric,avg,", b"Metric,Value")


def _value(name: str, value: object, unit: object) -> float | None:
    """Return a number in the unit that its name has here."""
    found = number_of(value)
    declared = _UNITS.get(name, "")
    if found is not None and isinstance(unit, str) and unit in SECONDS and declared in SECONDS:
        scale = SECONDS[unit] / SECONDS[declared]
        return found if scale == 1.0 else found * scale
    return found


class _Records:
    """Reads profile_export.jsonl: a request and its metrics, a line."""

    def read(self, line: str) -> Iterable[Item] | None:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            return None
        if type(record) is not dict:
            return None
        about, metrics = record.get("metadata"), record.get("metrics")
        if type(about) is not dict or type(metrics) is not dict:
            return None
        if about.get("benchmark_phase") == "warmup":
            return ()
        return list(_record(about, metrics, record.get("error")))

    def end(self) -> Iterable[Item]:
        return ()


def _record(about: dict[str, Any], metrics: dict[str, Any], error: object) -> Iterator[Item]:
    time = unix_time(about.get("request_end_ns") or about.get("request_start_ns"))
    values: dict[str, float] = {}
    for name, metric in metrics.items():
        if type(metric) is dict:
            found = _value(name, metric.get("value"), metric.get("unit"))
            if found is not None:
                values[name] = found
    if values:
        yield Points(values, time=time)
    if type(error) is dict:
        said = [str(error[part]) for part in ("type", "message") if error.get(part)]
        yield Note(": ".join(said) or "a request failed", "error", time=time)


def _summary(summary: dict[str, Any]) -> Iterator[Item]:
    values: dict[str, float] = {}
    for name, metric in summary.items():
        if type(metric) is dict and type(metric.get("unit")) is str:
            for statistic, value in metric.items():
                found = _value(f"{name}/{statistic}", value, metric["unit"])
                if found is not None and statistic != "unit":
                    values[f"{name}/{statistic}"] = found
    started = unix_time(summary.get("start_time"))
    yield About(phase="eval", started=started)
    if values:
        yield Points(values, time=unix_time(summary.get("end_time")))


def _is_summary(_path: Path, head: bytes) -> bool:
    keys = outline(head)
    return any({f"{name}/unit", f"{name}/avg"} <= keys for name in _METRICS)


def _tables(data: bytes) -> tuple[list[dict[str, Any]], bool]:
    """Return {metric/statistic: text} of the tables of metrics in a CSV file."""
    values: dict[str, Any] = {}
    head: list[str] = []
    text = data.decode("utf-8-sig", "replace")
    # Not csv's own errors: a NUL or a field of megabytes is a line that has no number.
    for line in text.splitlines():
        try:
            row = next(csv.reader([line]), [])
        except csv.Error:
            row = []
        if not row:
            head = []
        elif not head:
            head = row
        elif head[0] == "Metric":
            for statistic, cell in zip(head[1:], row[1:], strict=False):
                name = row[0] if statistic == "Value" else f"{row[0]}/{statistic}"
                values[name] = cell
    return [values], text.endswith("\n") or not text


def _csv_items(values: dict[str, Any]) -> Iterator[Item]:
    found = {name: number(cell) for name, cell in values.items()}
    points = {name: value for name, value in found.items() if value is not None}
    if points:
        yield Points(points)


def _is_csv(_path: Path, head: bytes) -> bool:
    head = head.removeprefix(b"\xef\xbb\xbf")
    return head.startswith(_CSV_HEADS) and (b"Request " in head or b"Token" in head)


FORMATS: tuple[FileFormat | LineFormat, ...] = (
    LineFormat(
        name="aiperf-records",
        title="AIPerf",
        example='{"metadata": {"request_start_ns": 1759813207532900363, "request_end_ns": '
        '1759813207838764604, "benchmark_phase": "profiling"}, "metrics": '
        '{"time_to_first_token": {"value": 255.9, "unit": "ms"}}, "error": null}',
        marks=('"request_start_ns"',),
        reader=_Records,
        units=_UNITS,
        phase="eval",
    ),
    FileFormat(
        name="aiperf",
        title="AIPerf",
        example='profile_export_aiperf.json: {"request_latency": {"unit": "ms", "avg": 297.5, '
        '"p99": 402.0}, ...}',
        sniff=_is_summary,
        reader=partial(Document, items=_summary),
        units=_UNITS,
        phase="eval",
    ),
    FileFormat(
        name="aiperf-csv",
        title="AIPerf",
        example="profile_export_aiperf.csv: Metric,avg,min,max,... then Metric,Value",
        sniff=_is_csv,
        reader=partial(Document, items=_csv_items, parse=_tables),
        units=_CSV_UNITS,
        phase="eval",
    ),
)
