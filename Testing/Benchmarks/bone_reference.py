"""Where a bone of a real pair lies, by an optimiser that shares nothing with the one under test: SimpleITK's."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from MultimodalRegistrationLib.geometry.linear import closest_rotation, displacement_mm
from MultimodalRegistrationLib.io.volumes import Volume
from MultimodalRegistrationLib.structures.structure import Structure
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

__all__ = ["reference_of_bone"]

_SHELL_VOXELS = 6
_RESTARTS = 5
_SHARE = 0.25
_PERTURBED_MM, _PERTURBED_DEG = 1.5, 1.5
# Ends as good as the best, the metric being negative; where they are farther apart they tell nothing to a millimetre.
_AS_GOOD, _SETTLED_MM = 0.03, 0.75


def reference_of_bone(
    fixed: Volume, moving: Volume, bone: Structure, published: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Refine the published transform on one bone, from several poses around it.

    Parameters
    ----------
    fixed, moving : Volume
        World coordinates.
    bone : Structure
        In the frame of the fixed volume.
    published : array, shape (4, 4)
        ``fixed_to_moving_lps``.

    Returns
    -------
    array, shape (4, 4), or None
        The end with the best metric; None where no other restart came to it, or another place is as good.
    """
    image = sitk.Resample(bone.mask.image, fixed.image, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
    near = ndimage.binary_dilation(sitk.GetArrayFromImage(image) > 0, np.ones((1, 3, 3)), iterations=_SHELL_VOXELS)
    mask = sitk.GetImageFromArray(near.astype(np.uint8))
    mask.CopyInformation(fixed.image)
    volumes = [sitk.Cast(volume.image, sitk.sitkFloat32) for volume in (_clipped(fixed), moving)]
    center = bone.points_lps.mean(axis=0)
    rng = np.random.default_rng(0)
    ends = []
    for number in range(_RESTARTS):
        turn, shift = (rng.normal(size=3) for _ in range(2))
        size = 0.0 if number == 0 else 1.0
        moved = np.eye(4)
        moved[:3, :3] = Rotation.from_rotvec(
            size * np.radians(_PERTURBED_DEG) * turn / np.linalg.norm(turn)
        ).as_matrix()
        moved[:3, 3] = center - moved[:3, :3] @ center + size * _PERTURBED_MM * shift / np.linalg.norm(shift)
        ends.append(_refined(*volumes, mask, published @ moved, center))
    best, metric = min(ends, key=lambda end: end[1])
    points = bone.points_lps[::50]
    as_good = [end for end, value in ends if value <= (1 - _AS_GOOD) * metric]
    apart_mm = [float(displacement_mm(end, best, points).mean()) for end in as_good]
    return best if len(as_good) > 1 and max(apart_mm) <= _SETTLED_MM else None


def _clipped(volume: Volume) -> Volume:
    """A CT without what is far from tissue and bone, which would take most bins of the histogram."""
    return Volume(sitk.Clamp(volume.image, sitk.sitkFloat32, -200, 1200), volume.name)


def _refined(
    fixed: sitk.Image, moving: sitk.Image, mask: sitk.Image, start: NDArray[np.float64], center: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    start = np.block([[closest_rotation(start), start[:3, 3:]], [start[3:]]])
    transform = sitk.VersorRigid3DTransform()
    transform.SetCenter(center.tolist())
    transform.SetMatrix(start[:3, :3].ravel().tolist(), 1e-4)
    transform.SetTranslation((start[:3, :3] @ center + start[:3, 3] - center).tolist())
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(40)
    method.SetMetricFixedMask(mask)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(_SHARE, 1)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-3, 150, 0.7, 1e-9)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(transform, inPlace=True)
    method.Execute(fixed, moving)
    found = np.eye(4)
    found[:3, :3] = np.reshape(transform.GetMatrix(), (3, 3))
    found[:3, 3] = np.asarray(transform.GetTranslation()) + center - found[:3, :3] @ center
    return found, float(method.GetMetricValue())
