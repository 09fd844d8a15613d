"""A transform that the user drags in the views, and how well the volumes agree under it."""

from __future__ import annotations

import functools
from collections.abc import Generator
from typing import Any

import numpy as np
import vtk
from numpy.typing import NDArray

from ..core.frames import flip_matrix_lps_ras, flip_points_lps_ras
from ..core.grid import VolumeGrid
from ..engines.jobs import EngineVolume
from ..io.downsample import coarse_copy
from ..register.prepare import engine_volume, orthogonal_volume
from ..register.search.live_agreement import LiveAgreement
from .scene_nodes import remove_present
from .steps import in_thread
from .volume_kinds import check_kind
from .volumes import slabs_of_node, voxels_in_steps
from .vtk_arrays import matrix_from_vtk

_COARSE_MM = 2.0
_WINSORIZE_PERCENTILES = 0.1, 99.9


class HandTransform:
    """A linear transform node with Slicer's handles, hidden at first, in the middle of the moving volume as it lies.

    Parameters
    ----------
    fixed_node, moving_node : vtkMRMLScalarVolumeNode
        In a scene; not changed.

    Raises
    ------
    InputError
        A node that cannot be registered.
    """

    def __init__(self, fixed_node: Any, moving_node: Any) -> None:
        for node in (fixed_node, moving_node):
            check_kind(node)
        scene = moving_node.GetScene()
        name = f"{moving_node.GetName()} to {fixed_node.GetName()} by hand"
        self.node = scene.AddNewNodeByClass("vtkMRMLTransformNode", scene.GenerateUniqueName(name))
        self.node.SetCenterOfTransformation(*flip_points_lps_ras(slabs_of_node(moving_node).grid.center_lps).tolist())
        self.node.CreateDefaultDisplayNodes()
        self._display = self.node.GetDisplayNode()
        # A scaled body is no other pose of it.
        self._display.SetEditorScalingEnabled(False)
        self._display.SetEditorScalingSliceEnabled(False)
        self.show_handles(False)

    @property
    def there(self) -> bool:
        """Whether the node is still in its scene."""
        return self.node.GetScene() is not None

    @property
    def moving_to_fixed_lps(self) -> NDArray[np.float64]:
        """Where the handles put the moving volume, from where it lay, shape (4, 4), LPS, mm."""
        matrix = vtk.vtkMatrix4x4()
        self.node.GetMatrixTransformToParent(matrix)
        return flip_matrix_lps_ras(matrix_from_vtk(matrix))

    def show_handles(self, visible: bool) -> None:
        """Show the handles in all views, or not."""
        self._display.SetEditorVisibility(visible)
        self._display.SetEditorSliceIntersectionVisibility(visible)

    def remove(self) -> None:
        """Take the transform out of the scene."""
        remove_present([self._display, self.node])


def live_agreement_steps(fixed_node: Any, moving_node: Any) -> Generator[None, None, LiveAgreement]:
    """Make ready what a score needs.

    Parameters
    ----------
    fixed_node, moving_node : vtkMRMLScalarVolumeNode
        Where they lie in the world. Not changed; may be removed meanwhile.

    Yields
    ------
    None
        Every few milliseconds.

    Returns
    -------
    LiveAgreement
        Of movements from where the volumes lie now.

    Raises
    ------
    InputError
        A node that cannot be registered, or a volume without contrast.
    """
    sides = [(node.GetName(), slabs_of_node(node)) for node in (fixed_node, moving_node)]
    coarse: list[EngineVolume] = []
    for name, slabs in sides:
        voxels = yield from voxels_in_steps(slabs)
        coarse.append((yield from in_thread(functools.partial(_coarse, name, slabs.grid, voxels))))
    return (yield from in_thread(lambda: LiveAgreement(*coarse)))


def _coarse(name: str, grid: VolumeGrid, voxels: NDArray[Any]) -> EngineVolume:
    volume = coarse_copy(voxels, grid, _COARSE_MM, name)
    if not volume.grid.is_orthogonal:
        volume = orthogonal_volume(volume, np.eye(4))
    return engine_volume(volume, None, _WINSORIZE_PERCENTILES)
