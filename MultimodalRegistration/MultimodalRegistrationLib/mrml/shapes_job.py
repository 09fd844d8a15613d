"""A registration of shapes that another process carries out: what it is handed over, and what becomes of its result.

The scene changes only when the result is added, so a run that is cancelled or fails leaves it as it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import vtk
from numpy.typing import NDArray

from ..cli.jobs import Job
from ..core.errors import EngineError, InputError
from ..core.grid import VolumeGrid
from ..io.landmarks import write_landmarks
from ..landmarks.icp import Model
from ..landmarks.request import PrealignOutputs, PrealignRequest
from ..landmarks.surface_result import SurfaceRegistration, surface_registration_of
from ..preprocess.steps import ROLES, Role
from .child_job import ChildJob, in_turn
from .landmarks import landmarks_of_node
from .placement import placement_in_world
from .register_surfaces import add_surface_registration, check_shapes, movement_so_far
from .segmentations import common_grid
from .segments import segment_identifier, segment_slabs, with_label_maps
from .surfaces import CLOSED_SURFACE, polydata_of_model, polydata_of_segment, segment_title
from .volumes import grid_in_world
from .voxel_slabs import write_nrrd

__all__ = ["ShapeInputs", "ShapesJob"]

# Corners of a cube, mm: where a transform puts these tells it from another one.
_PROBES_RAS = np.array(np.meshgrid([-80, 90], [-100, 70], [-60, 110])).reshape(3, -1).T.astype(np.float64)


@dataclass(frozen=True, eq=False)
class ShapeInputs:
    """The nodes of a job; see :func:`~MultimodalRegistrationLib.mrml.register_surfaces.register_surface_nodes`.

    Parameters
    ----------
    fixed, moving : vtkMRMLModelNode, vtkMRMLSegmentationNode or vtkMRMLMarkupsNode
        The shapes.
    fixed_segment, moving_segment : str or None
        Of segmentations: identifier or name.
    output : vtkMRMLTransformNode or None
        Meant for the result: refused early where it cannot take it.
    """

    fixed: Any
    moving: Any
    fixed_segment: str | None = None
    moving_segment: str | None = None
    output: Any = None


class ShapesJob(ChildJob):
    """What one run of the command needs and gives.

    Making it checks the nodes and takes note of where they lie; nothing is written yet.

    Parameters
    ----------
    inputs : ShapeInputs
        Nodes of one scene; not changed.
    model : {"rigid", "similarity", "affine"}
        What is fitted.
    folder : Path
        An empty folder, which the caller removes.

    Raises
    ------
    InputError
        A node that cannot be used, by name.
    """

    _removed = (
        "it was removed from the scene meanwhile",
        "Load it and align again; nothing was added to the scene.",
    )

    def __init__(self, inputs: ShapeInputs, model: Model, folder: Path) -> None:
        super().__init__(folder, {role: getattr(inputs, role) for role in ROLES})
        movement_so_far(inputs.output, inputs.fixed, inputs.moving)
        check_shapes(inputs.fixed, inputs.moving, inputs.fixed_segment, inputs.moving_segment)
        self._model = model
        self._result_file = folder / "result.json"
        self._segments = {"fixed": inputs.fixed_segment, "moving": inputs.moving_segment}
        self.node_names = {role: self._title(getattr(inputs, role), self._segments[role]) for role in ROLES}
        self._places = {role: _place(getattr(inputs, role)) for role in ROLES}
        self._content: dict[str, Any] = {}

    @staticmethod
    def _title(node: Any, segment: str | None) -> str:
        return str(node.GetName()) if segment is None else segment_title(node, segment)

    def write(self) -> Iterator[float]:
        """Write the shapes.

        Yields
        ------
        float
            How much is written, 0 to 1.

        Raises
        ------
        InputError
            A shape that was removed meanwhile, or holds nothing.
        """
        yield from in_turn([self._write_role(role) for role in ROLES])

    def _write_role(self, role: Role) -> Iterator[float]:
        yield 0.0
        node, segment, field = self._present(role), self._segments[role], f"{role}_surface"
        if node.IsA("vtkMRMLMarkupsNode"):
            path = self._file(role, ".mrk.json", field=f"{role}_landmarks")
            write_landmarks(path, landmarks_of_node(node))
            return
        grid = None if segment is None else _label_map_grid(node, segment)
        if grid is not None:
            assert segment is not None
            slabs = segment_slabs(node, grid, segments=[segment])
            yield from write_nrrd(self._file(role, ".nrrd", field=field), slabs)
        else:
            data = polydata_of_model(node) if segment is None else polydata_of_segment(node, segment)
            yield 0.5
            _write_polydata(self._file(role, ".vtp", field=field), data)

    def job(self) -> Job:
        """The request, which writes nothing outside the folder; once everything is written."""
        request = PrealignRequest(model=self._model, **self._fields)
        return Job("prealign", request, PrealignOutputs(json=str(self._result_file)))

    def read(self) -> Iterator[float]:
        """Read the result.

        Yields
        ------
        float
            How much is read, 0 to 1.
        """
        content = self.renamed(json.loads(self._result_file.read_text(encoding="utf-8")))
        content["inputs"] = {key: value for key, value in content["inputs"].items() if value is not None}
        self._content = content
        yield 1.0

    @property
    def result(self) -> SurfaceRegistration:
        """The transform with the distances that are left, once it is read."""
        return surface_registration_of(self._content)

    def finish(self, scene: Any, output: Any = None) -> Any:
        """Add the result to a scene.

        Parameters
        ----------
        scene : vtkMRMLScene
            That of the nodes.
        output : vtkMRMLTransformNode, optional
            Gets the result in place of a new node.

        Returns
        -------
        vtkMRMLTransformNode
            As of :func:`~MultimodalRegistrationLib.mrml.register_surfaces.register_surface_nodes`.

        Raises
        ------
        InputError
            A shape was removed or moved meanwhile, or the output cannot take the result; the scene is as it was.
        """
        nodes = {role: self._present(role) for role in ROLES}
        for role, node in nodes.items():
            if not np.allclose(_place(node), self._places[role], atol=1e-6):
                raise InputError(
                    self.node_names[role], "it was moved while the shapes were aligned", "Align them once more."
                )
        return add_surface_registration(
            scene,
            self._content,
            fixed_node=nodes["fixed"],
            moving_node=nodes["moving"],
            before_ras=movement_so_far(output, nodes["fixed"], nodes["moving"]),
            name=f"{self.node_names['moving']} to {self.node_names['fixed']}",
            node=output,
        )


def _place(node: Any) -> NDArray[np.float64]:
    return placement_in_world(node).points_in_world(_PROBES_RAS)


def _label_map_grid(node: Any, segment: str) -> VolumeGrid | None:
    """The voxels of a segment in the world, from which the command makes its surface; None where that is no way.

    Where there is a surface already there is none to make, and the directions of a file are at right angles.
    """
    identifier, placement = segment_identifier(node, segment), placement_in_world(node)
    if node.GetSegmentation().ContainsRepresentation(CLOSED_SURFACE) or placement.matrix_ras is None:
        return None
    grid = grid_in_world(common_grid(with_label_maps(node, [identifier]), node.GetName()), placement, node.GetName())
    axes = grid.ijk_to_lps[:3, :3] / np.linalg.norm(grid.ijk_to_lps[:3, :3], axis=0)
    return grid if np.allclose(axes.T @ axes, np.eye(3), atol=1e-6) else None


def _write_polydata(path: Path, data: Any) -> None:
    """Write the polygons alone, as fast as vtk can: some 50 ms for a million triangles."""
    space = vtk.vtkStringArray()
    space.SetName("SPACE")
    space.InsertNextValue("RAS")
    bare = vtk.vtkPolyData()
    bare.SetPoints(data.GetPoints())
    bare.SetPolys(data.GetPolys())
    bare.SetStrips(data.GetStrips())
    bare.GetFieldData().AddArray(space)
    writer = vtk.vtkXMLPolyDataWriter()
    writer.SetFileName(str(path))
    writer.SetCompressorTypeToNone()
    writer.SetDataModeToAppended()
    writer.EncodeAppendedDataOff()
    writer.SetInputData(bare)
    if not writer.Write():
        raise EngineError(str(path), "it could not be written", "Free some space in the temporary folder.")
