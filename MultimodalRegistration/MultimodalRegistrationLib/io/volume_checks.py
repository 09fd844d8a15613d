"""What makes a volume unfit for registration, found before any engine starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.grid import VolumeGrid

# A clinical scan is at most about 2 m long (whole-body CT or PET) and 1 m across (the bore).
_LONGEST_EXTENT_MM = 2500.0
_WIDEST_EXTENT_MM = 1000.0
# Two volumes of one subject whose sizes differ by more than this are in different units (mm and micrometre).
_LARGEST_EXTENT_RATIO = 50.0
_LABEL_MAP_VALUES = 20
_LABEL_MAP_EQUAL_NEIGHBOURS = 0.7
_SUBSAMPLE_VOXELS = 2_000_000
_FEW = 101


def check_header(reader: sitk.ImageFileReader, path: Path, *, layers: bool = False) -> None:
    """Refuse files that are not scalar volumes, before their voxels are read.

    Parameters
    ----------
    reader : SimpleITK.ImageFileReader
        A reader that has read the image information of ``path``.
    path : Path
        The file that messages name.
    layers : bool
        Whether the components of a voxel may be the layers of a segmentation, and the volume as thin as a cropped
        segment.

    Raises
    ------
    InputError
        Two-dimensional, a time series, vector or colour, or without voxels.
    """
    size = tuple(reader.GetSize())
    shape = " x ".join(map(str, size))
    if 0 in size:
        raise InputError(path, f"the image has no voxels ({shape})", "Export it again.", code="no-voxels")
    if len(size) > 3 and max(size[3:]) > 1:
        raise InputError(
            path,
            f"a time series or sequence ({shape})",
            "Save one frame as a volume: in Slicer's Sequences module, select the frame and save the proxy volume.",
            code="sequence",
        )
    if len(size) not in (3, 4):
        raise InputError(
            path,
            f"not a three-dimensional volume ({shape})",
            "Give a volume of many slices.",
            code="not-three-dimensional",
        )
    if not layers:
        _check_size(size[:3], str(path))
    components = reader.GetNumberOfComponents()
    if components > 1 and not (layers and any(key.startswith("Segment") for key in reader.GetMetaDataKeys())):
        raise InputError(
            path,
            f"a vector or colour volume ({components} components a voxel)",
            "Convert it to a scalar volume first: in Slicer, the module Vector to Scalar Volume does it.",
            code="vector",
        )
    if "complex" in sitk.GetPixelIDValueAsString(reader.GetPixelID()):
        raise InputError(path, "a complex-valued volume", "Save its magnitude as a scalar volume.", code="complex")


def check_scalar_volume(image: sitk.Image, name: str) -> None:
    """Refuse volumes whose voxels or placement cannot be registered.

    Parameters
    ----------
    image : SimpleITK.Image
        A three-dimensional scalar image.
    name : str
        The file or node that messages name.

    Raises
    ------
    InputError
        Implausible extent, NaN or infinite voxels, a constant volume, or a label map.
    """
    check_placement(VolumeGrid.of_image(image), name)
    check_values(image, name)
    check_label_map(image, name)


def check_values(image: sitk.Image, name: str) -> None:
    """Refuse scalar images without contents.

    Raises
    ------
    InputError
        NaN or infinite voxels, or all voxels alike.
    """
    voxels = sitk.GetArrayViewFromImage(image)
    values = VoxelRange()
    values.add(voxels)
    values.check(name)


class VoxelRange:
    """The values of a volume that is seen in parts: whether they are numbers, and not all the same."""

    def __init__(self) -> None:
        self._low: Any = np.inf
        self._high: Any = -np.inf
        self._count = 0
        self._bad = 0

    def add(self, voxels: NDArray[Any]) -> None:
        """Look at another part, an array of any shape."""
        self._count += voxels.size
        low, high = voxels.min(), voxels.max()
        # One that is no number makes both of them none.
        if not (np.isfinite(low) and np.isfinite(high)):
            self._bad += int(voxels.size - np.count_nonzero(np.isfinite(voxels)))
        self._low, self._high = min(self._low, low), max(self._high, high)

    def check(self, name: str) -> None:
        """Refuse voxels that cannot be registered.

        Parameters
        ----------
        name : str
            The file or node that messages name.

        Raises
        ------
        InputError
            NaN or infinite voxels, or a constant volume.
        """
        if self._bad:
            raise InputError(
                name,
                f"{self._bad} of {self._count} voxels are NaN or infinite",
                "Replace them, for example by the value of air, and save the volume again.",
                code="not-finite",
            )
        if self._low == self._high:
            raise InputError(
                name,
                f"every voxel has the value {self._low}",
                "The volume is empty; check that the right one was exported.",
                code="constant",
            )


def check_placement(grid: VolumeGrid, name: str) -> None:
    """Refuse grids that cannot be those of a volume of a patient or specimen.

    Parameters
    ----------
    grid : VolumeGrid
        World coordinates.
    name : str
        The file or node that messages name.

    Raises
    ------
    InputError
        Too few voxels along an axis, or an implausible extent.
    """
    _check_size(grid.size, name)
    _check_geometry(grid, name)


def check_label_map(image: sitk.Image, name: str) -> None:
    """Refuse label maps and segmentations given in place of a volume.

    Parameters
    ----------
    image : SimpleITK.Image
        A scalar image, or a segmentation read from a ``.seg.nrrd`` file.
    name : str
        The file or node that messages name.

    Raises
    ------
    InputError
        Few distinct integer values, or the header of a segmentation.
    """
    remedy = "Give the scan itself here; a label map can be its mask."
    if any(key.startswith("Segment0_") for key in image.GetMetaDataKeys()):
        raise InputError(name, "this is a segmentation, not a scan", remedy, code="segmentation")
    if looks_like_label_map(image):
        values = np.unique(_subsample(sitk.GetArrayViewFromImage(image)))
        raise InputError(
            name,
            f"this looks like a label map: its voxels have only {values.size} different values",
            remedy,
            code="label-map",
        )


def looks_like_label_map(image: sitk.Image) -> bool:
    """Tell whether a scalar image holds labels: few distinct integer values, or many in patches of one value."""
    voxels = sitk.GetArrayViewFromImage(image)
    sample = _subsample(voxels)
    if not (np.issubdtype(sample.dtype, np.integer) or np.array_equal(sample, np.round(sample))):
        return False
    # Sorting all of them takes longest; some are mostly enough to see that there are many.
    many = any(np.unique(part).size > _LABEL_MAP_VALUES for part in (sample[::_FEW], sample))
    return not many or _is_made_of_patches(voxels)


def _subsample(voxels: np.ndarray) -> np.ndarray:
    return np.asarray(voxels.ravel()[:: max(1, voxels.size // _SUBSAMPLE_VOXELS)])


def check_pair(fixed: VolumeGrid, fixed_name: str, moving: VolumeGrid, moving_name: str) -> None:
    """Refuse two volumes whose sizes in space cannot belong to one subject.

    Raises
    ------
    InputError
        One extent is more than 50 times the other.
    """
    ratio = float(np.cbrt(np.prod(fixed.extent_mm) / np.prod(moving.extent_mm)))
    if not 1 / _LARGEST_EXTENT_RATIO < ratio < _LARGEST_EXTENT_RATIO:
        name, extent = (fixed_name, fixed.extent_mm) if ratio > 1 else (moving_name, moving.extent_mm)
        factor = max(ratio, 1 / ratio)
        raise InputError(
            name,
            f"its extent ({_mm(extent)}) is {factor:.0f} times that of the other volume",
            "One of the two headers is probably not in millimetres; correct its voxel spacing.",
            code="different-units",
        )


def _is_made_of_patches(voxels: np.ndarray) -> bool:
    """Whether neighbours nearly always have the same value, away from the most frequent one: scans have noise."""
    step = max(1, voxels.shape[0] // 16)
    slices = np.asarray(voxels[::step])
    values, counts = np.unique(slices, return_counts=True)
    left, right = slices[..., :-1], slices[..., 1:]
    inside = (left != values[counts.argmax()]) | (right != values[counts.argmax()])
    return bool(inside.any() and (left == right)[inside].mean() > _LABEL_MAP_EQUAL_NEIGHBOURS)


def _check_size(size: tuple[int, ...], name: str) -> None:
    if min(size) < 4:
        raise InputError(
            name,
            f"too few voxels along one axis ({' x '.join(map(str, size))})",
            "Registration needs a volume of at least 4 slices; a single slice cannot be placed in space.",
            code="few-voxels",
        )


def _check_geometry(grid: VolumeGrid, name: str) -> None:
    if not np.all(np.isfinite(grid.ijk_to_lps)) or min(grid.spacing_mm) <= 0:
        raise InputError(
            name,
            f"the voxel spacing or position is not usable (spacing {grid.spacing_mm} mm)",
            "Correct the spacing and origin in the file's header.",
            code="spacing",
        )
    extent = np.sort(grid.extent_mm)[::-1]
    if extent[0] > _LONGEST_EXTENT_MM or extent[1] > _WIDEST_EXTENT_MM:
        raise InputError(
            name,
            f"the volume would be {_mm(grid.extent_mm)} large, with voxels of "
            f"{' x '.join(f'{s:g}' for s in grid.spacing_mm)} mm",
            "The voxel spacing is probably missing from the file (1 mm is the default) or in micrometres. Set the "
            "real spacing in millimetres (in Slicer: Volumes module, Volume Information) and save the volume again.",
            code="extent",
        )


def _mm(extent_mm: np.ndarray) -> str:
    return " x ".join(f"{e:.0f}" for e in extent_mm) + " mm"
