"""Text -> numbers, times and durations, in every spelling that real logs have.

`number` is asked for each value of each line, so the spelling that nearly all have is tried
first and the rest is told apart by one regular expression.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Any

from llmtop.clock import SystemClock
from llmtop.samples import NO_STEP

MAX_NUMBER = 64
"""Characters of the longest text that is looked at as a number; np.float64(..) takes 40."""
MAX_DEPTH = 8
"""Nested dicts that are followed: deeper than any logger's names."""
MAX_VALUES = 8192
"""Values of one record: as many as a frame of the wire holds; verl, the widest, logs some 100."""
MAX_STEP = 2.0**53
"""Beyond it a float no longer tells one step from the next."""

NUMBER = (
    r"[+-]?(?:(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?"
    r"|[nN][aA][nN]|[iI][nN][fF](?:[iI][nN][iI][tT][yY])?)"
)
"""One number without its unit, for the regular expressions of formats; `number` reads it."""

SCALES = {
    "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "B": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
}
"""Suffixes that are a part of the number: OLMo writes 1.97B, tqdm 3.3k."""
SECONDS = {
    "ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0, "secs": 1.0,
    "second": 1.0, "seconds": 1.0, "m": 60.0, "min": 60.0, "mins": 60.0, "minutes": 60.0,
    "h": 3600.0, "hr": 3600.0, "hrs": 3600.0, "hours": 3600.0, "d": 86400.0, "days": 86400.0,
}
"""Unit of time -> its seconds; both Unicode letters mu are in use."""
_COUNTED = (
    "it", "iter", "iters", "step", "steps", "tok", "toks", "token", "tokens", "sample", "samples",
    "seq", "seqs", "sequences", "example", "examples", "ex", "req", "reqs", "requests", "image",
    "images", "img", "batch", "batches", "b", "B", "kB", "KB", "MB", "GB", "MiB", "GiB", "TFLOP",
    "TFLOPs", "GFLOP", "GFLOPs", "t",
)
_UNITS = frozenset(SECONDS) | frozenset(
    ("%", "b", "kB", "KB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB", "bytes", "s/it", "ms/it",
     "TFLOPs", "TFLOPS", "TFLOP", "tflops", "GFLOPs", "GFLOPS", "tps", "C", "°C", "W", "MHz",
     "x", "BPC", "BPB", "nats", "bits", "reqs", "tokens", "samples", "steps", "it")
) | frozenset(f"{what}/{per}" for what in _COUNTED for per in ("s", "sec", "second", "step"))
"""Units that may follow a number; another word there means that the text is no number."""

_TOKEN = re.compile(rf"({NUMBER})\s?(\D.*)?", re.DOTALL)
_WRAPPED = re.compile(
    r"(?:[A-Za-z_]+\.)*[A-Za-z]*(?:float|int|double|tensor|array|Tensor|Array|Decimal)\d*\("
    r"\s*([^,()]+)(?:[,)]|$)"
)
"""np.float64(0.5), tensor(2.3, device='cuda:0'), Array(1., dtype=float32), Decimal('1.2')."""
_QUOTES = "'\" \t\r\n"


def number(text: str) -> float | None:
    """Return the number in `text`, None when it has none ("N/A", "None", "", words).

    Quotes, thousands commas, numpy and tensor reprs and a known unit are taken off ("1.3%",
    "5.094 GB", "nanms"); the value is not converted to another unit.
    """
    try:
        return float(text)
    except ValueError:
        pass
    if len(text) > MAX_NUMBER:
        return None
    text = text.strip(_QUOTES)
    token = _TOKEN.fullmatch(text)
    if token is None:
        wrapped = _WRAPPED.match(text)
        return number(wrapped.group(1)) if wrapped else None
    digits, unit = token.groups()
    value = float(digits.replace(",", ""))
    if unit is None or unit in _UNITS:
        return value
    scale = SCALES.get(unit)
    return None if scale is None else value * scale


def step_of(value: float | None) -> int:
    """Return a step, or NO_STEP for what cannot be one: missing, negative, not whole."""
    if value is None or not 0 <= value <= MAX_STEP or value != int(value):
        return NO_STEP
    return int(value)


def number_of(value: Any) -> float | None:
    """Return the number of a JSON value: a number, its text, or a list of one; else None.

    True and False are settings, not measurements.
    """
    kind = type(value)
    if kind is float:
        return value  # type: ignore[no-any-return]  # `kind is float` narrows nothing for mypy
    if kind is int:
        try:
            return float(value)
        except OverflowError:
            return float("inf") if value > 0 else float("-inf")
    if kind is str:
        return number(value) if len(value) <= MAX_NUMBER else None
    if kind is list and len(value) == 1 and type(value[0]) is not list:
        return number_of(value[0])
    return None


def flatten(mapping: Mapping[str, Any]) -> dict[str, float]:
    """Return {name: number} of a record, nested names joined with "/".

    What is no number is left out. At most MAX_VALUES of them, nested at most MAX_DEPTH deep.
    """
    flat: dict[str, float] = {}
    _flatten(mapping, "", 0, flat)
    return flat


def _flatten(mapping: Mapping[str, Any], prefix: str, depth: int, flat: dict[str, float]) -> None:
    for key, value in mapping.items():
        if type(value) is float:
            flat[prefix + key] = value
        elif type(value) is dict:
            if depth < MAX_DEPTH:
                _flatten(value, f"{prefix}{key}/", depth + 1, flat)
        elif (found := number_of(value)) is not None:
            flat[prefix + key] = found
        if len(flat) >= MAX_VALUES:
            return


_CLOCK = re.compile(
    r"\s*(?:(-?\d+)\s*(?:days?|d),?\s*|(\d+)-)?(?:(\d+):)?(\d{1,2}):(\d{1,2}(?:\.\d+)?)\s*"
)
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*([a-zµμ]+)\s*")


def duration(text: str) -> float | None:
    """Return seconds of "3 days, 17:51:32", "1:02:03", "00:57", "686.203µs", "1h2m3.5s"."""
    if len(text) > MAX_NUMBER:
        return None
    clock = _CLOCK.fullmatch(text)
    if clock is not None:
        days, slurm_days, hours, minutes, seconds = clock.groups()
        total = int(days or slurm_days or 0) * 86400.0 + int(hours or 0) * 3600.0
        return total + int(minutes) * 60.0 + float(seconds)
    total, end = 0.0, 0
    text = text.strip(_QUOTES)
    for part in _PART.finditer(text):
        scale = SECONDS.get(part.group(2))
        if part.start() != end or scale is None:
            return None
        total += float(part.group(1)) * scale
        end = part.end()
    return total if end and end == len(text) else None


_DATED = re.compile(
    r"(?<!\d)(\d{4})[-/](\d\d)[-/](\d\d)[T _](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?"
    r"\s?(Z|UTC|GMT|[+-]\d\d:?\d\d(?!\d))?"
)
_YEARLESS = re.compile(
    r"(?<![\d-])(?:[IWEF](\d\d)(\d\d)|(\d\d)[-/](\d\d)) (\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?"
)
TIME_WITHIN = 120
"""Characters of a line in which its time is looked for: Ray's and loguru's prefixes take 80."""
DAY = 86_400.0


def timestamp(text: str, now: float | None = None) -> float | None:
    """Return unix seconds of the first date and time in `text`, None where there is none.

    Without a zone the time is local. Without a year (absl, vLLM) it is the last one that lies
    before `now` (unix seconds; the system's clock by default).
    """
    found = _DATED.search(text, 0, TIME_WITHIN)
    if found is not None:
        year, month, day, hour, minute, second, fraction, zone = found.groups()
        base = _minute(int(year), int(month), int(day), int(hour), int(minute), zone)
    else:
        found = _YEARLESS.search(text, 0, TIME_WITHIN)
        if found is None:
            return None
        absl_month, absl_day, month, day, hour, minute, second, fraction = found.groups()
        now = SystemClock().time() if now is None else now
        base = _yearless(
            int(absl_month or month), int(absl_day or day), int(hour), int(minute),
            now // DAY * DAY,
        )
    if base is None:
        return None
    return base + int(second) + (float(f"0.{fraction}") if fraction else 0.0)


@lru_cache(maxsize=1024)
def _minute(
    year: int, month: int, day: int, hour: int, minute: int, zone: str | None
) -> float | None:
    """Return unix seconds of a minute; remembered, as lines of one minute follow each other."""
    try:
        moment = datetime(year, month, day, hour, minute)
        if zone is None:
            return moment.timestamp()
        offset = timedelta()
        if zone[0] in "+-":
            offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
            offset = -offset if zone[0] == "-" else offset
        return moment.replace(tzinfo=timezone(offset)).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


@lru_cache(maxsize=1024)
def _yearless(month: int, day: int, hour: int, minute: int, today: float) -> float | None:
    """Return unix seconds of a minute in the last year in which it is not after tomorrow.

    Tomorrow, because the log may be of a zone that is ahead of this one.
    """
    year = datetime.fromtimestamp(today, timezone.utc).year + 1
    # Eight years hold a 29 February even around 2100.
    for candidate in range(year, max(year - 9, 1), -1):
        moment = _minute(candidate, month, day, hour, minute, None)
        if moment is not None and moment <= today + 2 * DAY:
            return moment
    return None


def unix_time(value: Any) -> float | None:
    """Return unix seconds of a JSON value: seconds, ms, us or ns since 1970, or a written time.

    A number that would be before 1986 or after 2128 counts something else.
    """
    if type(value) is str and (written := timestamp(value)) is not None:
        return written
    seconds = number_of(value)
    if seconds is None:
        return None
    for scale in (1.0, 1e3, 1e6, 1e9):
        if 5e8 <= seconds / scale < 5e9:
            return seconds / scale
    return None
