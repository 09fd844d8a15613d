"""A volume on disk that is read slice by slice."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.grid import VolumeGrid
from .raw_files import RawLayout, find_layout
from .volume_checks import check_header
from .volumes import check_slices, open_image_file, series_files, unreadable


@dataclass(frozen=True)
class VoxelSource:
    """What the header of a volume tells, and access to its slices.

    Parameters
    ----------
    path : Path
        File or folder.
    grid : VolumeGrid
        Placement of the voxels, as SimpleITK reads it.
    voxel_bytes : int
        Memory for each voxel when the volume is read as a whole.
    metadata : tuple of str
        Keys of the header's own entries.
    files : tuple of str
        Of a DICOM series, in the order of its slices; empty for a single file.
    """

    path: Path
    grid: VolumeGrid
    voxel_bytes: int
    metadata: tuple[str, ...]
    files: tuple[str, ...] = ()

    @property
    def whole_bytes(self) -> int:
        """Memory that the whole volume takes."""
        i, j, k = self.grid.size
        return i * j * k * self.voxel_bytes

    def slices(self, memory_limit_bytes: float) -> Iterator[NDArray[Any]]:
        """Read one slice after the other.

        Parameters
        ----------
        memory_limit_bytes : float
            A file that cannot be read slice by slice is read whole if it fits.

        Yields
        ------
        array, shape (J, I)
            A slice along K. It may be overwritten by the next one.

        Raises
        ------
        InputError
            The file is damaged, or has to be read whole and does not fit.
        """
        if len(self.files) > 1:
            yield from self._dicom_slices()
            return
        layout: RawLayout | None = None
        try:
            layout = self._layout()
        except InputError:
            if self.whole_bytes > memory_limit_bytes:
                raise
        if layout is None:
            yield from self._whole()
        else:
            yield from self._raw_slices(layout)

    def _layout(self) -> RawLayout:
        if self.files:
            raise InputError(
                self.path,
                "one DICOM file of many frames, which cannot be read slice by slice, and the whole does not fit into "
                "the memory that may be used",
                "Convert it to an uncompressed .nrrd file, or run it on a machine with more memory.",
            )
        return find_layout(self.path)

    def _raw_slices(self, layout: RawLayout) -> Iterator[NDArray[Any]]:
        i, j, k = self.grid.size
        voxels = np.empty((j, i), dtype=layout.dtype)
        buffer = voxels.data.cast("B")
        scaled = (layout.slope, layout.intercept) != (1.0, 0.0)
        with layout.open(voxels.nbytes * k) as stream:
            for number in range(k):
                filled = 0
                try:
                    while filled < voxels.nbytes and (count := stream.readinto(buffer[filled:])):
                        filled += count
                except (OSError, EOFError, zlib.error) as error:
                    raise InputError(
                        self.path, f"the file is damaged in slice {number + 1} of {k} ({error})", "Export it again."
                    ) from error
                if filled < voxels.nbytes:
                    raise InputError(
                        self.path, f"the file is truncated in slice {number + 1} of {k}", "Copy or export it again."
                    )
                yield (voxels * layout.slope + layout.intercept).astype(np.float32) if scaled else voxels

    def _dicom_slices(self) -> Iterator[NDArray[Any]]:
        reader = sitk.ImageFileReader()
        for file in self.files:
            reader.SetFileName(file)
            try:
                image = reader.Execute()
            except RuntimeError as error:
                raise unreadable(Path(file), error) from error
            if image.GetSize() != (*self.grid.size[:2], 1):
                raise InputError(
                    file,
                    f"this slice has {image.GetSize()[0]} x {image.GetSize()[1]} voxels, the first one "
                    f"{self.grid.size[0]} x {self.grid.size[1]}",
                    "Give a folder that holds the files of exactly one series.",
                )
            yield sitk.GetArrayViewFromImage(image)[0]

    def _whole(self) -> Iterator[NDArray[Any]]:
        file = self.files[0] if self.files else str(self.path)
        try:
            image = sitk.ReadImage(file)
        except RuntimeError as error:
            raise unreadable(self.path, error) from error
        i, j, k = self.grid.size
        yield from sitk.GetArrayViewFromImage(image).reshape(k, j, i)


def open_source(path: str | Path, *, what: str = "a volume") -> VoxelSource:
    """Read and check the header of a volume, and nothing else.

    Parameters
    ----------
    path : str or Path
        A file of a known type, or a folder holding one DICOM series.
    what : str
        What it should be, for messages.

    Raises
    ------
    InputError
        The path is missing or unreadable, or its header is not that of a scalar volume.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(path, "no such file or folder", "Check the spelling and the folder.", code="not-found")
    files = series_files(path) if path.is_dir() else ()
    if not files:
        reader = open_image_file(path, what=what)
        return VoxelSource(path, grid_of_header(reader), voxel_bytes(reader), tuple(reader.GetMetaDataKeys()))
    reader = sitk.ImageFileReader()
    reader.SetFileName(files[0])
    try:
        reader.ReadImageInformation()
        if len(files) == 1:
            check_header(reader, path)
            return VoxelSource(path, grid_of_header(reader), voxel_bytes(reader), (), files)
        check_slices(path, files)
        grid = _stacked(grid_of_header(reader), files)
    except RuntimeError as error:
        raise unreadable(path, error) from error
    if reader.GetNumberOfComponents() > 1:
        check_header(reader, path)
    return VoxelSource(path, grid, voxel_bytes(reader), (), files)


def grid_of_header(reader: sitk.ImageFileReader) -> VolumeGrid:
    """Placement of the first three axes; a fourth has one frame."""
    size, spacing, origin = reader.GetSize(), reader.GetSpacing(), reader.GetOrigin()
    n = len(size)
    direction = np.asarray(reader.GetDirection()).reshape(n, n)[:3, :3]
    return VolumeGrid(tuple(size[:3]), tuple(spacing[:3]), tuple(origin[:3]), tuple(direction.ravel().tolist()))


def _stacked(first: VolumeGrid, files: tuple[str, ...]) -> VolumeGrid:
    """The grid of a series, from the positions of its first and last slice, as ITK has it."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(files[-1])
    reader.ReadImageInformation()
    length = float(np.linalg.norm(np.subtract(reader.GetOrigin(), first.origin_lps)))
    spacing = (first.spacing_mm[0], first.spacing_mm[1], length / (len(files) - 1))
    return VolumeGrid((first.size[0], first.size[1], len(files)), spacing, first.origin_lps, first.direction)


def voxel_bytes(reader: sitk.ImageFileReader) -> int:
    """Memory of one component of a voxel."""
    return sitk.GetArrayViewFromImage(sitk.Image([1, 1, 1], reader.GetPixelID())).itemsize
