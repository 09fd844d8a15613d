"""Scalar volumes: the data class, and reading them from files and DICOM folders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from MultimodalRegistrationLib.errors import InputError
from MultimodalRegistrationLib.geometry.grid import VolumeGrid
from MultimodalRegistrationLib.io.raw_headers import check_raw_header
from MultimodalRegistrationLib.io.volume_checks import check_header, check_scalar_volume

__all__ = ["VOLUME_SUFFIXES", "Volume", "read_mask", "read_volume"]

VOLUME_SUFFIXES = (".nrrd", ".nhdr", ".mha", ".mhd", ".nii", ".nii.gz")


@dataclass(frozen=True)
class Volume:
    """A scalar volume in world coordinates.

    Parameters
    ----------
    image : SimpleITK.Image
        Voxels on a three-dimensional LPS grid. Never changed by this library.
    name : str
        What messages call it: a path or a node name.
    """

    image: sitk.Image
    name: str

    @property
    def grid(self) -> VolumeGrid:
        """Placement of the voxels."""
        return VolumeGrid.of_image(self.image)

    @property
    def voxels(self) -> NDArray[Any]:
        """Read-only view of the voxels, shape (K, J, I)."""
        view = sitk.GetArrayViewFromImage(self.image).view(_VoxelView)
        view.image = self.image
        return view


class _VoxelView(np.ndarray[Any, Any]):
    """A view that keeps its image alive: SimpleITK's own view would show freed memory once the image is gone."""

    image: sitk.Image | None

    def __array_finalize__(self, parent: Any) -> None:
        self.image = getattr(parent, "image", None)


def read_volume(path: str | Path) -> Volume:
    """Read a scalar volume that can be registered.

    Parameters
    ----------
    path : str or Path
        A file with one of :data:`VOLUME_SUFFIXES`, or a folder holding one DICOM series.

    Returns
    -------
    Volume
        The volume as stored, with its own pixel type.

    Raises
    ------
    InputError
        The path is missing, unreadable, or not a scalar volume that a registration can use.
    """
    image = _read_image(Path(path), what="a volume")
    volume = Volume(image, str(path))
    check_scalar_volume(image, volume.name)
    return volume


def read_mask(path: str | Path) -> Volume:
    """Read a label map whose voxels above zero are used.

    Parameters
    ----------
    path : str or Path
        A file with one of :data:`VOLUME_SUFFIXES`.

    Returns
    -------
    Volume
        Unsigned 8-bit image of zeros and ones.

    Raises
    ------
    InputError
        The file cannot be read or marks no voxel.
    """
    image = _read_image(Path(path), what="a mask") > 0
    if not np.any(sitk.GetArrayViewFromImage(image)):
        raise InputError(
            path,
            "the mask is empty (no voxel above zero)",
            "Give a mask that marks the region to use, or leave the mask out.",
        )
    return Volume(image, str(path))


def _read_image(path: Path, *, what: str) -> sitk.Image:
    if not path.exists():
        raise InputError(path, "no such file or folder", "Check the spelling and the folder.")
    if path.is_dir():
        return _read_dicom_folder(path)
    if not path.name.lower().endswith(VOLUME_SUFFIXES):
        raise InputError(
            path,
            f"the file type is not one of {', '.join(VOLUME_SUFFIXES)}",
            f"Save it as {what} in one of these formats, or give the folder of a DICOM series.",
        )
    check_raw_header(path)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise _unreadable(path, error) from error
    check_header(reader, path)
    try:
        image: sitk.Image = reader.Execute()
    except RuntimeError as error:
        raise _unreadable(path, error) from error
    return image


def _read_dicom_folder(folder: Path) -> sitk.Image:
    series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    if len(series) != 1:
        found = "no DICOM series in this folder"
        if series:
            counts = [len(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), uid)) for uid in series]
            found = f"{len(series)} DICOM series in this folder, with {', '.join(map(str, counts))} files"
        raise InputError(folder, found, "Give a folder that holds the files of exactly one series.")
    files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series[0])
    first = sitk.ImageFileReader()
    first.SetFileName(files[0])
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(files)
    try:
        first.ReadImageInformation()
        if len(files) > 1:
            _check_slice_gaps(folder, files)
        image: sitk.Image = reader.Execute() if len(files) > 1 else first.Execute()
    except RuntimeError as error:
        raise _unreadable(folder, error) from error
    if first.GetNumberOfComponents() > 1 or image.GetDimension() != 3:
        check_header(first, folder)
    return image


def _check_slice_gaps(folder: Path, files: tuple[str, ...]) -> None:
    """Refuse a series with missing slices: GDCM would close the gap and bend the volume without a word."""
    positions = []
    reader = sitk.ImageFileReader()
    for file in files:
        reader.SetFileName(file)
        reader.ReadImageInformation()
        direction = np.asarray(reader.GetDirection()).reshape(reader.GetDimension(), -1)
        if direction.shape[0] != 3:
            return
        positions.append(float(np.asarray(reader.GetOrigin()) @ direction[:, 2]))
    steps = np.abs(np.diff(positions))
    typical = float(np.median(steps))
    if typical > 0 and np.abs(steps - typical).max() > 0.1 * typical:
        worst = int(np.abs(steps - typical).argmax())
        raise InputError(
            folder,
            f"slices are missing or unevenly spaced: {steps[worst]:.2f} mm between slices {worst + 1} and "
            f"{worst + 2}, {typical:.2f} mm elsewhere",
            "Restore the missing slices, or load the series in Slicer, which resamples it to even spacing, "
            "and save the volume.",
        )


def _unreadable(path: Path, error: RuntimeError) -> InputError:
    text = str(error)
    lowered = text.lower()
    if "spacing" in lowered and ("zero" in lowered or "negative" in lowered):
        found, remedy = "the voxel spacing is zero or negative", "Correct the spacing in the file's header."
    elif "direction" in lowered and ("determinant" in lowered or "singular" in lowered):
        found, remedy = (
            "the axis directions in the header are singular",
            "Correct the orientation in the file's header.",
        )
    elif "could not create" in lowered or "unable to determine imageio" in lowered or "no imageio" in lowered:
        found, remedy = "this is not an image file", "Give the volume itself; export it again if in doubt."
    else:
        reason = text.strip().splitlines()[-1].split("ERROR:")[-1].strip()
        found = f"the file cannot be read; it may be truncated or damaged ({reason})"
        remedy = "Copy or export it again."
    return InputError(path, found, remedy)
