"""Transforms applied to files: volumes, label maps, segmentations, points, markups and models.

Of markups, points, lines, angles and curves are their control points. Planes and ROIs also have a placement of their
own, which only a rigid transform leaves a plane or a box. Matrices and orientations in a file in LPS have their first
two rows negated (``vtkMRMLMarkupsPlaneJsonStorageNode``, ``vtkMRMLMarkupsROIJsonStorageNode``), so that a transform of
LPS points multiplies them from the left.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.frames import Space, flip_matrix_lps_ras, flip_points_lps_ras
from ..core.grid import VolumeGrid
from ..core.linear import apply_matrix, closest_rotation, is_rigid
from ..core.points import LandmarkList
from ..core.volume import Volume
from ..io.landmarks import LANDMARK_SUFFIXES, OUTPUT_LANDMARK_SUFFIXES, read_landmarks, write_landmarks
from ..io.markups import Markup, read_markups
from ..io.models import read_whole_model, write_model
from ..io.segmentations import read_segmentation_image
from ..io.surfaces import MODEL_SUFFIXES
from ..io.volume_checks import looks_like_label_map
from ..io.volumes import OUTPUT_VOLUME_SUFFIXES, VOLUME_SUFFIXES, read_unjudged
from .propagate import Carrier, Interpolation, Resampling, moved_entries, resample, resample_segmentation

_SECOND_FILE = {".nhdr": ".nrrd", ".mhd": ".mha"}
_PLACED_KINDS = {"Plane": ("center", "orientation", "normal", "baseToNode"), "ROI": ("center", "orientation")}


@dataclass(frozen=True)
class Plan:
    """How files are carried.

    Parameters
    ----------
    carrier : Carrier
        The transform and the way to go.
    reference : VolumeGrid or None
        What volumes are resampled to; None where none are.
    resampling : Resampling or None
        From :meth:`~MultimodalRegistrationLib.transforms.propagate.Carrier.resampling` for the reference.
    header_only : bool
        Move the headers of volumes and segmentations instead: voxels stay as they are.
    interpolation : str or None
        For all volumes; by default linear for scans and ``"label"`` for label maps and segmentations.
    outside : float or None
        Value where a volume shows nothing; see :func:`~MultimodalRegistrationLib.transforms.propagate.resample`.
    space : {"LPS", "RAS"} or None
        Frame of points and models that do not say it.
    """

    carrier: Carrier
    reference: VolumeGrid | None = None
    resampling: Resampling | None = None
    header_only: bool = False
    interpolation: Interpolation | None = None
    outside: float | None = None
    space: Space | None = None


@dataclass(frozen=True)
class CarriedFile:
    """What was done with one file.

    Parameters
    ----------
    kind : str
        ``"volume"``, ``"label map"``, ``"segmentation"``, ``"points"``, ``"markups"`` or ``"model"``.
    how : str
        In words.
    points : int or None
        How many points were carried.
    lost : int
        How many of them have no place of their own, because the transform folds or jumps there.
    """

    kind: str
    how: str
    points: int | None = None
    lost: int = 0


def lost_words(source: str | Path, one: CarriedFile) -> str:
    """A warning about points that have no place of their own."""
    return (
        f"{source}: {one.lost} of {one.points} points lie where the transform folds or jumps, so that no place "
        f"belongs to them; they were put where they come closest."
    )


def output_name(path: str | Path) -> str:
    """The name of what becomes of a file: its own, but for types that cannot be written.

    Raises
    ------
    InputError
        Not a file that can be carried.
    """
    path = Path(path)
    name, lower = path.name, path.name.lower()
    if path.is_dir():
        return f"{path.resolve().name}.nrrd"
    if lower.endswith(VOLUME_SUFFIXES):
        return name if lower.endswith(OUTPUT_VOLUME_SUFFIXES) else path.stem + _SECOND_FILE[path.suffix.lower()]
    if lower.endswith((*MODEL_SUFFIXES, *OUTPUT_LANDMARK_SUFFIXES)):
        return name
    if lower.endswith(LANDMARK_SUFFIXES):
        return f"{path.stem}.mrk.json"
    raise InputError(
        path,
        "the file type is not that of a volume, points, markups or a model",
        f"Give one of {', '.join((*VOLUME_SUFFIXES, *LANDMARK_SUFFIXES, *MODEL_SUFFIXES))}, or a DICOM folder.",
    )


def carry_file(source: str | Path, target: Path, plan: Plan) -> CarriedFile:
    """Carry what is in a file and write it to another.

    Parameters
    ----------
    source : str or Path
        What to carry.
    target : Path
        Has the suffix of :func:`output_name`.
    plan : Plan
        How.

    Raises
    ------
    InputError
        The file cannot be read or carried in this way.
    """
    source = Path(source)
    lower = source.name.lower()
    if source.is_dir() or lower.endswith(VOLUME_SUFFIXES):
        segmentation = read_segmentation_image(source) if source.is_file() else None
        if segmentation is not None:
            return _segmentation(source, *segmentation, target, plan)
        return _volume(read_unjudged(source), target, plan)
    if lower.endswith(MODEL_SUFFIXES):
        return _model(source, target, plan)
    markups = read_markups(source) if lower.endswith(".json") else None
    if markups is not None:
        content, count, lost = carry_markups(source, markups, plan.carrier)
        target.write_text(json.dumps(content, indent=4, allow_nan=False) + "\n", encoding="utf-8")
        return CarriedFile("markups", f"{count} control points", count, lost)
    return _points(source, target, plan)


def _volume(volume: Volume, target: Path, plan: Plan) -> CarriedFile:
    # Without noise, a scan in Hounsfield units may look like labels, which are never negative.
    labels = looks_like_label_map(volume.image) and volume.voxels.min() >= 0
    kind = "label map" if labels else "volume"
    if plan.header_only:
        moved, how = _moved_header(volume.image, volume.name, plan.carrier), "header moved, voxels as they were"
    else:
        reference, resampling = _reference(plan, volume.name)
        chosen: Interpolation = plan.interpolation or ("label" if labels else "linear")
        if chosen == "label" and not np.issubdtype(volume.voxels.dtype, np.integer):
            volume = Volume(sitk.Cast(sitk.Round(volume.image), sitk.sitkInt32), volume.name)
        moved = resample(volume, reference, resampling.transform, interpolation=chosen, outside=plan.outside).image
        how = f"resampled once, interpolation {chosen}"
    sitk.WriteImage(moved, str(target), True)
    return CarriedFile(kind, how)


def _segmentation(source: Path, image: sitk.Image, entries: dict[str, str], target: Path, plan: Plan) -> CarriedFile:
    if plan.header_only:
        moved, how = _moved_header(image, str(source), plan.carrier), "header moved, voxels as they were"
        assert plan.carrier.matrix is not None, "checked with the header"
        for key, value in moved_entries(entries, plan.carrier.matrix).items():
            moved.SetMetaData(key, value)
    else:
        reference, resampling = _reference(plan, str(source))
        chosen: Interpolation = "nearest" if plan.interpolation == "nearest" else "label"
        moved = resample_segmentation(image, entries, reference, resampling.transform, interpolation=chosen)
        how = f"resampled once, interpolation {chosen}"
    sitk.WriteImage(moved, str(target), True)
    return CarriedFile("segmentation", how)


def _reference(plan: Plan, name: str) -> tuple[VolumeGrid, Resampling]:
    if plan.reference is None or plan.resampling is None:
        raise InputError(
            name, "no grid was given to resample it to", "Give --reference, or --header-only for a linear transform."
        )
    return plan.reference, plan.resampling


def _moved_header(image: sitk.Image, name: str, carrier: Carrier) -> sitk.Image:
    if carrier.matrix is None:
        raise InputError(
            carrier.transform.name, "it is not linear, so that it cannot be put into a header", "Give --reference."
        )
    grid = VolumeGrid.of_image(image).moved(carrier.matrix)
    if not grid.is_orthogonal:
        raise InputError(
            name,
            f"{carrier.transform.name} shears its voxels, which files and most programs cannot hold",
            "Give --reference, to resample it.",
        )
    moved = sitk.Image(image)
    grid.place(moved)
    return moved


def _points(source: Path, target: Path, plan: Plan) -> CarriedFile:
    points = read_landmarks(source, space=plan.space)
    placed = [row for row, one in enumerate(points.landmarks) if one.placed]
    carried = plan.carrier.points(points.points_lps[placed])
    landmarks = list(points.landmarks)
    for row, (x, y, z) in zip(placed, carried.points_lps.tolist(), strict=True):
        landmarks[row] = replace(landmarks[row], position_lps=(x, y, z))
    write_landmarks(target, LandmarkList(points.name, tuple(landmarks)))
    return CarriedFile("points", f"{len(placed)} points", len(placed), carried.lost)


def _model(source: Path, target: Path, plan: Plan) -> CarriedFile:
    model = read_whole_model(source, space=plan.space)
    lost = 0

    def move(points_lps: Any) -> Any:
        nonlocal lost
        carried = plan.carrier.points(points_lps)
        lost = carried.lost
        return carried.points_lps

    moved = model.moved(move, mirrored=plan.carrier.mirrors)
    write_model(target, moved)
    count = model.data.GetNumberOfPoints()
    return CarriedFile("model", f"{count} points", count, lost)


def carry_markups(path: Path, content: dict[str, Any], carrier: Carrier) -> tuple[dict[str, Any], int, int]:
    """Carry all markups of a file.

    Parameters
    ----------
    path : Path
        For messages.
    content : dict
        The JSON of a ``.mrk.json`` file; not changed.
    carrier : Carrier
        What carries them.

    Returns
    -------
    content : dict
        The same with new places. Measurements are left out: Slicer measures anew when it reads the file.
    points, lost : int
        How many control points were carried, and how many of them have no place of their own; see
        :class:`~MultimodalRegistrationLib.transforms.propagate.CarriedPoints`.

    Raises
    ------
    InputError
        A plane or ROI and a transform that is not rigid, or a position that is not three numbers.
    """
    content = copy.deepcopy(content)
    count = lost = 0
    for markup in content["markups"]:
        read = Markup.of(path, markup)
        rows = [row for row, point in enumerate(read.points) if point.position is not None]
        positions = np.array([read.points[row].position for row in rows], dtype=np.float64).reshape(-1, 3)
        if read.space is None:
            raise InputError(path, "does not say whether its coordinates are LPS or RAS", "Save the markups again.")
        ras = read.space == "RAS"
        carried = carrier.points(flip_points_lps_ras(positions) if ras else positions)
        moved = (flip_points_lps_ras(carried.points_lps) if ras else carried.points_lps) / read.mm_per_unit
        for row, position in zip(rows, moved.tolist(), strict=True):
            point = markup["controlPoints"][row]
            point["position"] = position
            if carrier.matrix is not None and isinstance(point.get("orientation"), list):
                point["orientation"] = _turned(path, point["orientation"], _own_frame(carrier.matrix, ras))
        if markup.get("type") in _PLACED_KINDS:
            _place(path, markup, carrier, ras=ras, mm_per_unit=read.mm_per_unit)
        markup.pop("measurements", None)
        count, lost = count + len(rows), lost + carried.lost
    return content, count, lost


def _own_frame(matrix_lps: NDArray[np.float64], ras: bool) -> NDArray[np.float64]:
    return flip_matrix_lps_ras(matrix_lps) if ras else matrix_lps


def _place(path: Path, markup: dict[str, Any], carrier: Carrier, *, ras: bool, mm_per_unit: float) -> None:
    kind = markup["type"]
    if carrier.matrix is None or not is_rigid(carrier.matrix):
        raise InputError(
            path,
            f"it holds a {kind}, and {carrier.transform.name} is not rigid",
            f"A {kind} stays one under rigid transforms only; give its points, or a model of it.",
        )
    matrix = _own_frame(carrier.matrix, ras)
    in_units = matrix.copy()
    in_units[:3, 3] /= mm_per_unit
    for key in _PLACED_KINDS[kind]:
        if key not in markup:
            continue
        if key == "center":
            markup[key] = apply_matrix(in_units, _numbers(path, markup[key], 3)).tolist()
        elif key == "normal":
            markup[key] = (matrix[:3, :3] @ _numbers(path, markup[key], 3)).tolist()
        elif key == "orientation":
            markup[key] = _turned(path, markup[key], matrix)
        else:
            markup[key] = (in_units @ _numbers(path, markup[key], 16).reshape(4, 4)).ravel().tolist()


def _turned(path: Path, orientation: Any, matrix: NDArray[np.float64]) -> list[float]:
    return list((closest_rotation(matrix) @ _numbers(path, orientation, 9).reshape(3, 3)).ravel().tolist())


def _numbers(path: Path, values: Any, count: int) -> NDArray[np.float64]:
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        numbers = np.zeros(0)
    if numbers.shape != (count,):
        raise InputError(path, f"{str(values)[:60]} where {count} numbers should be", "Save the markups again.")
    return numbers
