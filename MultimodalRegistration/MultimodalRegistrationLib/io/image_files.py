"""Image files and DICOM folders, opened and checked before any voxel is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..core.errors import InputError
from .raw_headers import check_raw_header
from .special_files import refuse_special_files, refuse_special_files_in
from .volume_checks import check_header

__all__ = ["VOLUME_SUFFIXES", "check_slices", "open_image_file", "series_files", "unreadable"]

VOLUME_SUFFIXES = (".nrrd", ".nhdr", ".mha", ".mhd", ".nii", ".nii.gz")


def open_image_file(path: Path, *, what: str, layers: bool = False) -> sitk.ImageFileReader:
    """Check the header of a file.

    Parameters
    ----------
    path : Path
        A path that exists.
    what : str
        What it should be, for messages.
    layers : bool
        Whether the components of a voxel may be layers of segments, and the volume as thin as a cropped segment.

    Returns
    -------
    SimpleITK.ImageFileReader
        It has read the image information, not the voxels.

    Raises
    ------
    InputError
        Not an image file of a known type, or not a scalar volume.
    """
    refuse_special_files(path)
    if not path.name.lower().endswith(VOLUME_SUFFIXES):
        raise InputError(
            path,
            f"the file type is not one of {', '.join(VOLUME_SUFFIXES)}",
            f"Save it as {what} in one of these formats, or give the folder of a DICOM series.",
            code="file-type",
        )
    check_raw_header(path)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise unreadable(path, error) from error
    check_header(reader, path, layers=layers)
    # ITK itself notices this only when it reads the voxels.
    axes = np.asarray(reader.GetDirection()).reshape(reader.GetDimension(), -1)
    if not np.isfinite(axes).all() or np.linalg.det(axes) == 0:
        raise _singular(path)
    return reader


def series_files(folder: Path) -> tuple[str, ...]:
    """Files of the one DICOM series in a folder, in the order of their slices.

    Parameters
    ----------
    folder : Path
        Where to look.

    Raises
    ------
    InputError
        There is none, or more than one.
    """
    refuse_special_files_in(folder)
    # ITK warns on the standard error when there is none, before the message below says it.
    shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(shown)
    if len(series) != 1:
        found = "no DICOM series in this folder"
        if series:
            counts = [len(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), uid)) for uid in series]
            found = f"{len(series)} DICOM series in this folder, with {', '.join(map(str, counts))} files"
        raise InputError(folder, found, "Give a folder that holds the files of exactly one series.", code="series")
    return tuple(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series[0]))


def check_slices(folder: Path, files: tuple[str, ...]) -> None:
    """Refuse series that ITK would read into a wrong geometry without a word: it takes slices to be evenly stacked.

    Parameters
    ----------
    folder : Path
        What messages name.
    files : tuple of str
        From :func:`series_files`.

    Raises
    ------
    InputError
        Slices that are missing, doubled, sheared or not single.
    """
    origins, normal = [], np.zeros(3)
    reader = sitk.ImageFileReader()
    for file in files:
        reader.SetFileName(file)
        reader.ReadImageInformation()
        if reader.GetDimension() != 3 or reader.GetSize()[2] != 1:
            raise InputError(
                folder,
                "several files, each of many slices or frames",
                "Give the folder of a series with one slice a file, or save the volume in Slicer.",
                code="multi-frame",
            )
        normal = np.asarray(reader.GetDirection()).reshape(3, 3)[:, 2]
        origins.append(reader.GetOrigin())
    points = np.asarray(origins)
    order = np.argsort(points @ normal, kind="stable")
    steps = np.diff(points[order], axis=0)
    along = steps @ normal
    typical = float(np.median(along))
    if np.any(np.linalg.norm(steps, axis=1) < 0.01):
        raise InputError(
            folder,
            f"several slices lie at the same position ({len(files)} files): a time series, or several echoes or phases",
            "Give one volume of it: in Slicer's DICOM module load the sequence, select a frame and save the volume.",
            code="repeated-positions",
        )
    sideways = np.linalg.norm(steps - along[:, None] * normal, axis=1)
    if sideways.max() > 0.02 * typical:
        tilt = np.degrees(np.arctan2(np.median(sideways), typical))
        raise InputError(
            folder,
            f"the slices are sheared, as by a tilted gantry ({tilt:.1f} degrees)",
            "Load the series in Slicer, which corrects the tilt by a transform; harden it and save the volume.",
            code="sheared",
        )
    if np.abs(along - typical).max() > 0.1 * typical:
        worst = int(np.abs(along - typical).argmax())
        raise InputError(
            folder,
            f"slices are missing or unevenly spaced: {along[worst]:.2f} mm between slices {worst + 1} and "
            f"{worst + 2}, {typical:.2f} mm elsewhere",
            "Restore the missing slices, or load the series in Slicer, which resamples it to even spacing, "
            "and save the volume.",
            code="uneven-slices",
        )


def unreadable(path: Path, error: RuntimeError) -> InputError:
    """What to tell of an error of ITK's readers."""
    text = str(error)
    lowered = text.lower()
    if "spacing" in lowered and ("zero" in lowered or "negative" in lowered):
        code, found = "spacing", "the voxel spacing is zero or negative"
        remedy = "Correct the spacing in the file's header."
    elif "direction" in lowered and ("determinant" in lowered or "singular" in lowered):
        return _singular(path)
    elif "could not create" in lowered or "unable to determine imageio" in lowered or "no imageio" in lowered:
        code, found = "not-an-image", "this is not an image file"
        remedy = "Give the volume itself; export it again if in doubt."
    else:
        reason = text.strip().splitlines()[-1].split("ERROR:")[-1].strip()
        code = "unreadable"
        found = f"the file cannot be read; it may be truncated or damaged ({reason})"
        remedy = "Copy or export it again."
    return InputError(path, found, remedy, code=code)


def _singular(path: Path) -> InputError:
    return InputError(
        path,
        "the axis directions in the header are singular",
        "Correct the orientation in the file's header.",
        code="singular-axes",
    )
