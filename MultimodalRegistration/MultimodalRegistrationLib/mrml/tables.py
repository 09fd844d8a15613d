"""Tables as table nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk

__all__ = ["add_table_node"]


def add_table_node(scene: Any, columns: Mapping[str, Sequence[Any]], *, name: str) -> Any:
    """Add a table to a scene.

    Parameters
    ----------
    scene : vtkMRMLScene
        Gets the node.
    columns : mapping of str to sequence
        Values of each column, all of one length. A column of numbers and None becomes one of doubles with NaN for None;
        any other one becomes texts, empty for None.
    name : str
        Name of the node.

    Returns
    -------
    vtkMRMLTableNode
        Locked: what was measured is not to be edited by accident.
    """
    node = scene.AddNewNodeByClass("vtkMRMLTableNode", scene.GenerateUniqueName(name))
    # Otherwise the names are shown as a row of the table.
    node.SetUseColumnTitleAsColumnHeader(True)
    for key, values in columns.items():
        column = _column(key, values)
        node.AddColumn(column)
        if column.IsNumeric():
            # What a missing number is when the table is loaded from its file.
            node.SetColumnNullValue(key, "nan")
    node.SetLocked(True)
    return node


def _column(name: str, values: Sequence[Any]) -> Any:
    if any(value is not None for value in values) and all(_is_number(value) for value in values if value is not None):
        column = numpy_to_vtk(np.array([np.nan if value is None else value for value in values], float), deep=True)
    else:
        column = vtk.vtkStringArray()
        for value in values:
            column.InsertNextValue("" if value is None else str(value))
    column.SetName(name)
    return column


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
