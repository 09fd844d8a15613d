"""Landmarks of a node that another process refines, and the movement that the user may take or not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import slicer.util
from numpy.typing import ArrayLike, NDArray

from ..cli.jobs import Job
from ..core.errors import InputError
from ..core.frames import flip_points_lps_ras
from ..core.points import LandmarkList, Pairs
from ..io.landmarks import write_landmarks
from ..landmarks.request import RefineOutputs, RefineRequest
from ..register.refine_landmarks import RefinedLandmark
from .child_job import ChildJob
from .landmarks import active_list_kept
from .node_files import write_nrrd
from .placement import placement_without
from .scene_nodes import add_hidden, remove_present
from .volume_kinds import check_kind
from .volumes import slabs_of_node
from .vtk_arrays import transform_points

# Of the points where they would go: apart from both lists.
_PREVIEW_COLOR = (0.1, 0.9, 1.0)


@dataclass(frozen=True, eq=False)
class RefineInputs:
    """The nodes of a job.

    Parameters
    ----------
    fixed, moving : vtkMRMLScalarVolumeNode
        The volumes.
    moving_points : vtkMRMLMarkupsFiducialNode
        The list of the moving points.
    result : vtkMRMLTransformNode or None
        May be applied to the moving side; everything is taken where it lies without it.
    """

    fixed: Any
    moving: Any
    moving_points: Any
    result: Any = None


class RefineJob(ChildJob):
    """What one run of the command needs and gives.

    Making it checks the nodes; nothing is written yet, and the scene is not changed.

    Parameters
    ----------
    inputs : RefineInputs
        Nodes of one scene.
    pairs : Pairs
        As they are now, world coordinates without the result.
    only : sequence of int or None
        Numbers of the pairs to refine; None for all.
    folder : Path
        An empty folder, which the caller removes.

    Raises
    ------
    InputError
        A node that cannot be used, by name.
    """

    _removed = "it was removed from the scene meanwhile", "Load it and refine again; no point was moved."

    def __init__(self, inputs: RefineInputs, pairs: Pairs, only: Sequence[int] | None, folder: Path) -> None:
        super().__init__(folder, {"fixed": inputs.fixed, "moving": inputs.moving, "points": inputs.moving_points})
        for node in (inputs.fixed, inputs.moving):
            check_kind(node)
        self._pairs, self._result = pairs, inputs.result
        self._point_ids = [inputs.moving_points.GetNthControlPointID(index) for index in pairs.moving_index]
        self._result_file = folder / "result.json"
        self._writers = [
            write_nrrd(
                self._file(role, ".nrrd", field=role),
                slabs_of_node(node, placement=placement_without(node, [inputs.result])),
            )
            for role, node in (("fixed", inputs.fixed), ("moving", inputs.moving))
        ]
        for role, one, points_lps in (
            ("fixed", pairs.fixed, pairs.fixed_lps),
            ("moving", pairs.moving, pairs.moving_lps),
        ):
            path = self._file(f"{role}_points", ".mrk.json", field=f"{role}_landmarks", name=one.name)
            write_landmarks(path, LandmarkList.of_points(one.name, points_lps))
        self._fields["only"] = tuple(str(number + 1) for number in only or ())
        self.refined: tuple[RefinedLandmark, ...] = ()

    def job(self) -> Job:
        """The request, which writes nothing outside the folder; once everything is written."""
        return Job("refine-landmarks", RefineRequest(**self._fields), RefineOutputs(json=str(self._result_file)))

    def read(self) -> Iterator[float]:
        """Read what became of each point; nothing is added to the scene."""
        content = self.renamed(json.loads(self._result_file.read_text(encoding="utf-8")))
        labels = self._pairs.labels
        found = (RefinedLandmark(**one) for one in content["refined"])
        self.refined = tuple(replace(one, label=labels[one.number]) for one in found)
        yield 1.0

    def points(self) -> RefinedPoints:
        """What the user may take.

        Raises
        ------
        InputError
            The list of points was removed meanwhile.
        """
        moved = [one for one in self.refined if not one.left_alone]
        return RefinedPoints(
            self._present("points"),
            self._result,
            [self._point_ids[one.number] for one in moved],
            [one.before_lps for one in moved],
            [one.after_lps for one in moved],
        )


class RefinedPoints:
    """Points of a list and where they would go.

    Parameters
    ----------
    node : vtkMRMLMarkupsFiducialNode
        The list; not changed before :meth:`take`.
    result : vtkMRMLTransformNode or None
        May be applied to the list.
    point_ids : sequence of str
        Identifiers of the control points.
    before_lps, after_lps : array, shape (N, 3)
        World coordinates without the result, LPS, mm.
    """

    def __init__(
        self, node: Any, result: Any, point_ids: Sequence[str], before_lps: ArrayLike, after_lps: ArrayLike
    ) -> None:
        self._node, self._ids = node, list(point_ids)
        from_world = placement_without(node, [result]).from_world
        self._before, self._after = (
            transform_points(from_world, flip_points_lps_ras(np.reshape(points, (-1, 3)).astype(float)))
            for points in (before_lps, after_lps)
        )
        self._preview: Any = None

    def show(self) -> None:
        """Show in the views where they would go."""
        scene = self._node.GetScene()
        with active_list_kept(scene):
            self._preview = add_hidden(scene, "vtkMRMLMarkupsFiducialNode", "refined")
        self._preview.CreateDefaultDisplayNodes()
        self._preview.SetLocked(True)
        self._preview.SetAndObserveTransformNodeID(self._node.GetTransformNodeID())
        display = self._preview.GetDisplayNode()
        display.SetSaveWithScene(False)
        display.SetSelectedColor(*_PREVIEW_COLOR)
        display.SetPointLabelsVisibility(False)
        for position in self._after:
            self._preview.AddControlPoint(*position, "")

    def hide(self) -> None:
        """Take the preview out of the scene."""
        preview, self._preview = self._preview, None
        if preview is not None:
            remove_present([preview.GetDisplayNode(), preview] if preview.GetScene() else [])

    def take(self) -> int:
        """Move the points.

        Returns
        -------
        int
            How many were moved: those that were moved or removed meanwhile are left alone.

        Raises
        ------
        InputError
            None of them is where it was.
        """
        moved = self._move(self._before, self._after)
        if not moved:
            raise InputError(self._node.GetName(), "all points were moved or removed meanwhile", "Refine them again.")
        return moved

    def take_back(self) -> int:
        """Put the points back that are still where :meth:`take` put them; returns how many."""
        return self._move(self._after, self._before)

    def _move(self, source: NDArray[np.float64], target: NDArray[np.float64]) -> int:
        node, moved = self._node, 0
        if node.GetScene() is None:
            return 0
        with slicer.util.NodeModify(node):
            for identifier, here, there in zip(self._ids, source, target, strict=True):
                index = node.GetNthControlPointIndexByID(identifier)
                if index >= 0 and np.allclose(node.GetNthControlPointPosition(index), here, atol=1e-3):
                    node.SetNthControlPointPosition(index, *there)
                    moved += 1
        return moved
