"""Segmentations: label maps, and the ``.seg.nrrd`` files of Slicer, whose segments may overlap.

A ``.seg.nrrd`` file has one component a voxel for each layer. A segment is one value in one layer; its name, layer and
value are in the header, as ``Segment0_Name``, ``Segment0_Layer`` and ``Segment0_LabelValue``. The file may be cropped
to the segments; its origin is then that of the cropped grid (Slicer's ``vtkMRMLSegmentationStorageNode.cxx``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from ..core.errors import InputError
from ..core.grid import VolumeGrid
from ..core.points import plain_label
from ..core.volume import Volume
from .volumes import open_image_file, read_label_map, unreadable

Box = tuple[slice, slice, slice]
# Atlases have labels beyond 10^8, of which a table by label would fill the memory.
_LONGEST_TABLE = 1 << 16


@dataclass(frozen=True, eq=False)
class Segment:
    """One structure: the voxels of one value in one layer.

    Parameters
    ----------
    name : str
        As the user sees it; the number of the label where there is none.
    label : int
        The value of its voxels.
    layer : array, shape (K, J, I)
        Integer voxels, shared with the other segments of the layer. Not to be changed.
    box : tuple of 3 slices, or None
        Where it lies, along K, J, I; None if no voxel has its value.
    """

    name: str
    label: int
    layer: NDArray[Any] = field(repr=False)
    box: Box | None

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Its voxels in the whole grid, shape (K, J, I)."""
        return np.asarray(self.layer == self.label)

    @property
    def cropped_mask(self) -> NDArray[np.bool_]:
        """Its voxels within the box; without any, shape (0, 0, 0)."""
        if self.box is None:
            return np.zeros((0, 0, 0), dtype=bool)
        return np.asarray(self.layer[self.box] == self.label)


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Structures of one volume.

    Parameters
    ----------
    name : str
        File or node, for messages.
    grid : VolumeGrid
        Placement of the voxels; perhaps only of the part of the volume that has segments.
    segments : tuple of Segment
        In the order of the file.
    named : bool
        Whether the segments have names, and not only numbers.
    """

    name: str
    grid: VolumeGrid
    segments: tuple[Segment, ...]
    named: bool

    @classmethod
    def of_labels(cls, labels: Volume) -> Segmentation:
        """Take every value above zero of a label map as a segment that has only a number."""
        layer = _integers(labels.voxels)
        boxes = _boxes(layer)
        segments = tuple(Segment(str(label), label, layer, box) for label, box in boxes.items())
        return cls(labels.name, labels.grid, segments, named=False)

    @classmethod
    def of_layers(
        cls, name: str, grid: VolumeGrid, layers: Iterable[NDArray[Any]], segments: Iterable[tuple[str, int, int]]
    ) -> Segmentation:
        """Make one of layers, shape (K, J, I) each, and the name, layer and label of each segment."""
        voxels = [_integers(layer) for layer in layers]
        boxes = [_boxes(layer) for layer in voxels]
        made = tuple(Segment(called, label, voxels[n], boxes[n].get(label)) for called, n, label in segments)
        return cls(name, grid, made, named=True)

    def find(self, structure: str | int) -> Segment | None:
        """The segment of a name, where case and blanks do not count, or else of a label number; None without one.

        Raises
        ------
        InputError
            Several segments are called so.
        """
        wanted = plain_label(str(structure))
        found = [one for one in self.segments if plain_label(one.name) == wanted]
        if not found or isinstance(structure, int):
            found = [one for one in self.segments if str(one.label) == wanted]
        if len(found) > 1:
            names = ", ".join(f"'{one.name}' (label {one.label})" for one in found)
            raise InputError(
                self.name, f"{len(found)} segments are called {structure}: {names}", "Give each a name of its own."
            )
        return found[0] if found else None


def read_segmentation(path: str | Path) -> Segmentation:
    """Read all structures of a file.

    Parameters
    ----------
    path : str or Path
        A label map, or a ``.seg.nrrd`` file of Slicer with its layers and names.

    Returns
    -------
    Segmentation
        Of a ``.seg.nrrd`` file also the segments without voxels.

    Raises
    ------
    InputError
        The file cannot be read, is a scan, has no structure, or names a layer that it does not have.
    """
    path = Path(path)
    segmentation = _read_layers(path) if path.is_file() else None
    if segmentation is None:
        segmentation = Segmentation.of_labels(read_label_map(path))
    if not segmentation.segments:
        raise InputError(path, "there is no structure (no voxel above zero)", "Give the file that has the segments.")
    return segmentation


def read_segmentation_image(path: str | Path) -> tuple[sitk.Image, dict[str, str]] | None:
    """Read a ``.seg.nrrd`` file as it is.

    Returns
    -------
    tuple of SimpleITK.Image and dict, or None
        The voxels, one component for each layer, and the entries of the header; None if it is an ordinary image.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    path = Path(path)
    reader = open_image_file(path, what="a segmentation", layers=True)
    keys = reader.GetMetaDataKeys()
    if not any(key.startswith(("Segment0_", "Segmentation_")) for key in keys):
        return None
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise unreadable(path, error) from error
    entries = {key: str(reader.GetMetaData(key)) for key in keys}
    return (image[:, :, :, 0] if image.GetDimension() == 4 else image), entries


def _read_layers(path: Path) -> Segmentation | None:
    """What Slicer wrote; None if it is an ordinary image."""
    found = read_segmentation_image(path)
    if found is None:
        return None
    image, entries = found
    layers = layers_of(image)
    segments: list[tuple[str, int, int]] = []
    while f"Segment{len(segments)}_ID" in entries:
        segments.append(_segment_entry(path, entries, len(segments), len(layers)))
    return Segmentation.of_layers(str(path), VolumeGrid.of_image(image), layers, segments)


def _segment_entry(path: Path, entries: dict[str, str], index: int, layers: int) -> tuple[str, int, int]:
    """Name, layer and label. Files of Slicer 4.10 and before have a layer for each segment, with the label 1."""

    def entry(key: str, default: str) -> str:
        return entries.get(f"Segment{index}_{key}", default)

    name = entry("Name", entry("ID", ""))
    values = entry("Layer", str(index)), entry("LabelValue", "1")
    try:
        layer, label = int(values[0]), int(values[1])
    except ValueError as error:
        raise _damaged(path, f"the segment '{name}' has the layer '{values[0]}' and the label '{values[1]}'") from error
    if not 0 <= layer < layers:
        raise _damaged(path, f"the segment '{name}' is in layer {layer}, the file has layers 0 to {layers - 1}")
    return name, layer, label


def _damaged(path: Path, found: str) -> InputError:
    return InputError(path, found, "The header is damaged; save the segmentation in Slicer again.")


def layers_of(image: sitk.Image) -> list[NDArray[Any]]:
    """Voxels of each layer, shape (K, J, I)."""
    if image.GetNumberOfComponentsPerPixel() == 1:
        return [Volume(image, "").voxels]
    # Interleaved components would make every later pass over one layer slow.
    components = sitk.GetArrayViewFromImage(image)
    return [np.ascontiguousarray(components[..., n]) for n in range(components.shape[-1])]


def _integers(voxels: NDArray[Any]) -> NDArray[Any]:
    return voxels if np.issubdtype(voxels.dtype, np.integer) else np.rint(voxels).astype(np.int32)


def _boxes(layer: NDArray[Any]) -> dict[int, Box]:
    """Boxes of all values above zero, by value."""
    values: NDArray[Any] | None = None
    if layer.max(initial=0) > _LONGEST_TABLE:
        values, ranks = np.unique(layer, return_inverse=True)
        offset = int(np.searchsorted(values, 0, side="right"))
        layer, values = ranks.reshape(layer.shape) - offset + 1, values[offset:]
    found: list[Any] = ndimage.find_objects(layer)
    return {n + 1 if values is None else int(values[n]): box for n, box in enumerate(found) if box is not None}
