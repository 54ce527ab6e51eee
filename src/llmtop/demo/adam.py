"""Adam with warm-up, cosine decay and gradient clipping."""

from __future__ import annotations

import math

import numpy as np

from llmtop.demo.model import Parameters

PEAK_RATE = 3e-3
LAST_SHARE = 0.05
"""Of the peak, at the last step."""
WARM_UP_STEPS = 100
BETAS = 0.9, 0.98
EPSILON = 1e-8
MAX_NORM = 1.0


def learning_rate(step: int, total_steps: int) -> float:
    """Return the rate of a step: up in a line, then down along a cosine."""
    if step < WARM_UP_STEPS:
        return PEAK_RATE * (step + 1) / WARM_UP_STEPS
    done = (step - WARM_UP_STEPS) / max(1, total_steps - WARM_UP_STEPS)
    cosine = (1 + math.cos(math.pi * min(done, 1.0))) / 2
    return PEAK_RATE * (LAST_SHARE + (1 - LAST_SHARE) * cosine)


def clip(gradients: Parameters) -> float:
    """Scale gradients in place to a norm of MAX_NORM at most; return the norm they had."""
    norm = math.sqrt(sum(float((part * part).sum()) for part in gradients.values()))
    if norm > MAX_NORM:
        for part in gradients.values():
            part *= np.float32(MAX_NORM / norm)
    return norm


class Adam:
    """Running moments of the gradients, and the update they ask for."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._first = {name: np.zeros_like(part) for name, part in parameters.items()}
        self._second = {name: np.zeros_like(part) for name, part in parameters.items()}
        self._steps = 0

    def update(self, gradients: Parameters, rate: float) -> None:
        """Move the parameters, in place, against the gradients."""
        self._steps += 1
        one, two = BETAS
        rate *= math.sqrt(1 - two**self._steps) / (1 - one**self._steps)
        for name, gradient in gradients.items():
            first, second = self._first[name], self._second[name]
            first += (1 - one) * (gradient - first)
            second += (1 - two) * (gradient * gradient - second)
            self._parameters[name] -= rate * first / (np.sqrt(second) + EPSILON)
