"""Reading scalar volumes from image files and DICOM folders, whose headers are checked before any voxel is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..core.errors import InputError
from ..core.volume import Volume
from .input_files import refuse_special_files, refuse_special_files_in
from .raw_files import check_raw_header
from .volume_checks import check_header, check_scalar_volume, looks_like_label_map

VOLUME_SUFFIXES = (".nrrd", ".nhdr", ".mha", ".mhd", ".nii", ".nii.gz")
# Without those that keep their voxels in a second file, which would have to be renamed with the first.
OUTPUT_VOLUME_SUFFIXES = (".nrrd", ".mha", ".nii", ".nii.gz")


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
