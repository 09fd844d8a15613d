"""Transforms applied in either direction: points are mapped one way, volumes resampled the other.

A transform maps fixed points to moving ones. To bring a *volume* from moving to fixed, each voxel of the fixed grid
asks the transform where to look in the moving volume: the transform is used as it is. To bring a *point* from moving
to fixed, the inverse is needed. From fixed to moving it is the other way round.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike, NDArray

from ..core.errors import InputError
from ..core.frames import flip_ijk_to_space, flip_matrix_lps_ras
from ..core.grid import VolumeGrid
from ..core.linear import apply_matrix, sitk_from_matrix
from ..core.spatial import SpatialTransform, displacement_grid
from ..core.volume import Volume
from ..io.segmentations import layers_of

# The last one smooths each label by a Gaussian and lets the strongest win, for borders without steps.
Interpolation = Literal["linear", "bspline", "nearest", "label"]
INTERPOLATIONS: tuple[Interpolation, ...] = get_args(Interpolation)
_CODES = {
    "linear": sitk.sitkLinear,
    "bspline": sitk.sitkBSpline,
    "nearest": sitk.sitkNearestNeighbor,
    "label": sitk.sitkLabelGaussian,
}
_OF_LABELS = ("nearest", "label")
_LAYER_EXTENT = re.compile(r"Segment\d+_Extent")
_OFFSET = "Segmentation_ReferenceImageExtentOffset"
_PARAMETERS = "Segmentation_ConversionParameters"
# Sixteen numbers of voxels to RAS, row by row, and six of the extent.
_GEOMETRY = re.compile(r"(Reference image geometry\|)([^|]*)(?=\|)")
# Those of ITK, which writes them anew.
_OF_THE_FILE = ("ITK_", "NRRD_")
_SOLVED_MM = 1e-4
_COARSENINGS = (4, 2, 1)
_PROBES = 20_000
_MOST_NODES = 20_000_000
_POINTS_A_STEP = 200_000
_VOXELS_OFF = 0.02


def resample(
    volume: Volume,
    grid: VolumeGrid,
    transform: sitk.Transform,
    *,
    interpolation: Interpolation = "linear",
    outside: float | None = None,
) -> Volume:
    """Bring a volume to a grid.

    Parameters
    ----------
    volume : Volume
        What is shown.
    grid : VolumeGrid
        Voxels of the result.
    transform : SimpleITK.Transform
        Maps points of the grid to points of the volume, LPS, mm.
    interpolation : str
        One of :data:`INTERPOLATIONS`.
    outside : float, optional
        Value where the volume shows nothing; by default 0 for labels, and for others the lowest value that there is:
        zero would be soft tissue in a CT.

    Returns
    -------
    Volume
        With the pixel type of the volume. Integers are rounded, which ITK does not do by itself.
    """
    image = volume.image
    labels = interpolation in _OF_LABELS
    if outside is None:
        outside = 0.0 if labels else float(volume.voxels.min())
    whole = np.issubdtype(volume.voxels.dtype, np.integer)
    # Integers of up to 16 bits are exact in 32-bit floats.
    float_type = sitk.sitkFloat32 if volume.voxels.dtype.itemsize <= 2 else sitk.sitkFloat64
    moved = sitk.Resample(
        image,
        grid.size,
        transform,
        _CODES[interpolation],
        grid.origin_lps,
        grid.spacing_mm,
        grid.direction,
        outside,
        image.GetPixelID() if labels or not whole else float_type,
    )
    if whole and not labels:
        limits = np.iinfo(volume.voxels.dtype)
        moved = sitk.Cast(
            sitk.Clamp(sitk.Round(moved), float_type, float(limits.min), float(limits.max)), image.GetPixelID()
        )
    return Volume(moved, volume.name)


def moved_entries(entries: dict[str, str], matrix_lps: NDArray[np.float64]) -> dict[str, str]:
    """The entries of the header where the segmentation is moved by it.

    Parameters
    ----------
    entries : dict
        Names, colours and places of the segments.
    matrix_lps : array, shape (4, 4)
        Where points go, LPS, mm.

    Returns
    -------
    dict
        With the reference geometry, in which Slicer edits and converts, moved too.
    """

    def moved(found: re.Match[str]) -> str:
        numbers = [number for number in found[2].split(";") if number]
        if len(numbers) < 16:
            return found[0]
        placed = flip_matrix_lps_ras(matrix_lps) @ np.array(numbers[:16], dtype=np.float64).reshape(4, 4)
        return found[1] + "".join(f"{number};" for number in (*placed.ravel().tolist(), *numbers[16:]))

    return {key: _GEOMETRY.sub(moved, value) if key == _PARAMETERS else value for key, value in entries.items()}


def resample_segmentation(
    image: sitk.Image,
    entries: dict[str, str],
    grid: VolumeGrid,
    transform: sitk.Transform,
    *,
    interpolation: Interpolation,
) -> sitk.Image:
    """Bring all layers to a grid.

    Parameters
    ----------
    image : SimpleITK.Image
        One component for each layer.
    entries : dict
        Of the header: names, colours and places of the segments.
    grid : VolumeGrid
        Voxels of the result, and its reference geometry for Slicer.
    transform : SimpleITK.Transform
        Maps points of the grid to points of the segmentation, LPS, mm.
    interpolation : {"nearest", "label"}
        Of the labels of each layer.

    Returns
    -------
    SimpleITK.Image
        With the entries of the header, those about the extent brought up to date.
    """
    layers = []
    for voxels in layers_of(image):
        layer = sitk.GetImageFromArray(voxels)
        VolumeGrid.of_image(image).place(layer)
        layers.append(resample(Volume(layer, ""), grid, transform, interpolation=interpolation).image)
    moved = layers[0] if image.GetNumberOfComponentsPerPixel() == 1 else sitk.Compose(layers)
    extent = " ".join(f"0 {n - 1}" for n in grid.size)
    geometry = [*flip_ijk_to_space(grid.ijk_to_lps).ravel().tolist(), *map(int, extent.split())]
    for key, value in entries.items():
        if key.startswith(_OF_THE_FILE):
            continue
        if _LAYER_EXTENT.fullmatch(key):
            value = extent
        elif key == _OFFSET:
            value = "0 0 0"
        elif key == _PARAMETERS:
            value = _GEOMETRY.sub(lambda found: found[1] + "".join(f"{number!r};" for number in geometry), value)
        moved.SetMetaData(key, value)
    return moved


@dataclass(frozen=True)
class CarriedPoints:
    """Points in the frame they were carried to.

    Parameters
    ----------
    points_lps : array, shape (N, 3)
        LPS, mm.
    lost : int
        How many of them lie where the transform folds or jumps, so that no point belongs to them: they were put where
        they come close.
    """

    points_lps: NDArray[np.float64]
    lost: int


@dataclass(frozen=True)
class Resampling:
    """How the voxels of a grid find what they show.

    Parameters
    ----------
    transform : SimpleITK.Transform
        Maps points of the grid to points of the volume that is carried, LPS, mm.
    error_mm : float
        Largest error at the points where that was looked at; zero unless a numerical inverse was sampled.
    """

    transform: sitk.Transform
    error_mm: float


@dataclass(frozen=True)
class Carrier:
    """A transform with the way to go.

    Parameters
    ----------
    transform : SpatialTransform
        ``fixed_to_moving_lps``.
    to_fixed : bool
        Whether things go from the moving volume to the fixed one, or the other way.
    """

    transform: SpatialTransform
    to_fixed: bool

    @property
    def matrix(self) -> NDArray[np.float64] | None:
        """Of a linear transform: carries points the way to go, shape (4, 4), LPS, mm; None for all others."""
        matrix = self.transform.matrix
        return np.asarray(np.linalg.inv(matrix)) if matrix is not None and self.to_fixed else matrix

    @property
    def mirrors(self) -> bool:
        """Whether it turns right into left, as the product of its stages does."""
        return bool(np.prod([np.sign(np.linalg.det(stage.affine[:3, :3])) for stage in self.transform.stages]) < 0)

    def points(self, points_lps: ArrayLike) -> CarriedPoints:
        """Carry points, shape (N, 3), LPS, mm."""
        points = np.asarray(points_lps, dtype=np.float64).reshape(-1, 3)
        if self.matrix is not None:
            return CarriedPoints(apply_matrix(self.matrix, points), 0)
        if not self.to_fixed:
            return CarriedPoints(self.transform.to_moving(points), 0)
        found = self.transform.preimages(points, solved_mm=_SOLVED_MM)
        return CarriedPoints(found.points_lps, int(np.count_nonzero(found.misses_mm > 10 * _SOLVED_MM)))

    def resampling(self, grid: VolumeGrid) -> Resampling:
        """How a volume is carried to a grid.

        Raises
        ------
        InputError
            The grid is too large for the numerical inverse of a non-linear transform.
        """
        if self.matrix is not None:
            return Resampling(sitk_from_matrix(np.linalg.inv(self.matrix)), 0.0)
        if self.to_fixed:
            return Resampling(self.transform.transform, 0.0)
        index = np.random.default_rng(0).uniform(0, np.asarray(grid.size) - 1, (_PROBES, 3))
        made = displacement_grid(
            lambda points: self.transform.preimages(points, solved_mm=_SOLVED_MM, continued=True).points_lps,
            _coarser(grid),
            apply_matrix(grid.ijk_to_lps, index),
            good_enough_mm=_VOXELS_OFF * min(grid.spacing_mm),
            most_nodes=_MOST_NODES,
            points_a_step=_POINTS_A_STEP,
        )
        if made is None:
            raise InputError(
                self.transform.name,
                f"its inverse at {np.prod(grid.size):.3g} voxels would not fit into memory",
                "Give a reference with fewer voxels.",
            )
        return Resampling(made.transform, made.error_mm)


def _coarser(grid: VolumeGrid) -> Iterator[VolumeGrid]:
    """Grids with nodes on the outermost voxel centres of another, the last one that grid itself."""
    size = np.asarray(grid.size)
    for coarsening in _COARSENINGS:
        nodes = np.ceil((size - 1) / coarsening).astype(int) + 1
        matrix = grid.ijk_to_lps
        # A single layer of voxels stays one.
        matrix[:3, :3] *= np.where(nodes > 1, (size - 1) / np.maximum(nodes - 1, 1), 1.0)
        yield VolumeGrid.of_matrix((int(nodes[0]), int(nodes[1]), int(nodes[2])), matrix)
