"""What a scene holds, in values that can be compared: to see that all of it comes back from a file."""

from __future__ import annotations

import enum
from collections.abc import Iterable

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

KINDS = ("vtkMRMLDisplayableNode", "vtkMRMLTableNode", "vtkMRMLPlotChartNode", "vtkMRMLPlotSeriesNode")


def nodes_of_users(scene):
    """Nodes by class and name, in the order of the scene; those that Slicer makes anew for each scene are left out."""
    found = {}
    for number in range(scene.GetNumberOfNodes()):
        node = scene.GetNthNode(number)
        if node.GetSaveWithScene() and not node.GetSingletonTag() and any(node.IsA(kind) for kind in KINDS):
            key = f"{node.GetClassName()} {node.GetName()}"
            found[f"{key} {sum(each.startswith(key) for each in found)}"] = node
    return found


def scene_content(scene):
    """Class, attributes, references, parent and data of every node of users, by name."""
    return {name: _node_content(node) for name, node in nodes_of_users(scene).items()}


def parameters_of(parameter_node):
    """Every value of a parameter node, with names instead of nodes."""
    return {name: _plain(parameter_node.getValue(name)) for name in parameter_node.allParameters}


def assert_same_scene(found, expected):
    """Text and structure alike; numbers up to what Slicer writes into text files, six digits."""
    assert sorted(found) == sorted(expected)
    for name, content in expected.items():
        for key, value in content.items():
            again = found[name][key]
            if isinstance(value, np.ndarray) and value.dtype.kind == "f":
                np.testing.assert_allclose(again, value, rtol=1e-5, atol=1e-5, err_msg=f"{name}: {key}")
            elif isinstance(value, np.ndarray):
                np.testing.assert_array_equal(again, value, err_msg=f"{name}: {key}")
            else:
                assert again == value, f"{name}: {key}"


def _node_content(node):
    content = {"class": node.GetClassName(), "attributes": {}, "references": {}}
    for name in node.GetAttributeNames():
        content["attributes"][name] = node.GetAttribute(name)
    roles = []
    node.GetNodeReferenceRoles(roles)
    for role in sorted(roles):
        if role not in ("display", "storage", "layoutColor") and node.GetNumberOfNodeReferences(role):
            content["references"][role] = [each.GetName() for each in _references(node, role)]
    if node.IsA("vtkMRMLVolumeNode"):
        content["grid"], content["voxels"] = _right_handed(node)
    elif node.IsA("vtkMRMLTransformNode"):
        content["linear"] = bool(node.IsLinear())
        content["moved"] = _moved(node)
    elif node.IsA("vtkMRMLMarkupsNode"):
        count = node.GetNumberOfControlPoints()
        content["points"] = np.array([node.GetNthControlPointPosition(i) for i in range(count)])
        content["labels"] = [node.GetNthControlPointLabel(i) for i in range(count)]
        content["descriptions"] = [node.GetNthControlPointDescription(i) for i in range(count)]
        content["selected"] = [bool(node.GetNthControlPointSelected(i)) for i in range(count)]
        content["locked"] = bool(node.GetLocked())
        if node.IsA("vtkMRMLMarkupsROINode"):
            content["size"] = np.array(node.GetSize())
            content["axes"] = slicer.util.arrayFromVTKMatrix(node.GetObjectToNodeMatrix())
    elif node.IsA("vtkMRMLModelNode"):
        content["vertices"] = vtk_to_numpy(node.GetPolyData().GetPoints().GetData()).astype(float)
    elif node.IsA("vtkMRMLSegmentationNode"):
        segmentation = node.GetSegmentation()
        for identifier in segmentation.GetSegmentIDs():
            segment = segmentation.GetSegment(identifier)
            voxels = slicer.util.arrayFromSegmentInternalBinaryLabelmap(node, identifier)
            content[f"segment {segment.GetName()}"] = int(np.count_nonzero(voxels == segment.GetLabelValue()))
    elif node.IsA("vtkMRMLTableNode"):
        content["columns"] = [node.GetColumnName(i) for i in range(node.GetNumberOfColumns())]
        for i, name in enumerate(content["columns"]):
            content[f"column {name}"] = _column(node.GetTable().GetColumn(i))
    return content


def _right_handed(node):
    """IJK to RAS and voxels; Slicer turns the slices of left-handed volumes round when it reads a file."""
    matrix, voxels = vtk.vtkMatrix4x4(), slicer.util.arrayFromVolume(node)
    node.GetIJKToRASMatrix(matrix)
    ijk_to_ras = slicer.util.arrayFromVTKMatrix(matrix)
    if np.linalg.det(ijk_to_ras) > 0:
        return ijk_to_ras, voxels.copy()
    ijk_to_ras[:, 3] += (len(voxels) - 1) * ijk_to_ras[:, 2]
    ijk_to_ras[:, 2] *= -1
    return ijk_to_ras, voxels[::-1].copy()


def _references(node, role):
    return [node.GetNthNodeReference(role, number) for number in range(node.GetNumberOfNodeReferences(role))]


def _moved(node):
    """Where a few points come to lie: the same for every way a transform is kept."""
    transform = node.GetTransformToParent()
    return np.array([transform.TransformPoint(point) for point in np.random.default_rng(5).uniform(-60, 60, (20, 3))])


def _column(column):
    values = [column.GetVariantValue(row) for row in range(column.GetNumberOfValues())]
    if column.IsA("vtkStringArray"):
        return [value.ToString() for value in values]
    return np.array([value.ToDouble() for value in values])


def _plain(value):
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [_plain(each) for each in value]
    if isinstance(value, enum.Enum):
        return value.name
    return value.GetName() if hasattr(value, "GetName") else value
