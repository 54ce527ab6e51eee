"""Numbers as a person reads them: short, with the unit, and never a lie about what is missing."""

from __future__ import annotations

import math
from collections.abc import Sequence

MISSING = "--"
_SI = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_BINARY = ((2.0**40, "TiB"), (2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"))
_SHORT = {
    "tokens/s": "tok/s",
    "samples/s": "smp/s",
    "requests/s": "req/s",
    "celsius": "°C",
    "joules": "J",
    "joules/s": "W",
    "watts": "W",
}
"""Units shown after the number in a shorter spelling than their name."""


def _special(value: float | None) -> str | None:
    if value is None:
        return MISSING
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Inf" if value > 0 else "-Inf"
    return None


def _digits(value: float, digits: int) -> str:
    """Return `value` with about `digits` significant digits, without an exponent."""
    if value == 0:
        return "0"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{places}f}"


def format_number(value: float | None, digits: int = 4) -> str:
    """Return a plain number: "2.318", "412k", "1.93e-4", "NaN", or "--" for None."""
    special = _special(value)
    if special is not None or value is None:
        return special or MISSING
    value = _rounded(value, digits)
    size = abs(value)
    if size >= 1e15:
        return _exponent(value, 2)
    if size >= 10_000:
        value = _rounded(value, 3)
        scale, suffix = next((s, n) for s, n in _SI if abs(value) >= s)
        return _digits(value / scale, 3) + suffix
    if value == int(value):
        return f"{value:,.0f}"
    return _exponent(value, 2) if size < 1e-3 else _digits(value, digits)


def _rounded(value: float, digits: int) -> float:
    """Return `value` at `digits` significant digits, so that 9,999.96 is 10.0k, not 9,999.96."""
    rounded = float(f"{value:.{digits - 1}e}")
    return rounded if math.isfinite(rounded) else value


def format_bytes(value: float | None) -> str:
    """Return bytes in binary units: "71.2 GiB", "512 B"."""
    special = _special(value)
    if special is not None or value is None:
        return special or MISSING
    for scale, suffix in _BINARY:
        if abs(value) >= scale * 0.9995:
            return f"{_digits(value / scale, 3)} {suffix}"
    return f"{value:.0f} B"


def binary_scale(value: float) -> float:
    """Return the bytes of the largest binary unit that is not above `value`, 1 for bytes."""
    return next((scale for scale, _ in _BINARY if abs(value) >= scale), 1.0)


def format_seconds(value: float | None) -> str:
    """Return a latency: "182 ms", "1.21 s", "35 µs", from a value in seconds."""
    special = _special(value)
    if special is not None or value is None:
        return special or MISSING
    size = abs(value)
    if size >= 100:
        return format_duration(value)
    if size >= 0.9995:
        return f"{_digits(value, 3)} s"
    if size >= 0.9995e-3:
        return f"{_digits(value * 1e3, 3)} ms"
    return "0 s" if value == 0 else f"{_digits(value * 1e6, 3)} µs"


def format_duration(seconds: float | None) -> str:
    """Return a span of time in its two largest units: "2h 41m", "3m 12s", "0.2s"."""
    special = _special(seconds)
    if special is not None or seconds is None:
        return special or MISSING
    if seconds < 0:
        return "-" + format_duration(-seconds)
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    minutes, second = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}m {second:02d}s"
    hours, minute = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}h {minute:02d}m"
    days, hour = divmod(hours, 24)
    return f"{days}d {hour:02d}h"


def format_value(value: float | None, unit: str = "") -> str:
    """Return `value` in `unit` for a person: "412k tok/s", "182 ms", "71.2 GiB", "46.2 %".

    Args:
        value: the number, None for missing.
        unit: "" | "seconds" | "bytes" | "ratio" (0..1, shown as it is) | "percent" (0..100) |
            "fraction" (0..1 shown as percent) | any other unit, shown after the number.
    """
    special = _special(value)
    if special is not None or value is None:
        return special or MISSING
    if unit == "seconds":
        return format_seconds(value)
    if unit == "bytes":
        return format_bytes(value)
    if unit == "fraction":
        return f"{_digits(value * 100, 3)} %"
    if unit == "percent":
        return f"{_digits(value, 3)} %"
    text = format_number(value)
    if unit in ("", "ratio", "nats"):
        return text
    return f"{text} {_SHORT.get(unit, unit)}"


def split_value(value: float | None, unit: str = "") -> tuple[str, str]:
    """Return the number and its unit apart, so that they can be drawn in different shades."""
    text = format_value(value, unit)
    if unit == "seconds" and value is not None and abs(value) >= 100:
        return text, ""  # A span of time in two units: "6m 17s".
    number, _, suffix = text.partition(" ")
    return number, suffix


def format_axis(values: Sequence[float], unit: str = "") -> list[str]:
    """Return labels for axis ticks: one scale and one number of decimals for all of them."""
    finite = [v for v in values if math.isfinite(v)]
    top = max((abs(v) for v in finite), default=0.0)
    scale, suffix = 1.0, ""
    if unit == "seconds":
        scale, suffix = _axis_seconds(top)
    elif unit == "bytes":
        scale, suffix = next(((s, f" {n}") for s, n in _BINARY if top >= s), (1.0, " B"))
    elif unit == "fraction":
        scale, suffix = 0.01, "%"
    elif unit == "percent":
        suffix = "%"
    elif top >= 10_000 or (top >= 1000 and all(v % 100 == 0 for v in finite)):
        scale, suffix = next((s, n) for s, n in _SI if top >= s)
    scaled = [v / scale for v in values]
    if 0 < top / scale < 1e-3 or top >= 1e15:
        return _exponents(values)
    places = _places(scaled)
    return ["0" if v == 0 else f"{v:,.{places}f}{suffix}" for v in scaled]


def _axis_seconds(top: float) -> tuple[float, str]:
    if top >= 1:
        return 1.0, " s"
    return (1e-3, " ms") if top >= 1e-3 else (1e-6, " µs")


def _exponent(value: float, places: int = 1) -> str:
    """Return scientific notation without padding: "1.93e-4", "2e-4"."""
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.{places}e}".split("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"


def _exponents(values: Sequence[float]) -> list[str]:
    """Return values in scientific notation, each as exact as axis ticks need it."""
    return [
        _exponent(v, next((n for n in (1, 2, 3) if math.isclose(float(f"{v:.{n}e}"), v)), 4))
        if math.isfinite(v) else str(_special(v)) for v in values
    ]  # fmt: skip


def _places(values: Sequence[float]) -> int:
    """Return the fewest decimals (at most 6) that tell all the finite values apart exactly."""
    finite = [v for v in values if math.isfinite(v)]
    for places in range(7):
        if all(abs(round(v, places) - v) <= 1e-9 * max(1.0, abs(v)) for v in finite):
            return places
    return 6
