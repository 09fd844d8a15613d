"""What was prepared for a registration, as nodes that lie where the originals lie in the world, and a preview of it."""

from __future__ import annotations

import threading
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import SimpleITK as sitk
from numpy.typing import ArrayLike

from ..core.frames import modelling_ras_from_resampling_lps
from ..core.grid import OrientedBox
from ..core.volume import Volume
from ..io.volume_checks import check_scalar_volume
from ..preprocess.bias import BiasPreview, preview_bias
from ..preprocess.region import Region
from ..preprocess.run import Preprocessed
from .roi import add_roi_node, set_roi_node
from .scene_nodes import add_display_node
from .steps import in_thread
from .transforms import add_linear_transform_node
from .volume_kinds import check_kind
from .volumes import fill_volume_node, slabs_of_node, voxels_in_steps

# Reference of a prepared volume to the one that it was made of.
ORIGINAL_ROLE = "MultimodalRegistration.Original"
# References of what was found for two volumes.
_FIXED_ROLE, _MOVING_ROLE = "MultimodalRegistration.FoundForFixed", "MultimodalRegistration.FoundForMoving"


@dataclass(frozen=True, eq=False)
class RegionNodes:
    """The common region of two volumes.

    Parameters
    ----------
    roi : vtkMRMLMarkupsROINode
        In the fixed volume, shown, to be edited.
    prealignment : vtkMRMLTransformNode
        Moves the moving volume, from where it lies in the world, onto the fixed one. Not applied.
    added : tuple of vtkMRMLNode
        Which nodes were added to the scene for this.
    facts : tuple of str
        What was found, a sentence each.
    """

    roi: Any
    prealignment: Any
    added: tuple[Any, ...] = ()
    facts: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class PreparedNodes:
    """Two prepared volumes.

    Parameters
    ----------
    fixed, moving : vtkMRMLScalarVolumeNode
        Copies in world coordinates, whose parent is the world; a transform found on them is one of the originals.
    fixed_mask, moving_mask : vtkMRMLLabelMapVolumeNode or None
        None where everything counts.
    fixed_bias_field, moving_bias_field : vtkMRMLScalarVolumeNode or None
        On the grids of the originals in the world.
    roi : vtkMRMLMarkupsROINode
        What they were cut to: the one given, or one added.
    prealignment : vtkMRMLTransformNode
        The one given, or one added. Not applied.
    added : tuple of vtkMRMLNode
        Which of the above were added to the scene.
    facts : tuple of str
        What was done, a sentence each.
    """

    fixed: Any
    moving: Any
    fixed_mask: Any
    moving_mask: Any
    fixed_bias_field: Any
    moving_bias_field: Any
    roi: Any
    prealignment: Any
    added: tuple[Any, ...] = field(default=())
    facts: tuple[str, ...] = ()


def add_prepared(
    scene: Any,
    prepared: Preprocessed,
    fixed_to_moving_lps: ArrayLike,
    *,
    fixed_node: Any,
    moving_node: Any,
    roi_node: Any = None,
    prealignment_node: Any = None,
) -> PreparedNodes:
    """Add prepared volumes to a scene, all of them or, after an exception, none.

    Parameters
    ----------
    scene : vtkMRMLScene
        Gets the nodes.
    prepared : Preprocessed
        In world coordinates.
    fixed_to_moving_lps : array, shape (4, 4)
        The prealignment.
    fixed_node, moving_node : vtkMRMLScalarVolumeNode
        The originals, whose window and colours the copies take over.
    roi_node, prealignment_node : vtkMRMLNode, optional
        Those that were given; else they are added.
    """
    added: list[Any] = []
    nodes: dict[str, Any] = {}
    try:
        for role, original, part in (
            ("fixed", fixed_node, prepared.fixed),
            ("moving", moving_node, prepared.moving),
        ):
            name = original.GetName()
            copy = _add_volume(scene, part.volume, f"{name} prepared", added)
            add_display_node(copy, like=original.GetScalarVolumeDisplayNode())
            nodes[role] = copy
            for what, kind, words, volume in (
                ("mask", "vtkMRMLLabelMapVolumeNode", "mask", _telling(part.mask)),
                ("bias_field", "vtkMRMLScalarVolumeNode", "bias field", part.bias_field),
            ):
                made = None if volume is None else _add_volume(scene, volume, f"{name} {words}", added, kind)
                nodes[f"{role}_{what}"] = made
                if what == "mask" and made is not None:
                    made.CreateDefaultDisplayNodes()
                elif made is not None:
                    add_display_node(made)
            for made in (copy, nodes[f"{role}_mask"], nodes[f"{role}_bias_field"]):
                if made is not None:
                    made.SetNodeReferenceID(ORIGINAL_ROLE, original.GetID())
        found = _add_region(
            scene, prepared.region, fixed_to_moving_lps, fixed_node, moving_node, roi_node, prealignment_node, added
        )
    except BaseException:
        remove_nodes(scene, added)
        raise
    return PreparedNodes(
        **nodes, roi=found.roi, prealignment=found.prealignment, added=tuple(added), facts=prepared.facts
    )


def add_region(
    scene: Any,
    region: Region,
    fixed_to_moving_lps: ArrayLike,
    *,
    fixed_node: Any,
    moving_node: Any,
    roi_node: Any = None,
    prealignment_node: Any = None,
    facts: tuple[str, ...] = (),
) -> RegionNodes:
    """Add a region to a scene, as a ROI that is shown and can be edited.

    Parameters
    ----------
    scene, fixed_to_moving_lps, fixed_node, moving_node, prealignment_node
        As for :func:`add_prepared`.
    region : Region
        In world coordinates.
    roi_node : vtkMRMLMarkupsROINode, optional
        One that was found here before is set anew; one of the user's stays as it is, and another is added.
    facts : tuple of str
        To be returned.
    """
    added: list[Any] = []
    again = roi_node if roi_node is not None and roi_node.GetNodeReferenceID(_FIXED_ROLE) else None
    if again is not None and not again.GetParentTransformNode():
        set_roi_node(again, region.fixed)
        _found_for(again, fixed_node, moving_node)
    else:
        again = None
    try:
        found = _add_region(
            scene, region, fixed_to_moving_lps, fixed_node, moving_node, again, prealignment_node, added
        )
    except BaseException:
        remove_nodes(scene, added)
        raise
    return RegionNodes(found.roi, found.prealignment, tuple(added), facts)


def found_for(node: Any, fixed_node: Any, moving_node: Any) -> bool:
    """Whether a ROI or transform was made by the user, or found for just these two volumes."""
    ids = node.GetNodeReferenceID(_FIXED_ROLE), node.GetNodeReferenceID(_MOVING_ROLE)
    if ids == (None, None):
        return True
    return ids == tuple(None if each is None else each.GetID() for each in (fixed_node, moving_node))


def remove_nodes(scene: Any, nodes: Any) -> None:
    """Remove nodes, and their display nodes, that are still in a scene."""
    for node in nodes:
        if node.GetScene() is not scene:
            continue
        for number in reversed(range(getattr(node, "GetNumberOfDisplayNodes", lambda: 0)())):
            display = node.GetNthDisplayNode(number)
            if display is not None:
                scene.RemoveNode(display)
        scene.RemoveNode(node)


def _add_region(
    scene: Any,
    region: Region,
    fixed_to_moving_lps: ArrayLike,
    fixed_node: Any,
    moving_node: Any,
    roi_node: Any,
    prealignment_node: Any,
    added: list[Any],
) -> RegionNodes:
    if roi_node is None:
        roi_node = _add_roi(scene, region.fixed, f"{fixed_node.GetName()} common region", added)
        _found_for(roi_node, fixed_node, moving_node)
    if prealignment_node is None:
        prealignment_node = add_linear_transform_node(
            scene,
            modelling_ras_from_resampling_lps(fixed_to_moving_lps),
            name=f"{moving_node.GetName()} to {fixed_node.GetName()} prealignment",
            fixed_node=fixed_node,
            moving_node=moving_node,
            settings={"made_by": "preprocess"},
        )
        added.append(prealignment_node)
        _found_for(prealignment_node, fixed_node, moving_node)
    return RegionNodes(roi_node, prealignment_node)


def _add_roi(scene: Any, box: OrientedBox, name: str, added: list[Any]) -> Any:
    node = add_roi_node(scene, box, name=name)
    added.append(node)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    # The anatomy behind it has to be seen.
    display.SetFillOpacity(0.1)
    display.SetHandlesInteractive(True)
    return node


def _telling(mask: Volume | None) -> Volume | None:
    """A mask that leaves something out, or None."""
    # Many times faster than asking whether all are true.
    return None if mask is None or mask.voxels.min() > 0 else mask


def _found_for(node: Any, fixed_node: Any, moving_node: Any) -> None:
    node.SetNodeReferenceID(_FIXED_ROLE, fixed_node.GetID())
    node.SetNodeReferenceID(_MOVING_ROLE, moving_node.GetID())


def _add_volume(scene: Any, volume: Volume, name: str, added: list[Any], kind: str = "vtkMRMLScalarVolumeNode") -> Any:
    node = scene.AddNewNodeByClass(kind, scene.GenerateUniqueName(name))
    added.append(node)
    fill_volume_node(node, volume)
    return node


def bias_preview_steps(node: Any) -> Generator[None, None, BiasPreview]:
    """Show what the correction of the bias field would do to a volume.

    Parameters
    ----------
    node : vtkMRMLScalarVolumeNode
        Where it lies in the world. Not changed; may be removed meanwhile.

    Yields
    ------
    None
        Every few milliseconds; closing the generator ends the work.

    Returns
    -------
    BiasPreview
        See :func:`~MultimodalRegistrationLib.preprocess.bias.preview_bias`.

    Raises
    ------
    InputError
        A CT, or another volume that has no bias field.
    """
    check_kind(node)
    name, slabs, cancel = node.GetName(), slabs_of_node(node), threading.Event()
    voxels = yield from voxels_in_steps(slabs)

    def make() -> BiasPreview:
        image = sitk.GetImageFromArray(voxels)
        slabs.grid.place(image)
        check_scalar_volume(image, name)
        return preview_bias(Volume(image, name), cancel=cancel)

    try:
        preview = yield from in_thread(make)
    finally:
        cancel.set()
    return preview
