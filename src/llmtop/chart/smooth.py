"""Smoothing: an exponential moving average without the start's bias."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LARGEST_FACTOR = 1 - 1e-9
"""Nearer to 1 the weights of single points would vanish in float64."""


def ema(
    mean: NDArray[np.float64], n: NDArray[np.float64], factor: float
) -> NDArray[np.float64]:
    """Return the bias-corrected EMA of column means, shape (count,); NaN columns stay NaN.

    A column of n points counts as n points of its mean: the past decays by factor**n, so that
    the curve is the same at every zoom. Bias correction as in Adam (Kingma and Ba, 2015): the sum
    of weights is carried beside the sum of values.

    Args:
        mean: column means, NaN = no data.
        n: points in each column.
        factor: weight of the past, 0 (no smoothing) to below 1.
    """
    seen = np.isfinite(mean) & (n > 0)
    if factor <= 0:
        return np.where(seen, mean, np.nan)
    out = np.full(len(mean), np.nan)
    total = weight = 0.0
    smoothed = []
    keeps = np.power(min(factor, LARGEST_FACTOR), n[seen]).tolist()
    for value, keep in zip(mean[seen].tolist(), keeps, strict=True):
        total = total * keep + value * (1 - keep)
        weight = weight * keep + (1 - keep)
        smoothed.append(total / weight)
    out[seen] = smoothed
    return out
