"""The intensity that parts air from tissue in volumes without a fixed scale: MR, PET and whatever is no CT.

Otsu's threshold is taken of logarithms. On the intensities themselves it parts fat from muscle, or a tumour from
everything else; air and tissue differ by a large factor, whatever the bias field.

References
----------
Otsu 1979, doi:10.1109/TSMC.1979.4310076.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

__all__ = ["background_threshold"]

# Added before the logarithm, as a share of bright tissue: differences below it are noise.
_FLOOR = 0.01
# Mean of the darker class over that of the brighter one: of air 0.15 at most was seen, of muscle and fat 0.36.
_DARKEST_TISSUE = 0.2
_NOISE = 0.05
_MOST_SPLITS = 3
# A darker class that holds two of its own, this much apart, is air and tissue of little uptake.
_APART = 4.0
_LEAST_SHARE = 0.02


def background_threshold(means: NDArray[np.float32], seen: NDArray[np.bool_]) -> float | None:
    """Find the intensity below which there is air.

    Parameters
    ----------
    means : array of float32
        Intensities with little noise.
    seen : array of bool, same shape
        Where there is data, not padding.

    Returns
    -------
    float or None
        None when all is tissue.
    """
    values = means.ravel().astype(np.float64)
    darkest, bright = (float(value) for value in np.percentile(values, [0.5, 99]))
    # Noise about zero is no offset.
    shift = darkest if darkest < -_NOISE * bright else 0.0
    values = np.maximum(values - shift, 0.0)
    bright -= shift
    if bright <= 0:
        return None
    floor = _FLOOR * bright
    darker = values
    for _ in range(_MOST_SPLITS):
        threshold = _otsu_of_logarithms(darker, floor)
        air = values <= threshold
        if not air.any() or air.all():
            return None
        if values[air].mean() <= _DARKEST_TISSUE * values[~air].mean():
            return _lowered(threshold, values[air & seen.ravel()], floor) + shift
        darker = values[air]
    return None


def _lowered(threshold: float, darker: NDArray[np.float64], floor: float) -> float:
    """The threshold within the darker class where that has two far apart, else the threshold itself."""
    if darker.size < 2 or darker.min() == darker.max():
        return threshold
    found, largest = threshold, _APART
    # Logarithms part two large classes, plain intensities also a small one from noise about zero.
    for lower in (_otsu(darker), _otsu_of_logarithms(darker, floor)):
        faint = darker > lower
        if not _LEAST_SHARE <= faint.mean() <= 1 - _LEAST_SHARE:
            continue
        apart = float((darker[faint].mean() + floor) / (darker[~faint].mean() + floor))
        if apart >= largest:
            found, largest = lower, apart
    return found


def _otsu_of_logarithms(values: NDArray[np.float64], floor: float) -> float:
    return float(np.exp(_otsu(np.log(values + floor))) - floor)


def _otsu(values: NDArray[np.float64]) -> float:
    otsu = sitk.OtsuThresholdImageFilter()
    otsu.SetNumberOfHistogramBins(256)
    otsu.Execute(sitk.GetImageFromArray(values[None, :]))
    return float(otsu.GetThreshold())
