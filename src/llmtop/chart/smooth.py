"""Smoothing: an exponential moving average without the start's bias."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def ema(
    mean: NDArray[np.float64], n: NDArray[np.float64], factor: float
) -> NDArray[np.float64]:
    """Return the bias-corrected EMA of column means, shape (count,); NaN columns stay NaN.

    A column of n points counts as n points of its mean: its weight decays by factor**n, so that
    the curve is the same at every zoom. Bias correction as in Adam (Kingma and Ba, 2015): the sum
    of weights is carried beside the sum of values.

    Args:
        mean: column means, NaN = no data.
        n: points in each column.
        factor: weight of the past, 0 (no smoothing) to below 1.
    """
    out = np.full(len(mean), np.nan)
    if factor <= 0:
        return np.where(np.isfinite(mean), mean, np.nan)
    ok = np.isfinite(mean) & (n > 0)
    decay = np.power(factor, n[ok])
    total = weight = 0.0
    smoothed = np.empty(len(decay))
    for i, (value, keep) in enumerate(zip(mean[ok].tolist(), decay.tolist(), strict=True)):
        total = total * keep + value * (1 - keep)
        weight = weight * keep + (1 - keep)
        smoothed[i] = total / weight if weight else value
    out[ok] = smoothed
    return out
