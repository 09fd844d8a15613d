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
_DARKEST_TISSUE = 0.25
_MOST_SPLITS = 3


def background_threshold(means: NDArray[np.float32]) -> float | None:
    """Find the intensity below which there is air.

    Parameters
    ----------
    means : array of float32
        Intensities with little noise.

    Returns
    -------
    float or None
        None when all is tissue.
    """
    values = means.ravel().astype(np.float64)
    shift = min(0.0, float(np.percentile(values, 0.5)))
    values = np.maximum(values - shift, 0.0)
    bright = float(np.percentile(values, 99))
    if bright <= 0:
        return None
    darker = values
    for _ in range(_MOST_SPLITS):
        threshold = _otsu_of_logarithms(darker, _FLOOR * bright)
        air = values <= threshold
        if not air.any() or air.all():
            return None
        if values[air].mean() <= _DARKEST_TISSUE * values[~air].mean():
            return threshold + shift
        darker = values[air]
    return None


def _otsu_of_logarithms(values: NDArray[np.float64], floor: float) -> float:
    otsu = sitk.OtsuThresholdImageFilter()
    otsu.SetNumberOfHistogramBins(256)
    otsu.Execute(sitk.GetImageFromArray(np.log(values + floor)[None, :]))
    return float(np.exp(otsu.GetThreshold()) - floor)
