"""Which intensities a picture shows as black and as white."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.volume import Volume
from ...preprocess.intensities import guess_modality, hounsfield_offset

__all__ = ["display_window", "finite_sample"]

_CT_WINDOW_HU = (-200.0, 400.0)
_WINDOW_PERCENTILES = (2.0, 99.5)
_LARGEST_SAMPLE = 2_000_000


def display_window(volume: Volume, voxels: NDArray[Any]) -> tuple[float, float]:
    """Intensities to show as black and as white: soft tissue and bone in a CT, otherwise nearly all there is."""
    modality = guess_modality(volume)
    if modality != "other":
        offset = hounsfield_offset(modality)
        return _CT_WINDOW_HU[0] - offset, _CT_WINDOW_HU[1] - offset
    sample = finite_sample(voxels)
    # Padding and what was cut away can be most of a volume, and would make the rest too bright.
    content = sample[sample > sample.min()]
    low = np.percentile(sample, _WINDOW_PERCENTILES[0])
    high = np.percentile(content if content.size else sample, _WINDOW_PERCENTILES[1])
    return (float(low), float(high)) if high > low else (float(low) - 0.5, float(low) + 0.5)


def finite_sample(voxels: NDArray[Any]) -> NDArray[Any]:
    """Some of the voxels, evenly spread, without those that are not finite; one zero where there are none."""
    flat = voxels.ravel()[:: max(1, voxels.size // _LARGEST_SAMPLE)]
    finite = flat[np.isfinite(flat)]
    return finite if finite.size else np.zeros(1, dtype=np.float32)
