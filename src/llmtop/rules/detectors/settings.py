"""The numbers of each detector, with their defaults: what a rule's table may set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from llmtop import metrics
from llmtop.errors import ConfigError, nearest
from llmtop.rules.expression.tokens import tokens


@dataclass(frozen=True, slots=True)
class Settings:
    """What all detectors have in common."""

    kind: ClassVar[str] = ""
    about: ClassVar[str] = ""
    """What it looks for; names in braces are its settings."""

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the keys that may be set."""
        return tuple(one.name for one in fields(cls))

    @property
    def text(self) -> str:
        """What it looks for, in a line."""
        return self.about.format_map({name: _shown(getattr(self, name)) for name in self.names()})

    @property
    def reads(self) -> tuple[str, ...]:
        """The metrics it asks for."""
        name = getattr(self, "metric", "")
        return (name,) if name else ()


@dataclass(frozen=True, slots=True)
class Spike(Settings):
    """A value far above those before it; the reference stands still while the spike lasts."""

    kind: ClassVar[str] = "spike"
    about: ClassVar[str] = "{metric} > mean + {sigma} sigma of the {window} points before it"
    metric: str = "loss"
    window: int = 128
    """Points of the reference (OLMo-core's SkipStepOptimizer)."""
    least: int = 64
    """Points there must be before anything is a spike."""
    sigma: float = 6.0
    floor: float = 0.01
    """Least distance from the mean, as a part of it; in logarithms the ratio is 1 + floor."""
    log: bool = False
    """Compare logarithms: for norms, whose tail is long."""
    calm: int = 20
    """Points without a spike after which it is over."""
    limit: int = 1
    """Spikes there must be."""
    within: int = 1
    """Points they must lie within."""


@dataclass(frozen=True, slots=True)
class SpikeRate(Spike):
    """Too many spikes, each of them over by itself."""

    kind: ClassVar[str] = "spike_rate"
    about: ClassVar[str] = "more than {share} of the last {within} points of {metric} are spikes"
    share: float = 0.001
    within: int = 10_000
    """Points looked back on (OLMo's SpikeScore)."""
    limit: int = 3
    """Spikes there must be at least: the first one of a young run is no rate."""


@dataclass(frozen=True, slots=True)
class Diverged(Settings):
    """A mean that rises above what it was and stays there."""

    kind: ClassVar[str] = "diverged"
    about: ClassVar[str] = (
        "{metric}: EMA{length} > median + {sigma} sigma of the {window} points before the rise, "
        "for {steps} steps; or {factor}x the highest of the first {first}")
    metric: str = "loss"
    length: int = 20
    window: int = 128
    least: int = 64
    sigma: float = 3.0
    floor: float = 0.1
    """Least rise, as a part of the median."""
    steps: int = 200
    """Steps it must last (PaLM restarted 100 steps before a spike that did not pass)."""
    points: int = 20
    """Points it must last: a log line may stand for a hundred steps."""
    factor: float = 10.0
    """Megatron's SPIKY_LOSS_FACTOR."""
    first: int = 100


@dataclass(frozen=True, slots=True)
class Stalled(Settings):
    """No step for much longer than steps take."""

    kind: ClassVar[str] = "stalled"
    about: ClassVar[str] = "no step for {factor}x the median step, at least {least} s"
    factor: float = 10.0
    least: float = 60.0
    """Seconds that are never too long."""
    pause: float = 2.0
    """Times the longest pause of the run so far that must be exceeded: evaluations recur."""
    busy: float = 1800.0
    """Seconds allowed after an event that speaks of a checkpoint or an evaluation."""
    first_step: float = 1800.0
    """Seconds allowed before the first step (NVRx: compilation, data, NCCL)."""


@dataclass(frozen=True, slots=True)
class Silent(Settings):
    """A process that publishes, or an endpoint, that is not heard any more."""

    kind: ClassVar[str] = "silent"
    about: ClassVar[str] = "nothing heard for {least} s, or 3 of its intervals"
    least: float = 15.0


@dataclass(frozen=True, slots=True)
class Ended(Settings):
    """A run whose processes ended badly."""

    kind: ClassVar[str] = "ended"
    about: ClassVar[str] = "the run's process failed or died"


@dataclass(frozen=True, slots=True)
class Restarted(Settings):
    """Another attempt of a run, or another life of a server."""

    kind: ClassVar[str] = "restarted"
    about: ClassVar[str] = "a process began again, or its steps went back"


@dataclass(frozen=True, slots=True)
class Straggler(Settings):
    """A rank that takes longer than the others, report after report."""

    kind: ClassVar[str] = "straggler"
    about: ClassVar[str] = "best {metric} / the rank's < {ratio} in {reports} reports in a row"
    metric: str = "step_time_seconds"
    ratio: float = 0.75
    """NVRx's threshold."""
    reports: int = 3
    points: int = 5
    """Points of every rank that make a report."""


@dataclass(frozen=True, slots=True)
class Creep(Settings):
    """Memory that rises steadily towards its limit."""

    kind: ClassVar[str] = "creep"
    about: ClassVar[str] = (
        "{metric} rises steadily over {least} points, to {limit} of the memory in {within} s")
    metric: str = "gpu_memory_used_bytes"
    limit: float = 0.97
    within: float = 3600.0
    least: int = 200
    steady: float = 0.8
    """Share of the pairs of points between which it must rise."""


@dataclass(frozen=True, slots=True)
class Turned(Settings):
    """A gauge that changes to a value that means something: an XID."""

    kind: ClassVar[str] = "turned"
    about: ClassVar[str] = "{metric} changes to another value than 0, only {only}, not {ignore}"
    metric: str = "xid"
    only: tuple[int, ...] = ()
    ignore: tuple[int, ...] = ()
    calm: float = 600.0
    """Seconds after which it is over: the gauge itself stays as it is."""


@dataclass(frozen=True, slots=True)
class Halved(Settings):
    """A loss scale that is cut again and again."""

    kind: ClassVar[str] = "halved"
    about: ClassVar[str] = "{metric} halved {times} times in {within} points"
    metric: str = "loss_scale"
    times: int = 5
    within: int = 100


DETECTORS: dict[str, type[Settings]] = {
    one.kind: one
    for one in (Spike, SpikeRate, Diverged, Stalled, Silent, Ended, Restarted, Straggler, Creep,
                Turned, Halved)
}


def read_settings(where: str, kind: str, given: Mapping[str, Any]) -> Settings:
    """Return a detector's settings, `given` in place of the defaults.

    Raises:
        ConfigError: a key or value cannot be used.
    """
    made = DETECTORS[kind]
    defaults = made()
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name not in made.names():
            raise ConfigError(f"{where}: unknown key {name!r}{nearest(name, made.names())}")
        values[name] = _value(f"{where}.{name}", getattr(defaults, name), value)
    return made(**values)


def _value(where: str, default: Any, value: Any) -> Any:
    """Return a value of the default's type; a text is read as a number with a unit."""
    if isinstance(default, bool):
        if isinstance(value, bool):
            return value
        raise ConfigError(f"{where}: true or false is needed")
    if isinstance(default, str):
        if isinstance(value, str) and value:
            found = metrics.find(value)
            return found.name if found else value
        raise ConfigError(f"{where}: the name of a metric is needed")
    if isinstance(default, tuple):
        if isinstance(value, list) and all(type(one) is int for one in value):
            return tuple(value)
        raise ConfigError(f"{where}: a list of whole numbers is needed")
    number = value
    if isinstance(value, str):
        words = tokens(value)
        number = words[0].value if [word.kind for word in words] == ["number", "end"] else None
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0 <= number < 1e15:
        raise ConfigError(f"{where}: {value!r} is not a number it can use")
    if isinstance(default, int):
        if number != int(number) or number < 1:
            raise ConfigError(f"{where}: a whole number of at least 1 is needed, not {value!r}")
        return int(number)
    return float(number)


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "nothing"
    return f"{value:g}" if isinstance(value, float) else str(value)
