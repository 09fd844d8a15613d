"""Which nodes are volumes that can be registered, what the others are, and the way from them to one that can."""

from __future__ import annotations

from typing import Any

from ..core.errors import InputError
from ..preprocess.findings import Finding
from .scene_nodes import nodes_of_class

_WITH_A_BUTTON = "with the button in the module Registration Preprocess"


def wrong_kind(node: Any) -> Finding | None:
    """What a node is that is no scalar volume with voxels, and what to do about it; None for one that is.

    Parameters
    ----------
    node : vtkMRMLNode
        Of any kind; not changed.
    """

    def refuse(code: str, found: str, remedy: str) -> Finding:
        return Finding(code, "error", found, remedy)

    if node.IsA("vtkMRMLSequenceNode"):
        return refuse("sequence", "this is a sequence of several volumes", f"Copy one frame of it {_WITH_A_BUTTON}.")
    if node.IsA("vtkMRMLLabelMapVolumeNode"):
        return refuse("label-map", "this is a label map, not a scan", "Choose the scan; use the label map as its mask.")
    if node.IsA("vtkMRMLDiffusionTensorVolumeNode"):
        return refuse(
            "tensor",
            "this is a diffusion volume of tensors",
            "Make a scalar volume of it, such as the trace (module Diffusion Tensor Scalar Maps).",
        )
    if node.IsA("vtkMRMLDiffusionWeightedVolumeNode"):
        return refuse("diffusion", f"this is a diffusion volume{_images(node)}", f"Take its baseline {_WITH_A_BUTTON}.")
    if node.IsA("vtkMRMLVectorVolumeNode"):
        return refuse("vector", "this is a vector or colour volume", _scalar_copy())
    if not node.IsA("vtkMRMLScalarVolumeNode"):
        return refuse("kind", f"this is not a scalar volume ({node.GetClassName()})", "Choose a scalar volume.")
    return _wrong_voxels(node)


def _images(node: Any) -> str:
    data = node.GetImageData()
    return "" if data is None else f" of {data.GetNumberOfScalarComponents()} images"


def _scalar_copy() -> str:
    return f"Make a scalar copy of it {_WITH_A_BUTTON}, or with the module Vector to Scalar Volume."


def _wrong_voxels(node: Any) -> Finding | None:
    data = node.GetImageData()
    if data is None or data.GetPointData().GetScalars() is None:
        return Finding("empty", "error", "the volume holds no voxels", "Load its data first.")
    count = data.GetNumberOfScalarComponents()
    if count != 1:
        return Finding("vector", "error", f"its voxels hold {count} values each", _scalar_copy())
    return None


def check_kind(node: Any) -> None:
    """Refuse a node that is no scalar volume with voxels.

    Raises
    ------
    InputError
        Names the node and what it is.
    """
    _refuse(node, wrong_kind(node))


def check_voxels(node: Any) -> None:
    """Refuse a volume node, or a label map, that does not hold one number a voxel.

    Raises
    ------
    InputError
        No voxels, or several components.
    """
    _refuse(node, _wrong_voxels(node))


def _refuse(node: Any, found: Finding | None) -> None:
    if found is not None:
        raise InputError(node.GetName(), found.message, found.remedy)


def other_volumes(scene: Any) -> list[Any]:
    """Volumes that a user sees in a scene and that no list of scalar volumes offers; label maps are not meant to be."""
    vectors = [
        node
        for node in nodes_of_class(scene, "vtkMRMLScalarVolumeNode")
        if node.GetClassName() != "vtkMRMLScalarVolumeNode" and not node.IsA("vtkMRMLLabelMapVolumeNode")
    ]
    return [node for node in (*vectors, *_sequences(scene)) if not node.GetHideFromEditors()]


def _sequences(scene: Any) -> list[Any]:
    """Of volumes."""
    found = nodes_of_class(scene, "vtkMRMLSequenceNode")
    first = [(node, node.GetNthDataNode(0) if node.GetNumberOfDataNodes() else None) for node in found]
    return [node for node, frame in first if frame is not None and frame.IsA("vtkMRMLScalarVolumeNode")]
