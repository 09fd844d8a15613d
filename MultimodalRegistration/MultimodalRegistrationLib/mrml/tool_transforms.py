"""Transform files of other programs, which Slicer does not read by itself, as nodes."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

from ..core.errors import RegistrationError
from ..core.frames import modelling_ras_from_resampling_lps
from ..io.tools.choose import recognised_format
from ..io.transforms import approximation, read_transform, write_transform
from .transforms import read_node_file
from .vtk_arrays import vtk_from_matrix

__all__ = ["add_tool_transform", "is_tool_transform"]

# In every file of elastix that holds a transform, and in none that says how to register.
_HOLDS_TRANSFORM = re.compile(rb"^\s*\(?(NumberOfParameters|TransformParameters)\b", re.MULTILINE)
_HEAD_BYTES = 65536


def is_tool_transform(path: Path) -> bool:
    """Whether a file tells its transform by itself, and Slicer has no reader for it: of elastix, or a FreeSurfer LTA.

    DICOM objects come by way of Slicer's DICOM database.
    """
    try:
        name = recognised_format(path)
        if name != "elastix":
            return name == "lta"
        with path.open("rb") as file:
            return _HOLDS_TRANSFORM.search(file.read(_HEAD_BYTES)) is not None
    except (OSError, RegistrationError):
        # Unreadable, or a bare matrix: not a file of these programs, and others may be asked.
        return False


def add_tool_transform(scene: Any, path: Path) -> tuple[Any, str | None]:
    """Add the transform in a file of another program to a scene.

    Parameters
    ----------
    scene : vtkMRMLScene
        Gets the node, named after the file.
    path : Path
        As for :func:`~MultimodalRegistrationLib.io.transforms.read_transform`.

    Returns
    -------
    node : vtkMRMLTransformNode
        Applied to the moving volume, it puts it onto the fixed one. Linear where the transform is.
    warning : str or None
        How far the node is from the file, where it cannot be the same.

    Raises
    ------
    InputError
        The file cannot be read; the scene is as it was.
    """
    transform = read_transform(path)
    node = scene.AddNewNodeByClass("vtkMRMLTransformNode", scene.GenerateUniqueName(path.stem))
    if transform.matrix is not None:
        node.SetMatrixTransformToParent(vtk_from_matrix(modelling_ras_from_resampling_lps(transform.matrix)))
    else:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "transform.h5"
            write_transform(file, transform)
            read_node_file(node, file)
    return node, approximation(transform)
