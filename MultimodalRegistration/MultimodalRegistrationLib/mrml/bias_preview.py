"""A preview of the bias field correction of a volume node, made beside a window that lives on."""

from __future__ import annotations

import threading
from collections.abc import Generator
from typing import Any

import SimpleITK as sitk

from ..core.volume import Volume
from ..io.volume_checks import check_scalar_volume
from ..preprocess.bias import BiasPreview, preview_bias
from .steps import in_thread
from .volume_kinds import check_kind
from .voxel_slabs import slabs_of_node, voxels_in_steps

__all__ = ["bias_preview_steps"]


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
