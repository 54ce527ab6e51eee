"""Settings -> the detector that looks with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llmtop.rules.detectors.base import Detector
from llmtop.rules.detectors.creep import CreepDetector
from llmtop.rules.detectors.diverged import DivergedDetector
from llmtop.rules.detectors.lives import EndedDetector, RestartedDetector, SilentDetector
from llmtop.rules.detectors.settings import DETECTORS, Settings
from llmtop.rules.detectors.spike import SpikeDetector, SpikeRateDetector
from llmtop.rules.detectors.stalled import StalledDetector
from llmtop.rules.detectors.straggler import StragglerDetector
from llmtop.rules.detectors.turns import HalvedDetector, TurnedDetector

_MAKERS: dict[str, Callable[[Any, bool], Detector]] = {
    "spike": SpikeDetector, "spike_rate": SpikeRateDetector, "diverged": DivergedDetector,
    "turned": TurnedDetector, "halved": HalvedDetector, "creep": CreepDetector,
    "stalled": lambda settings, _: StalledDetector(settings),
    "silent": lambda settings, _: SilentDetector(settings),
    "straggler": lambda settings, _: StragglerDetector(settings),
    "ended": lambda _, __: EndedDetector(), "restarted": lambda _, __: RestartedDetector(),
}  # fmt: skip
assert _MAKERS.keys() == DETECTORS.keys()


def make(settings: Settings, each: bool) -> Detector:
    """Return a new detector; `each`: it judges every rank or device by itself."""
    return _MAKERS[settings.kind](settings, each)
