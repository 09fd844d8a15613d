"""Masks of the real pairs: body, brain, organ, tumour and bone, and some that nobody should draw but somebody will."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from MultimodalRegistrationLib.core.linear import apply_matrix, sitk_from_matrix
from MultimodalRegistrationLib.core.volume import Volume
from MultimodalRegistrationLib.io.volumes import read_mask, read_volume
from MultimodalRegistrationLib.preprocess.foreground import foreground
from MultimodalRegistrationLib.preprocess.masks import mask_like
from numpy.typing import NDArray
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Python"))
from conftest import REAL_DATA

__all__ = ["ODD_SHAPES", "SHAPES", "make_masks", "shapes_of"]

BONE_HU = 250.0
SMALLEST_BONE_ML = 2.0
MARROW_MM = 8.0
BRAIN_HALF_AXES_MM = (55.0, 75.0, 60.0)
ORGAN_HALF_AXES_MM = (45.0, 32.0, 38.0)
SHAPES = ("body", "brain", "organ", "tumour", "bone")
ODD_SHAPES = ("outside", "slab", "tiny", "dots")
Arrays = tuple[NDArray[np.bool_], NDArray[np.bool_]]


def shapes_of(name: str) -> tuple[str, ...]:
    """The shapes that a pair shows."""
    family = name.split("-")[0]
    if family == "stroke":
        return ("brain", "organ")
    if family == "template":
        return ("body", "brain", "bone") if name == "template-ct" else ("body", "brain")
    return ("body", "organ", "bone") if family == "porcine" else ("body", "tumour", "bone")


def make_masks(name: str, case: dict[str, Any], shape: str) -> Arrays:
    """Voxels of both volumes that a mask marks: the same part of the body, brought over by the true transform.

    Automatic masks of the body are made of each volume on its own.

    Parameters
    ----------
    name, case
        Of ``real_cases()``.
    shape : str
        One of :data:`SHAPES` or :data:`ODD_SHAPES`.

    Returns
    -------
    tuple of two arrays, shape (K, J, I), bool
        Fixed and moving.
    """
    fixed, moving = (read_volume(REAL_DATA / case[role]) for role in ("fixed", "moving"))
    truth = np.asarray(case["truth_matrix_lps"])
    if shape == "body":
        return _marked(foreground(fixed)), _marked(foreground(moving))
    if shape == "brain" and name.startswith("stroke"):
        return np.asarray(fixed.voxels > 0), np.asarray(moving.voxels > 0)
    if shape == "bone" and name == "porcine":
        bone = mask_like(moving, _bone(moving), "bone")
        return _over(bone, fixed, truth), _marked(bone)
    if shape == "bone":
        # The head of the template has its CT as the moving volume.
        if name == "template-ct":
            bone = mask_like(moving, _bone(moving), "bone")
            return _over(bone, fixed, truth), _marked(bone)
        on_fixed = mask_like(fixed, _bone(fixed), "bone")
    elif shape == "tumour":
        drawn = read_mask(REAL_DATA / Path(case["fixed"]).parent / "tumour_on_ct.nrrd")
        on_fixed = mask_like(fixed, _over(drawn, fixed, np.eye(4)), "tumour")
    else:
        on_fixed = mask_like(fixed, _SHAPES[shape](fixed, case), shape)
    return _marked(on_fixed), _over(on_fixed, moving, np.linalg.inv(truth))


def _marked(mask: Volume) -> NDArray[np.bool_]:
    return np.asarray(mask.voxels > 0)


def _over(mask: Volume, reference: Volume, reference_to_mask_lps: NDArray[np.float64]) -> NDArray[np.bool_]:
    image = sitk.Resample(
        sitk.Cast(mask.image > 0, sitk.sitkUInt8),
        reference.image,
        sitk_from_matrix(reference_to_mask_lps),
        sitk.sitkNearestNeighbor,
    )
    return np.asarray(sitk.GetArrayFromImage(image) > 0)


def _bone(ct: Volume) -> NDArray[np.bool_]:
    """Voxels above the threshold within the body, closed, with their marrow, without small pieces."""
    spacing = ct.grid.spacing_mm[::-1]
    hard = (ct.voxels > BONE_HU) & _marked(foreground(ct))
    closed = ndimage.binary_closing(np.pad(hard, 3), iterations=2)[3:-3, 3:-3, 3:-3] | hard
    filled = np.stack([ndimage.binary_fill_holes(slice_) for slice_ in closed])
    # A skull encloses a brain, which is no marrow.
    filled &= ndimage.distance_transform_edt(~closed, sampling=spacing) <= MARROW_MM
    labels, _ = ndimage.label(filled)
    sizes_ml = np.bincount(labels.ravel()) * np.prod(spacing) / 1000
    sizes_ml[0] = 0
    return np.asarray((sizes_ml >= SMALLEST_BONE_ML)[labels])


def _center_lps(case: dict[str, Any]) -> NDArray[np.float64]:
    return np.asarray(np.loadtxt(REAL_DATA / case["points"], delimiter=",", skiprows=1).mean(axis=0))


def _relative_lps(fixed: Volume, center_lps: NDArray[np.float64]) -> NDArray[np.float64]:
    index = np.moveaxis(np.indices(fixed.voxels.shape), 0, -1)[..., ::-1]
    return apply_matrix(fixed.grid.ijk_to_lps, index.reshape(-1, 3)).reshape(index.shape) - center_lps


def _ellipsoid(half_axes_mm: tuple[float, float, float]) -> Callable[[Volume, dict[str, Any]], NDArray[np.bool_]]:
    def marked(fixed: Volume, case: dict[str, Any]) -> NDArray[np.bool_]:
        offsets = _relative_lps(fixed, _center_lps(case))
        return np.asarray(((offsets / np.asarray(half_axes_mm)) ** 2).sum(axis=-1) <= 1)

    return marked


def _slab(fixed: Volume, case: dict[str, Any]) -> NDArray[np.bool_]:
    """Three slices through the middle."""
    marked = np.zeros(fixed.voxels.shape, dtype=bool)
    middle = round(apply_matrix(np.linalg.inv(fixed.grid.ijk_to_lps), _center_lps(case))[2])
    marked[middle - 1 : middle + 2] = True
    return marked


def _dots(fixed: Volume, case: dict[str, Any]) -> NDArray[np.bool_]:
    """Twenty single voxels within 60 mm of the middle."""
    near = np.argwhere(np.linalg.norm(_relative_lps(fixed, _center_lps(case)), axis=-1) < 60)
    marked = np.zeros(fixed.voxels.shape, dtype=bool)
    marked[tuple(near[np.random.default_rng(0).choice(len(near), 20, replace=False)].T)] = True
    return marked


_organ = _ellipsoid(ORGAN_HALF_AXES_MM)
_SHAPES: dict[str, Callable[[Volume, dict[str, Any]], NDArray[np.bool_]]] = {
    "brain": _ellipsoid(BRAIN_HALF_AXES_MM),
    "organ": _organ,
    "outside": lambda fixed, case: ~_organ(fixed, case),
    "slab": _slab,
    "tiny": _ellipsoid((12.0, 12.0, 12.0)),
    "dots": _dots,
}
