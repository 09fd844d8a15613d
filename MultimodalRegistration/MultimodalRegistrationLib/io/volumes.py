"""Reading scalar volumes from files and DICOM folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..core.errors import InputError
from ..core.volume import Volume
from .image_files import VOLUME_SUFFIXES, check_slices, open_image_file, series_files, unreadable
from .volume_checks import check_header, check_scalar_volume, looks_like_label_map

__all__ = [
    "OUTPUT_VOLUME_SUFFIXES",
    "VOLUME_SUFFIXES",
    "read_label_map",
    "read_mask",
    "read_segment",
    "read_unjudged",
    "read_volume",
]

# Without those that keep their voxels in a second file, which would have to be renamed with the first.
OUTPUT_VOLUME_SUFFIXES = (".nrrd", ".mha", ".nii", ".nii.gz")


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
    volume = read_unjudged(path)
    check_scalar_volume(volume.image, volume.name)
    return volume


def read_unjudged(path: str | Path, *, thin: bool = False) -> Volume:
    """Read a scalar volume whatever its values and its placement: for a report on them.

    Parameters
    ----------
    path : str or Path
        As for :func:`read_volume`.
    thin : bool
        Whether it may be of a few slices only, as a label map that Slicer cropped to its segments.

    Returns
    -------
    Volume
        The volume as stored, perhaps unfit for registration.

    Raises
    ------
    InputError
        The path is missing, unreadable, or not a three-dimensional scalar volume.
    """
    return Volume(_read_image(Path(path), what="a volume", labels=thin), str(path))


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
    image = _read_image(Path(path), what="a mask", labels=True) > 0
    if not np.any(sitk.GetArrayViewFromImage(image)):
        raise InputError(
            path,
            "the mask is empty (no voxel above zero)",
            "Give a mask that marks the region to use, or leave the mask out.",
        )
    return Volume(image, str(path))


def read_label_map(path: str | Path) -> Volume:
    """Read a label map or segmentation with all its labels.

    Parameters
    ----------
    path : str or Path
        A file with one of :data:`VOLUME_SUFFIXES`.

    Raises
    ------
    InputError
        The file cannot be read, or is a scan.
    """
    image = _read_image(Path(path), what="a label map", labels=True)
    if not looks_like_label_map(image):
        raise InputError(
            path,
            "this looks like a scan, not like a label map",
            "Segment the structure first and give the segmentation, or a surface model.",
        )
    return Volume(image, str(path))


def read_segment(path: str | Path, label: int | None = None) -> Volume:
    """Read one label of a label map or segmentation as a mask.

    Parameters
    ----------
    path : str or Path
        A file with one of :data:`VOLUME_SUFFIXES`.
    label : int, optional
        The value of its voxels; all voxels above zero by default.

    Returns
    -------
    Volume
        Unsigned 8-bit image of zeros and ones.

    Raises
    ------
    InputError
        The file cannot be read, is a scan, or has no voxel of that label.
    """
    image = read_label_map(path).image
    mask = image > 0 if label is None else image == label
    if not np.any(sitk.GetArrayViewFromImage(mask)):
        present = np.unique(sitk.GetArrayViewFromImage(image))
        values = ", ".join(f"{value:g}" for value in present[present != 0][:20]) or "none but 0"
        wanted = "above zero" if label is None else f"of label {label}"
        raise InputError(path, f"no voxel {wanted}", f"Give a label that is there; the file has: {values}.")
    return Volume(mask, str(path))


def _read_image(path: Path, *, what: str, labels: bool = False) -> sitk.Image:
    if not path.exists():
        raise InputError(path, "no such file or folder", "Check the spelling and the folder.", code="not-found")
    if path.is_dir():
        return _read_dicom_folder(path)
    reader = open_image_file(path, what=what, layers=labels)
    if reader.GetNumberOfComponents() > 1:
        raise InputError(
            path,
            f"its segments overlap, and lie in {reader.GetNumberOfComponents()} layers",
            "In Slicer, export the segments to use as a label map, and give that.",
            code="layers",
        )
    try:
        image: sitk.Image = reader.Execute()
    except RuntimeError as error:
        raise unreadable(path, error) from error
    # A fourth axis of one frame, as some tools write it.
    return image[:, :, :, 0] if image.GetDimension() == 4 else image


def _read_dicom_folder(folder: Path) -> sitk.Image:
    files = series_files(folder)
    first = sitk.ImageFileReader()
    first.SetFileName(files[0])
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(files)
    try:
        first.ReadImageInformation()
        if len(files) > 1:
            check_slices(folder, files)
        image: sitk.Image = reader.Execute() if len(files) > 1 else first.Execute()
    except RuntimeError as error:
        raise unreadable(folder, error) from error
    if first.GetNumberOfComponents() > 1 or image.GetDimension() != 3:
        check_header(first, folder)
    return image
