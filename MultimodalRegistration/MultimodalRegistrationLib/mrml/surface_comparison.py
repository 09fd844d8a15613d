"""The surfaces of two volumes over each other in the 3D views, and arrows as long as the expected error."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import vtk
from numpy.typing import NDArray
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from ..core.grid import VolumeGrid
from ..io.surfaces import polydata_of_surface
from ..preprocess.visible_surface import Shown, coarse_volume, visible_surface
from .placement import placement_in_world
from .scene_nodes import add_hidden, remove_present
from .steps import in_thread, shares
from .transforms import SETTINGS_ATTRIBUTE
from .volumes import grid_of_node
from .vtk_arrays import vtk_from_points

_WHITE, _ORANGE, _RED = (0.92, 0.9, 0.84), (1.0, 0.55, 0.0), (0.85, 0.1, 0.1)
_FIXED_OPACITY, _MOVING_OPACITY = 0.75, 0.5
# What a view turns without delay, and a deformable transform moves in some milliseconds.
_MAX_TRIANGLES = 40_000
_SCALES = (1, 2, 5, 10, 20, 50, 100)
# Arrows shorter than this share of the diagonal of the common region are hardly seen.
_MIN_SHARE = 0.07
_POINTS_LOOKED_AT = 1000


@dataclass(frozen=True)
class Arrows:
    """What the arrows stand for.

    Parameters
    ----------
    error_mm : float
        The estimated error.
    scale : int
        How many times as long they are drawn.
    before_bending : bool
        Whether the error is that of the linear stages alone.
    """

    error_mm: float
    scale: int
    before_bending: bool


def expected_error(result_node: Any) -> tuple[float, bool] | None:
    """The estimated error of a result, in mm, and whether deformable stages came after it; None where it has none."""
    settings = None if result_node is None else result_node.GetAttribute(SETTINGS_ATTRIBUTE)
    content = {} if settings is None else json.loads(settings)
    verdict = content.get("verdict") or {}
    error_mm = verdict.get("estimated_error_mm")
    if not error_mm or verdict["word"] == "failed":
        return None
    return float(error_mm), any(stage["type"] == "bending" for stage in content.get("later_stages", ()))


class SurfaceComparison:
    """Surfaces of a fixed volume and of the hidden copy of a moving one, in their own coordinates.

    They lie under the transforms of their volumes, so that they move with these. Bone is shown where both volumes are
    CT, else the body: only surfaces of the same kind can lie upon each other.

    Parameters
    ----------
    fixed_node, moving_node : vtkMRMLScalarVolumeNode
        With voxels, which are kept until the surfaces are made. Not changed.
    """

    def __init__(self, fixed_node: Any, moving_node: Any) -> None:
        self._volumes = (fixed_node, moving_node)
        self._seen = [_Seen.of(node) for node in self._volumes]
        self._made: list[Any] = []
        self._nodes: list[Any] = []
        self._arrow_nodes: list[Any] = []

    def make(self) -> Iterator[float]:
        """Make the surfaces in a thread; yields how much is done, 0 to 1."""
        coarse = []
        for number, seen in enumerate(self._seen):
            make = functools.partial(coarse_volume, seen.voxels, seen.grid, seen.name)
            coarse.append((yield from shares(in_thread(make), number / 4)))
        # The voxels are not needed any more.
        self._seen = []
        both_ct = all(one.modality != "other" for one in coarse)
        kinds: tuple[Shown, ...] = ("bone", "body") if both_ct else ("body",)
        for kind in kinds:
            self._made = []
            for number, one in enumerate(coarse):
                surface = functools.partial(visible_surface, one, kind, _MAX_TRIANGLES)
                drawing = in_thread(functools.partial(_drawn, surface))
                self._made.append((yield from shares(drawing, 0.5 + number / 4)))
            if None not in self._made:
                return

    def add(self) -> bool:
        """Add what was made to the scene, hidden from lists and not saved with it.

        Returns
        -------
        bool
            Whether both volumes have a surface; without, nothing is added.
        """
        if len(self._made) != 2 or None in self._made:
            return False
        colors = ((_WHITE, _FIXED_OPACITY), (_ORANGE, _MOVING_OPACITY))
        for volume, data, (color, opacity) in zip(self._volumes, self._made, colors, strict=True):
            model, display = _add_model(volume.GetScene(), f"{volume.GetName()} surface", data, color, opacity)
            model.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
            self._nodes += [model, display]
        return True

    def show_error(self, result_node: Any) -> Arrows | None:
        """Show the expected error of a result at the corners of what both surfaces fill, or no arrows.

        Parameters
        ----------
        result_node : vtkMRMLTransformNode or None
            The one after which the moving volume is shown; None for before.

        Returns
        -------
        Arrows or None
            What they stand for; None where there are none.
        """
        remove_present(self._arrow_nodes)
        self._arrow_nodes = []
        error = expected_error(result_node)
        if error is None or not self._nodes:
            return None
        fixed, moving = self._nodes[0], self._nodes[2]
        (fixed_low, fixed_high), (moving_low, moving_high) = _box_ras(fixed), _box_ras(moving)
        low, high = np.maximum(fixed_low, moving_low), np.minimum(fixed_high, moving_high)
        if np.any(low >= high):
            return None
        error_mm, before_bending = error
        diagonal_mm = float(np.linalg.norm(high - low))
        scale = next((one for one in _SCALES if one * error_mm >= _MIN_SHARE * diagonal_mm), _SCALES[-1])
        data = _arrows(low, high, scale * error_mm)
        self._arrow_nodes = list(_add_model(fixed.GetScene(), "expected error", data, _RED, 1.0))
        return Arrows(error_mm, scale, before_bending)

    def remove(self) -> None:
        """Take everything out of the scene."""
        remove_present([*self._arrow_nodes, *self._nodes])
        self._nodes, self._arrow_nodes = [], []


@dataclass(frozen=True, eq=False)
class _Seen:
    """What is kept of a volume: its node may be removed while another thread reads the voxels."""

    voxels: NDArray[Any]
    grid: VolumeGrid
    name: str

    @staticmethod
    def of(node: Any) -> _Seen:
        grid = grid_of_node(node)
        scalars = node.GetImageData().GetPointData().GetScalars()
        return _Seen(vtk_to_numpy(scalars).reshape(grid.size[::-1]), grid, node.GetName())


def _drawn(make: Callable[[], Any]) -> Any:
    """The ``vtkPolyData`` of a surface with normals, RAS, mm; None where there is none."""
    surface = make()
    if surface is None:
        return None
    normals = vtk.vtkPolyDataNormals()
    normals.SetInputData(polydata_of_surface(surface, space="RAS"))
    normals.SplittingOff()
    normals.Update()
    return normals.GetOutput()


def _box_ras(model: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lowest and highest corner in the world, RAS, mm: the node's own bounds are those of a turned box, too wide."""
    points = vtk_to_numpy(model.GetPolyData().GetPoints().GetData())
    # Some of the points: a deformable transform takes its time for each.
    placed = placement_in_world(model).points_in_world(points[:: max(1, len(points) // _POINTS_LOOKED_AT)])
    return placed.min(axis=0), placed.max(axis=0)


def _arrows(low: NDArray[np.float64], high: NDArray[np.float64], length_mm: float) -> Any:
    """Arrows at the corners of a box, pointing away from its middle, as ``vtkPolyData``."""
    signs = np.array(np.meshgrid((-1, 1), (-1, 1), (-1, 1), indexing="ij")).reshape(3, -1).T
    corners = vtk.vtkPolyData()
    corners.SetPoints(vtk_from_points((low + high) / 2 + signs * (high - low) / 2))
    corners.GetPointData().SetVectors(numpy_to_vtk(length_mm * signs / np.sqrt(3), deep=True))
    arrow = vtk.vtkArrowSource()
    arrow.SetTipResolution(24)
    arrow.SetShaftResolution(24)
    glyphs = vtk.vtkGlyph3D()
    glyphs.SetInputData(corners)
    glyphs.SetSourceConnection(arrow.GetOutputPort())
    glyphs.SetScaleModeToScaleByVector()
    glyphs.Update()
    return glyphs.GetOutput()


def _add_model(scene: Any, name: str, data: Any, color: tuple[float, ...], opacity: float) -> tuple[Any, Any]:
    """A hidden model that only 3D views show, and its display node."""
    display = add_hidden(scene, "vtkMRMLModelDisplayNode", name)
    display.SetColor(*color)
    display.SetOpacity(opacity)
    display.SetScalarVisibility(False)
    # The back of an open surface hides nothing but clutters what is in front of it.
    display.SetBackfaceCulling(True)
    display.SetVisibility2D(False)
    model = add_hidden(scene, "vtkMRMLModelNode", name)
    model.SetAndObserveMesh(data)
    model.SetAndObserveDisplayNodeID(display.GetID())
    return model, display
