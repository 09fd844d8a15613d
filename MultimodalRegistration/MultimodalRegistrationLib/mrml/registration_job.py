"""A registration of nodes: what its job is handed over, and what becomes of its result.

The scene changes only when the result is added, so a run that is cancelled or fails leaves it as it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import vtk
from vtk.util.numpy_support import get_vtk_array_type, vtk_to_numpy

from ..cli.jobs import Job
from ..core.errors import ExitCode, InputError
from ..core.frames import flip_ijk_to_space
from ..core.grid import VolumeGrid
from ..core.points import Pairing
from ..io.landmarks import write_landmarks
from ..io.markups import write_roi
from ..io.tools.itk import write_linear_transform
from ..io.volume_checks import check_pair, check_placement
from ..register.plan import make_plan
from ..register.request import RegisterOutputs, RegisterRequest
from .child_job import ChildJob
from .landmarks import landmarks_of_node, pairs_of_nodes
from .node_files import read_gzip_nrrd, write_nrrd
from .roi import box_of_roi_node
from .scene_nodes import add_display_node
from .segments import mask_slabs
from .transforms import add_file_transform_node, add_linear_transform_node, start_from_node
from .volume_kinds import check_kind
from .volumes import Slabs, slabs_of_node
from .vtk_arrays import vtk_from_matrix


@dataclass(frozen=True, eq=False)
class Inputs:
    """The nodes of a run.

    Parameters
    ----------
    fixed, moving : vtkMRMLScalarVolumeNode
        The volumes.
    initial_transform : vtkMRMLTransformNode, optional
        Linear; moves the moving volume, from where it lies, towards the fixed one.
    fixed_landmarks, moving_landmarks : vtkMRMLMarkupsNode, optional
        The run starts at their rigid fit; both or none.
    fixed_mask, moving_mask : vtkMRMLSegmentationNode or vtkMRMLLabelMapVolumeNode, optional
        What is used of the volume: its visible segments, or voxels above zero.
    roi : vtkMRMLMarkupsROINode, optional
        Only what lies in it is used of the fixed volume.
    structures : vtkMRMLSegmentationNode or vtkMRMLLabelMapVolumeNode, optional
        Of the fixed volume; each segment moves on its own.
    """

    fixed: Any
    moving: Any
    initial_transform: Any = None
    fixed_landmarks: Any = None
    moving_landmarks: Any = None
    fixed_mask: Any = None
    moving_mask: Any = None
    roi: Any = None
    structures: Any = None


@dataclass(frozen=True)
class Settings:
    """How a run is carried out.

    Parameters
    ----------
    options : mapping
        Fields of :class:`~MultimodalRegistrationLib.register.request.RegisterRequest`, but for those that name files;
        what is missing has its default.
    resampled_volume : bool
        Also make the moving volume on the fixed grid.
    fixed_mask_segments, moving_mask_segments : sequence of str or None
        Identifiers or names of the segments of a mask; None for all visible ones. Of segmentations only.
    fixed_mask_outside, moving_mask_outside : bool
        Use everything but what the mask marks.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    resampled_volume: bool = False
    fixed_mask_segments: Sequence[str] | None = None
    moving_mask_segments: Sequence[str] | None = None
    fixed_mask_outside: bool = False
    moving_mask_outside: bool = False

    @property
    def pairing(self) -> Pairing:
        """Of the landmarks."""
        return self.options.get("pairing", "order")


class VolumePairJob(ChildJob):
    """A task on two volumes that may start at a transform or at landmarks."""

    def __init__(self, folder: Path, nodes: Mapping[str, Any]) -> None:
        super().__init__(folder, nodes)
        self._places: dict[str, VolumeGrid] = {}
        """Where volumes lay in the world when the job was made, by role."""

    def moved_meanwhile(self) -> list[str]:
        """Names of the volumes that are still there, but not where they lay when the job was made."""
        return [
            self.node_names[role]
            for role, grid in self._places.items()
            if (node := self.node(role)) is not None and not slabs_of_node(node).grid.coincides_with(grid)
        ]

    def _add_start(self, inputs: Inputs, pairing: Pairing) -> None:
        if inputs.initial_transform is not None:
            path = self._file("initial_transform", ".h5", field="initial_transform")
            write_linear_transform(path, start_from_node(inputs.initial_transform))
        lists = {"fixed_landmarks": inputs.fixed_landmarks, "moving_landmarks": inputs.moving_landmarks}
        # Paired here for the sake of an early message only.
        if pairs_of_nodes(*lists.values(), how=pairing) is not None:
            for name, node in lists.items():
                path = self._file(name, ".mrk.json", field=name)
                write_landmarks(path, landmarks_of_node(node))
            self._fields["pairing"] = pairing


class RegistrationJob(VolumePairJob):
    """What one run needs and gives.

    Making it checks the nodes and takes note of where they lie; nothing is written yet.

    Parameters
    ----------
    inputs : Inputs
        Nodes of one scene; not changed.
    settings : Settings
        How to run.
    folder : Path
        An empty folder, which the caller removes.

    Raises
    ------
    InputError
        A node that cannot be used, by name.
    """

    # A failed result is shown with its verdict: the user decides.
    result_codes = frozenset({ExitCode.DONE, ExitCode.FAILED})

    _removed = (
        "the volume was removed while the registration ran",
        "Load it and register again; nothing was added to the scene.",
    )

    def __init__(self, inputs: Inputs, settings: Settings, folder: Path) -> None:
        super().__init__(folder, vars(inputs))
        self.settings = settings
        self.threads: int | None = None
        self._result_file, self._transform_file = folder / "result.json", folder / "result.h5"
        self._resampled_file = folder / "resampled.nrrd"
        self._resampled: Any = None
        self._files: dict[Path, Slabs] = {}
        # For the sake of an early message.
        make_plan(RegisterRequest(fixed="", moving="", **settings.options))
        if inputs.fixed is inputs.moving:
            raise InputError(
                inputs.fixed.GetName(), "it was chosen as both volumes", "Choose the two volumes to register."
            )
        for node in (inputs.fixed, inputs.moving):
            check_kind(node)
        fixed, moving = slabs_of_node(inputs.fixed), slabs_of_node(inputs.moving)
        for node, slabs in ((inputs.fixed, fixed), (inputs.moving, moving)):
            check_placement(slabs.grid, node.GetName())
        check_pair(fixed.grid, inputs.fixed.GetName(), moving.grid, inputs.moving.GetName())
        self.fixed_grid, self._moving_grid, self._moving_type = fixed.grid, moving.grid, moving.dtype
        self._places = {"fixed": fixed.grid, "moving": moving.grid}
        self._add_volume("fixed", fixed)
        self._add_volume("moving", moving)
        self._add_masks(inputs)
        self._add_start(inputs, settings.pairing)

    def _add_volume(self, role: str, slabs: Slabs) -> None:
        self._files[self._file(role, ".nrrd", field=role)] = slabs

    def _add_masks(self, inputs: Inputs) -> None:
        for role, volume in (("fixed", inputs.fixed), ("moving", inputs.moving)):
            node = getattr(inputs, f"{role}_mask")
            if node is not None:
                segments = getattr(self.settings, f"{role}_mask_segments")
                outside = getattr(self.settings, f"{role}_mask_outside")
                self._add_volume(f"{role}_mask", mask_slabs(node, volume, segments=segments, outside=outside))
        if inputs.roi is not None:
            self.node_names["fixed_roi"] = self.node_names.pop("roi")
            write_roi(self._file("fixed_roi", ".mrk.json", field="fixed_roi"), box_of_roi_node(inputs.roi), "ROI")

    def write(self) -> Iterator[float]:
        """Write the volumes and masks.

        Yields
        ------
        float
            How much is written, 0 to 1; a step takes some milliseconds.
        """
        sizes = {path: float(np.prod(slabs.grid.size)) for path, slabs in self._files.items()}
        done = 0.0
        for path, slabs in self._files.items():
            for share in write_nrrd(path, slabs):
                yield (done + share * sizes[path]) / sum(sizes.values())
            done += sizes[path]
        # The voxels are not needed any more.
        self._files.clear()

    def job(self) -> Job:
        """The request, which writes nothing outside the folder; once everything is written."""
        outputs = RegisterOutputs(
            output_transform=str(self._transform_file),
            output_volume=str(self._resampled_file) if self.settings.resampled_volume else None,
            json=str(self._result_file),
            threads=self.threads,
        )
        request = RegisterRequest(keep_failed=True, **{**self.settings.options, **self._fields})
        return Job("register", request, outputs)

    def read(self) -> Iterator[float]:
        """Read the resampled volume, where one was asked for.

        Yields
        ------
        float
            How much is read, 0 to 1.
        """
        if self.settings.resampled_volume:
            image = vtk.vtkImageData()
            image.SetDimensions(*self.fixed_grid.size)
            image.AllocateScalars(get_vtk_array_type(self._moving_type), 1)
            yield from read_gzip_nrrd(self._resampled_file, vtk_to_numpy(image.GetPointData().GetScalars()))
            self._resampled = image

    @property
    def moves_all(self) -> bool:
        """Whether the result holds for the whole moving volume."""
        return True

    def finish(self, scene: Any, output: Any = None) -> tuple[Any, list[Any], dict[str, Any]]:
        """Add the result to a scene.

        Parameters
        ----------
        scene : vtkMRMLScene
            That of the nodes.
        output : vtkMRMLTransformNode, optional
            Gets the result in place of a new node; see
            :func:`~MultimodalRegistrationLib.mrml.moved_nodes.check_output`.

        Returns
        -------
        transform_node : vtkMRMLTransformNode
            As of :func:`~MultimodalRegistrationLib.mrml.register.register_nodes`.
        others : list of vtkMRMLNode
            The moving volume on the fixed grid, where it was asked for.
        content : dict
            Everything about the run, as kept in the transform node.

        Raises
        ------
        InputError
            A volume was removed while the registration ran; the scene is as it was.
        """
        fixed, moving = self._present("fixed"), self._present("moving")
        content = self.renamed(json.loads(self._result_file.read_text(encoding="utf-8")))
        roles = [role for role in content["inputs"] if role in self.node_names]
        content["inputs"].update({role: self.node_names[role] for role in roles})
        node = add_registration_node(
            scene,
            content,
            self._transform_file,
            fixed_node=fixed,
            moving_node=moving,
            node=output,
        )
        return node, self._add_resampled(scene, moving), content

    def _add_resampled(self, scene: Any, moving: Any) -> list[Any]:
        if self._resampled is None:
            return []
        name = scene.GenerateUniqueName(f"{moving.GetName()} resampled")
        node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
        node.SetIJKToRASMatrix(vtk_from_matrix(flip_ijk_to_space(self.fixed_grid.ijk_to_lps)))
        node.SetAndObserveImageData(self._resampled)
        add_display_node(node, like=moving.GetScalarVolumeDisplayNode())
        return [node]


def result_name(fixed_node: Any, moving_node: Any) -> str:
    """What a result is called where no name is given."""
    return f"{moving_node.GetName()} to {fixed_node.GetName()}"


def add_registration_node(
    scene: Any,
    content: dict[str, Any],
    file: Path,
    *,
    fixed_node: Any,
    moving_node: Any,
    name: str | None = None,
    node: Any = None,
) -> Any:
    """Add the transform of a registration to a scene.

    Parameters
    ----------
    scene : vtkMRMLScene
        Gets the node.
    content : dict
        From :func:`~MultimodalRegistrationLib.register.report.result_content`; kept in the node.
    file : Path
        The transform; read where it is not linear, and not needed afterwards.
    fixed_node, moving_node : vtkMRMLScalarVolumeNode
        Referenced by the node.
    name : str, optional
        Of the node; by default of the two volumes.
    node : vtkMRMLTransformNode, optional
        Gets the result in place of a new node, and keeps its name.

    Returns
    -------
    vtkMRMLTransformNode
        Linear, unless a stage is deformable. Its parent is the world.
    """
    common: dict[str, Any] = {
        "name": name or result_name(fixed_node, moving_node),
        "fixed_node": fixed_node,
        "moving_node": moving_node,
        "settings": content,
        "node": node,
    }
    if content["transform"]["type"] == "linear":
        return add_linear_transform_node(scene, content["transform"]["moving_to_fixed_ras"], **common)
    return add_file_transform_node(scene, file, **common)
