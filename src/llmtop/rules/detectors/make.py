"""Settings -> the detector that looks with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llmtop.rules.detectors.base import Detector, Follower, Watch
from llmtop.rules.detectors.creep import CreepDetector
from llmtop.rules.detectors.diverged import DivergedDetector
from llmtop.rules.detectors.lives import EndedDetector, RestartedDetector, SilentDetector
from llmtop.rules.detectors.settings import DETECTORS
from llmtop.rules.detectors.spike import RateWatch, SpikeWatch
from llmtop.rules.detectors.stalled import StalledDetector
from llmtop.rules.detectors.straggler import StragglerDetector
from llmtop.rules.detectors.turns import HalvedWatch, TurnedWatch

_WATCHES: dict[str, Callable[[Any], Watch]] = {
    "spike": SpikeWatch, "spike_rate": RateWatch, "turned": TurnedWatch, "halved": HalvedWatch,
}  # fmt: skip
_MAKERS: dict[str, Callable[[Any, bool], Detector]] = {
    "diverged": DivergedDetector, "creep": CreepDetector,
    "stalled": lambda settings, _: StalledDetector(settings),
    "silent": lambda settings, _: SilentDetector(settings),
    "straggler": lambda settings, _: StragglerDetector(settings),
    "ended": lambda _, __: EndedDetector(), "restarted": lambda _, __: RestartedDetector(),
}  # fmt: skip
assert _MAKERS.keys() | _WATCHES.keys() == DETECTORS.keys()


def make(settings: Any, each: bool) -> Detector:
    """Return a new detector; `each`: it judges every rank or device by itself."""
    watch = _WATCHES.get(settings.kind)
    if watch is None:
        return _MAKERS[settings.kind](settings, each)
    return Follower(settings.metric, each, lambda: watch(settings))
