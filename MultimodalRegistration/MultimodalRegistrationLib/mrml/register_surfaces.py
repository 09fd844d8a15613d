"""Registration by shape with nodes in and a transform node out, in this process or another one.

The scene changes only when the result is added, so a run that is cancelled or fails leaves it as it was.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import vtk
from numpy.typing import NDArray

from ..cli.jobs import Context, Job
from ..core.errors import EngineError, InputError
from ..core.grid import VolumeGrid
from ..io.landmarks import write_landmarks
from ..io.tools.itk import write_linear_transform
from ..landmarks.icp import Model, Overlap
from ..landmarks.request import PrealignOutputs, PrealignRequest
from ..landmarks.surface_result import SurfaceRegistration, surface_registration_of
from ..preprocess.steps import ROLES, Role
from .child_job import ChildJob
from .landmarks import landmarks_of_node
from .moved_nodes import check_output, is_moved_by
from .node_files import write_nrrd
from .placement import placement_in_world
from .segments import common_grid, copy_of_segments, segment_identifier, segment_slabs, with_label_maps
from .steps import in_turn
from .transforms import add_linear_transform_node, start_from_node
from .volumes import grid_in_world
from .vtk_arrays import matrix_from_vtk

# Slicer's own name.
CLOSED_SURFACE = "Closed surface"
# Corners of a cube, mm: where a transform puts these tells it from another one.
_PROBES_RAS = np.array(np.meshgrid([-80, 90], [-100, 70], [-60, 110])).reshape(3, -1).T.astype(np.float64)


def polydata_of_model(node: Any) -> Any:
    """The surface of a model node where it lies in the world, parent transforms of any kind included.

    Parameters
    ----------
    node : vtkMRMLModelNode
        Not changed.

    Returns
    -------
    vtkPolyData
        World coordinates, RAS, mm.

    Raises
    ------
    InputError
        Another kind of node, or a model without a surface.
    """
    if not node.IsA("vtkMRMLModelNode"):
        raise InputError(node.GetName(), f"this is not a model ({node.GetClassName()})", "Choose a model.")
    data = node.GetPolyData()
    if data is None:
        raise InputError(
            node.GetName(), "the model holds no surface", "Load its data, or make a surface of its volume mesh."
        )
    return _in_world(node, data)


def polydata_of_segment(node: Any, segment: str) -> Any:
    """Make the closed surface of a segment, as Slicer shows it, where it lies in the world.

    Parameters
    ----------
    node : vtkMRMLSegmentationNode
        Not changed: a surface that it lacks is made of a copy.
    segment : str
        Identifier or name of the segment.

    Returns
    -------
    vtkPolyData
        World coordinates, RAS, mm, parent transforms of any kind included.

    Raises
    ------
    InputError
        Another kind of node, no such segment, several of that name, or a segment without a surface.
    """
    title, identifier = segment_title(node, segment), segment_identifier(node, segment)
    # Names of representations and converters are Slicer's own.
    copy = copy_of_segments(node.GetSegmentation(), [identifier])
    if not copy.CreateRepresentation(CLOSED_SURFACE):
        raise InputError(title, "no surface can be made of this segment", "Check that the segment is not empty.")
    return _in_world(node, copy.GetSegment(identifier).GetRepresentation(CLOSED_SURFACE))


def segment_title(node: Any, segment: str) -> str:
    """The names of a segmentation and of one of its segments, which is given by identifier or name.

    Raises
    ------
    InputError
        Another kind of node, no such segment, or several of that name.
    """
    if not node.IsA("vtkMRMLSegmentationNode"):
        raise InputError(
            node.GetName(), f"this is not a segmentation ({node.GetClassName()})", "Choose a segmentation."
        )
    identifier = segment_identifier(node, segment)
    return f"{node.GetName()}: {node.GetSegmentation().GetSegment(identifier).GetName()}"


def _in_world(node: Any, data: Any) -> Any:
    if node.GetParentTransformNode() is None:
        return data
    move = vtk.vtkTransformPolyDataFilter()
    move.SetInputData(data)
    move.SetTransform(placement_in_world(node).to_world)
    move.Update()
    return move.GetOutput()


@dataclass(frozen=True, eq=False)
class ShapeInputs:
    """The nodes of a job; see :func:`register_surface_nodes`.

    Parameters
    ----------
    fixed, moving : vtkMRMLModelNode, vtkMRMLSegmentationNode or vtkMRMLMarkupsNode
        The shapes.
    fixed_segment, moving_segment : str or None
        Of segmentations: identifier or name.
    output : vtkMRMLTransformNode or None
        Meant for the result: refused early where it cannot take it.
    initial_transform : vtkMRMLTransformNode or None
        Moves the moving shape, from where it lies in the world, onto the fixed one: an additional start.
    """

    fixed: Any
    moving: Any
    fixed_segment: str | None = None
    moving_segment: str | None = None
    output: Any = None
    initial_transform: Any = None


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
    overlap : float or "auto"
        Share of a shape that has a counterpart on the other.
    seed : int
        Of the random draws.

    Raises
    ------
    InputError
        A node that cannot be used, by name.
    """

    _removed = (
        "it was removed from the scene meanwhile",
        "Load it and align again; nothing was added to the scene.",
    )

    def __init__(
        self, inputs: ShapeInputs, model: Model, folder: Path, *, overlap: Overlap = "auto", seed: int = 0
    ) -> None:
        start = inputs.initial_transform
        super().__init__(folder, {"fixed": inputs.fixed, "moving": inputs.moving, "initial_transform": start})
        _movement_so_far(inputs.output, inputs.fixed, inputs.moving)
        _check_shapes(inputs.fixed, inputs.moving, inputs.fixed_segment, inputs.moving_segment)
        self._options: dict[str, Any] = {"model": model, "overlap": str(overlap), "seed": seed}
        self._result_file = folder / "result.json"
        self._segments = {"fixed": inputs.fixed_segment, "moving": inputs.moving_segment}
        self.node_names |= {role: self._title(getattr(inputs, role), self._segments[role]) for role in ROLES}
        self._places = {role: _place(getattr(inputs, role)) for role in ROLES}
        self._content: dict[str, Any] = {}
        if start is not None:
            path = self._file("initial_transform", ".h5", field="initial_transform")
            write_linear_transform(path, start_from_node(start))

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
        request = PrealignRequest(**self._options, **self._fields)
        return Job("prealign", request, PrealignOutputs(json=str(self._result_file)))

    def read(self) -> Iterator[float]:
        """Read the result.

        Yields
        ------
        float
            How much is read, 0 to 1.
        """
        content = self.renamed(json.loads(self._result_file.read_text(encoding="utf-8")))
        # Each side is a surface or landmarks.
        sides = {key: value for key, value in content["inputs"].items() if value is not None}
        content["inputs"] = {**sides, "initial_transform": content["inputs"]["initial_transform"]}
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
            As of :func:`register_surface_nodes`.

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
        before_ras = _movement_so_far(output, nodes["fixed"], nodes["moving"])
        return add_linear_transform_node(
            scene,
            np.array(self._content["transform"]["moving_to_fixed_ras"]) @ before_ras,
            name=f"{self.node_names['moving']} to {self.node_names['fixed']}",
            fixed_node=nodes["fixed"],
            moving_node=nodes["moving"],
            settings=self._content,
            node=output,
        )


def register_surface_nodes(
    scene: Any,
    fixed_node: Any,
    moving_node: Any,
    *,
    fixed_segment: str | None = None,
    moving_segment: str | None = None,
    model: Model = "rigid",
    overlap: Overlap = "auto",
    initial_transform_node: Any = None,
    seed: int = 0,
    node: Any = None,
) -> tuple[Any, SurfaceRegistration]:
    """Lay the shape of one node on that of another.

    Everything is computed in world coordinates: parent transforms are honoured, hardened or not.

    Parameters
    ----------
    scene : vtkMRMLScene
        Gets the transform node; nothing else in it changes.
    fixed_node, moving_node : vtkMRMLModelNode, vtkMRMLSegmentationNode or vtkMRMLMarkupsNode
        The shapes. One of them may be markups: points on the surface of the other. Points that are not placed or not
        selected are left out.
    fixed_segment, moving_segment : str, optional
        Identifier or name of the segment; of segmentations only, which need it.
    model, overlap, seed
        See :func:`~MultimodalRegistrationLib.landmarks.surface_registration.register_surface`.
    initial_transform_node : vtkMRMLTransformNode, optional
        Moves the moving shape, from where it lies in the world, onto the fixed one: an additional start.
    node : vtkMRMLTransformNode, optional
        Gets the result in place of a new node, and keeps its name. If it has moved the moving shape already, it holds
        that movement followed by the new one.

    Returns
    -------
    node : vtkMRMLTransformNode
        Linear. Maps what lies on the moving shape in the world onto the fixed one.
    result : SurfaceRegistration
        The transform with the distances that are left.

    Raises
    ------
    InputError
        A node without a shape, markups on both sides, a segment that is missing or does not belong there, or as
        :func:`~MultimodalRegistrationLib.landmarks.surface_registration.register_surface`.
    """
    inputs = ShapeInputs(fixed_node, moving_node, fixed_segment, moving_segment, node, initial_transform_node)
    with tempfile.TemporaryDirectory() as folder:
        job = ShapesJob(inputs, model, Path(folder), overlap=overlap, seed=seed)
        job.run_here(Context.of_callbacks())
        return job.finish(scene, node), job.result


def _check_shapes(fixed_node: Any, moving_node: Any, fixed_segment: str | None, moving_segment: str | None) -> None:
    """Refuse nodes that hold no shapes that can be registered; parameters as of :func:`register_surface_nodes`.

    Raises
    ------
    InputError
        A kind of node without a shape, markups on both sides, a segment that is missing or does not belong there.
    """
    for node, segment in ((fixed_node, fixed_segment), (moving_node, moving_segment)):
        name, kind = node.GetName(), node.GetClassName()
        if node.IsA("vtkMRMLSegmentationNode"):
            if segment is None:
                raise InputError(name, "no segment was chosen", "Choose the segment that holds the shape.")
            segment_title(node, segment)
        elif segment is not None:
            raise InputError(
                name, f"segment '{segment}' of a {kind}", "Only segmentations have segments; leave it out."
            )
        elif not node.IsA("vtkMRMLMarkupsNode") and not node.IsA("vtkMRMLModelNode"):
            raise InputError(
                name, f"this holds no shape ({kind})", "Choose a model, a segmentation or a list of points."
            )
    if fixed_node.IsA("vtkMRMLMarkupsNode") and moving_node.IsA("vtkMRMLMarkupsNode"):
        raise InputError(
            f"{fixed_node.GetName()} and {moving_node.GetName()}",
            "both are lists of points",
            "Choose a model or a segment for one side, or register the points as pairs of landmarks.",
        )


def _movement_so_far(node: Any, fixed_node: Any, moving_node: Any) -> NDArray[np.float64]:
    """How an output, or None, has moved the moving shape already, RAS, shape (4, 4).

    Raises
    ------
    InputError
        The output has a parent, moves the fixed shape, or moves the moving one and is not linear.
    """
    if node is None:
        return np.eye(4)
    check_output(node, fixed_node)
    if not is_moved_by(node, moving_node):
        return np.eye(4)
    if not node.IsLinear():
        raise InputError(
            node.GetName(),
            f"{moving_node.GetName()} lies under this transform, which is not linear",
            "Harden it first, or choose another output transform.",
        )
    matrix = vtk.vtkMatrix4x4()
    node.GetMatrixTransformToParent(matrix)
    return matrix_from_vtk(matrix)


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
