"""One slice before and after the correction of the bias field, shown in a label."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import qt
import slicer

from MultimodalRegistrationLib.application.child_python import temporary_folder
from MultimodalRegistrationLib.mrml.volumes import volume_from_node
from MultimodalRegistrationLib.preprocess.bias_preview import preview_bias, write_preview

__all__ = ["show_bias_preview"]


def show_bias_preview(node: Any, label: Any) -> None:
    """Show what the correction would do to a volume.

    Parameters
    ----------
    node : vtkMRMLScalarVolumeNode
        Not changed.
    label : QLabel
        Gets the picture.

    Raises
    ------
    InputError
        A CT, or another volume that has no bias field.
    """
    with slicer.util.WaitCursor(), tempfile.TemporaryDirectory(dir=temporary_folder()) as folder:
        path = Path(folder) / "preview.png"
        write_preview(preview_bias(volume_from_node(node)), path)
        label.setPixmap(qt.QPixmap(str(path)))
