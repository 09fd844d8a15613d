r"""Intensities as 8-bit codes that lose little where the volume has most of its voxels.

The spacing of the codes follows the cube root of the histogram, which is optimal for the mean square error
(:math:`\lambda \propto p^{1/3}`, Panter and Dite 1951, doi:10.1109/JRPROC.1951.230419). A narrow window of a CT thus
has many more grey levels than with even steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..pictures.window import finite_sample

__all__ = ["FIRST_CODE", "OUTSIDE", "IntensityCode"]

OUTSIDE = 0
# The gap to the code of what lies outside survives compression as JPEG.
FIRST_CODE = 40
_BINS = 2048
_PERCENTILES = (0.02, 99.98)


@dataclass(frozen=True)
class IntensityCode:
    """Code of the intensities of one volume.

    Parameters
    ----------
    values : array, shape (256,)
        Intensity of each code, rising; those below :data:`FIRST_CODE` are not used.
    """

    values: NDArray[np.float64]

    @classmethod
    def of(cls, voxels: NDArray[np.float32]) -> IntensityCode:
        """Fit to voxels, which may hold values that are not finite."""
        sample = finite_sample(voxels)
        low, high = np.percentile(sample, _PERCENTILES)
        if not high > low:
            low, high = low - 0.5, high + 0.5
        counts, edges = np.histogram(sample, bins=_BINS, range=(low, high))
        density = np.cbrt(counts + 1e-4 * sample.size / _BINS)
        cumulative = np.concatenate([[0.0], np.cumsum(density)])
        wanted = np.linspace(0, cumulative[-1], 256 - FIRST_CODE)
        values = np.interp(wanted, cumulative, edges)
        return cls(np.concatenate([np.full(FIRST_CODE, values[0]), values]))

    def encode(self, voxels: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Codes of voxels of any shape; NaN is :data:`OUTSIDE`."""
        codes = np.interp(voxels, self.values[FIRST_CODE:], np.arange(FIRST_CODE, 256, dtype=np.float32))
        return np.where(np.isfinite(voxels), np.rint(codes), OUTSIDE).astype(np.uint8)
