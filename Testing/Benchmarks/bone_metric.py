"""How well a bone fits, by a metric that shares nothing with the code under test: SimpleITK's mutual information."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from MultimodalRegistrationLib.core.linear import sitk_from_matrix
from MultimodalRegistrationLib.core.volume import Volume
from MultimodalRegistrationLib.polyrigid.structure import Structure
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["metric_of_bone"]

_SHELL_VOXELS = 6
_BINS = 40


def metric_of_bone(fixed: Volume, moving: Volume, bone: Structure, fixed_to_moving_lps: NDArray[np.float64]) -> float:
    """Mattes mutual information of all voxels of a bone and of what lies within some voxels of it, in nats."""
    image = sitk.Resample(bone.mask.image, fixed.image, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
    near = ndimage.binary_dilation(sitk.GetArrayFromImage(image) > 0, np.ones((1, 3, 3)), iterations=_SHELL_VOXELS)
    mask = sitk.GetImageFromArray(near.astype(np.uint8))
    mask.CopyInformation(fixed.image)
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetMetricFixedMask(mask)
    method.SetMetricSamplingStrategy(method.NONE)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetInitialTransform(sitk_from_matrix(fixed_to_moving_lps))
    # Without what is far from tissue and bone, which would take most bins.
    clipped = sitk.Clamp(fixed.image, sitk.sitkFloat32, -200, 1200)
    return -float(method.MetricEvaluate(clipped, sitk.Cast(moving.image, sitk.sitkFloat32)))
