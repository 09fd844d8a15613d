"""What speaks against registering two volume nodes, and the new nodes that help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from ..core.errors import InputError
from ..preprocess.check import check_volume
from ..preprocess.findings import Finding, finding_of_error
from ..preprocess.steps import ROLES, Role
from ..register.check_two import check_two
from .placement import placement_in_world
from .scene_nodes import nodes_of_class
from .volume_kinds import wrong_kind
from .volumes import grid_in_world, grid_of_node, volume_from_node

Remedy = Literal["scalar", "baseline", "frame", "mask", "hounsfield"]
_REMEDY_OF: dict[str, Remedy] = {
    "vector": "scalar",
    "diffusion": "baseline",
    "sequence": "frame",
    "sequence-frame": "frame",
    "label-map": "mask",
    "ct-without-rescale": "hounsfield",
}
# What scanners add to Hounsfield units to store them without sign.
_CT_OFFSET = 1024
_SUFFIX: dict[Remedy, str] = {
    "scalar": "scalar",
    "baseline": "baseline",
    "frame": "frame",
    "mask": "mask",
    "hounsfield": "HU",
}


@dataclass(frozen=True)
class NodeFinding:
    """What was noticed about a node.

    Parameters
    ----------
    role : {"fixed", "moving"} or None
        Which of the two volumes; None for both.
    name : str
        Of the node; of both.
    finding : Finding
        How grave, what, and what to do.
    remedy : str or None
        What :func:`~MultimodalRegistrationLib.mrml.volume_findings.add_remedy` can do about it, in a new node.
    """

    role: Role | None
    name: str
    finding: Finding
    remedy: Remedy | None


def is_usable(findings: tuple[NodeFinding, ...]) -> bool:
    """Whether nothing among some findings is an error."""
    return all(each.finding.severity != "error" for each in findings)


def with_remedies(role: Role | None, name: str, findings: tuple[Finding, ...]) -> tuple[NodeFinding, ...]:
    """Findings about the voxels of a node, with what can be done about them in the scene."""
    return tuple(
        NodeFinding(role, name, finding, None if role is None else _REMEDY_OF.get(finding.code)) for finding in findings
    )


def check_nodes(fixed_node: Any, moving_node: Any) -> tuple[NodeFinding, ...]:
    """Look at two nodes, their voxels included.

    Parameters
    ----------
    fixed_node, moving_node : vtkMRMLNode
        Of any kind; not changed.

    Returns
    -------
    tuple of NodeFinding
        Never an exception because of a node: what is wrong with it is a finding of severity ``error``.
    """
    kinds = check_kinds(fixed_node, moving_node)
    nodes: dict[Role, Any] = {"fixed": fixed_node, "moving": moving_node}
    found, volumes = list(kinds), []
    for role, node in nodes.items():
        if not is_usable(tuple(each for each in kinds if each.role in (role, None))):
            continue
        try:
            volume = volume_from_node(node)
        except InputError as error:
            found += with_remedies(role, node.GetName(), (finding_of_error(error),))
            continue
        findings = check_volume(volume)
        found += with_remedies(role, node.GetName(), findings)
        if all(finding.severity != "error" for finding in findings):
            volumes.append(volume)
    if len(volumes) == len(ROLES):
        found += with_remedies(None, f"{fixed_node.GetName()}, {moving_node.GetName()}", check_two(*volumes))
    return tuple(found)


def check_kinds(fixed_node: Any, moving_node: Any) -> tuple[NodeFinding, ...]:
    """Look at what kind of nodes two are and how they are placed, without a look at any voxel.

    Parameters
    ----------
    fixed_node, moving_node : vtkMRMLNode
        Of any kind; not changed.

    Returns
    -------
    tuple of NodeFinding
        Empty for two scalar volumes of which nothing is to be said.
    """
    nodes: dict[Role, Any] = {"fixed": fixed_node, "moving": moving_node}
    found: list[NodeFinding] = []
    for role, node in nodes.items():
        found += with_remedies(role, node.GetName(), tuple(_kind_findings(node)))
    if fixed_node is moving_node:
        same = Finding("same-node", "error", "it was chosen as both volumes", "Choose another moving volume.")
        found.append(NodeFinding(None, fixed_node.GetName(), same, None))
    return tuple(found)


def _kind_findings(node: Any) -> list[Finding]:
    kind = wrong_kind(node)
    if kind is not None:
        return [kind]
    placement = placement_in_world(node)
    try:
        grid_in_world(grid_of_node(node), placement, node.GetName())
    except InputError as error:
        return [Finding("flat", "error", error.found, error.remedy)]
    findings = []
    if placement.matrix_ras is None:
        findings.append(
            Finding(
                "warped",
                "note",
                f"it lies under the transform {node.GetParentTransformNode().GetName()}, which is not linear",
                "It is resampled to where it lies. To work on the original voxels, take it out of the transform.",
            )
        )
    browser = _browser_of(node)
    if browser is not None:
        findings.append(
            Finding(
                "sequence-frame",
                "warning",
                f"it shows the frame that the sequence browser {browser.GetName()} is at, and changes with it",
                "Work on a copy of this frame, so that the volume stays what it is.",
            )
        )
    return findings


def _browser_of(node: Any) -> Any:
    """The sequence browser that a node is shown by, or None."""
    scene = node.GetScene()
    if scene is None:
        return None
    browsers = nodes_of_class(scene, "vtkMRMLSequenceBrowserNode")
    return next((browser for browser in browsers if browser.IsProxyNodeID(node.GetID())), None)


def refuse_wrong_kinds(fixed_node: Any, moving_node: Any) -> None:
    """Raise for the first of two nodes that is no volume that can be registered.

    Raises
    ------
    InputError
        Names the node, what it is, and the remedy.
    """
    for each in check_kinds(fixed_node, moving_node):
        if each.finding.severity == "error":
            raise InputError(each.name, each.finding.message, each.finding.remedy, code=each.finding.code)


def add_remedy(scene: Any, node: Any, remedy: Remedy) -> Any:
    """Add the node that takes the place of another.

    Parameters
    ----------
    scene : vtkMRMLScene
        Gets the node.
    node : vtkMRMLNode
        Not changed.
    remedy : str
        ``"scalar"``: the brightness of a colour volume, otherwise the first value of each voxel; ``"baseline"``: the
        image of a diffusion volume with the least weighting; ``"frame"``: a copy of what a sequence shows, or of its
        first frame; ``"mask"``: the labels of a scalar volume as a label map; ``"hounsfield"``: 1024 less.

    Returns
    -------
    vtkMRMLVolumeNode
        Where the other one lies, under the same parent. For ``"mask"`` of a label map, that itself.

    Raises
    ------
    InputError
        A sequence without frames of volumes.
    """
    if remedy == "mask" and node.IsA("vtkMRMLLabelMapVolumeNode"):
        return node
    source = _first_frame(node) if node.IsA("vtkMRMLSequenceNode") else node
    kind = "vtkMRMLLabelMapVolumeNode" if remedy == "mask" else "vtkMRMLScalarVolumeNode"
    data = _voxels(source, remedy)
    made = scene.AddNewNodeByClass(kind, scene.GenerateUniqueName(f"{node.GetName()} {_SUFFIX[remedy]}"))
    made.CopyOrientation(source)
    made.SetAndObserveImageData(data)
    if source.GetTransformNodeID() is not None and scene.GetNodeByID(source.GetTransformNodeID()) is not None:
        made.SetAndObserveTransformNodeID(source.GetTransformNodeID())
    made.CreateDefaultDisplayNodes()
    return made


def _first_frame(sequence: Any) -> Any:
    frame = sequence.GetNthDataNode(0) if sequence.GetNumberOfDataNodes() else None
    if frame is None or not frame.IsA("vtkMRMLScalarVolumeNode") or frame.GetImageData() is None:
        raise InputError(sequence.GetName(), "the sequence holds no frames of volumes", "Choose a scalar volume.")
    return frame


def _voxels(node: Any, remedy: Remedy) -> Any:
    data = node.GetImageData()
    copy = vtk.vtkImageData()
    copy.SetDimensions(data.GetDimensions())
    values = vtk_to_numpy(data.GetPointData().GetScalars())
    if remedy == "scalar" and values.dtype == np.uint8 and values.shape[1] >= 3:
        # The weights of Slicer's module Vector to Scalar Volume.
        values = np.rint(values[:, :3] @ np.array([0.30, 0.59, 0.11])).astype(np.uint8)
    elif remedy == "scalar":
        values = values[:, 0]
    elif remedy == "baseline":
        weights = [node.GetBValue(number) for number in range(node.GetNumberOfGradients())]
        values = values.reshape(len(values), -1)[:, int(np.argmin(weights)) if weights else 0]
    elif remedy == "hounsfield":
        kind = np.int32 if values.dtype.kind in "iu" else values.dtype
        values = values.astype(kind) - _CT_OFFSET
    elif remedy == "mask":
        values = np.clip(np.rint(values), np.iinfo(np.int16).min, np.iinfo(np.int16).max).astype(np.int16)
    copy.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(values), deep=True))
    return copy
