"""Landmark files in Slicer: its own classes read what is written, and what they write is read, in LPS and RAS."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.core.points import Landmark, LandmarkList
from MultimodalRegistrationLib.io.landmarks import read_landmarks, write_landmarks

coordinates = st.floats(-9999, 9999)
same_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)

STORAGES = {".mrk.json": "vtkMRMLMarkupsJsonStorageNode", ".fcsv": "vtkMRMLMarkupsFiducialStorageNode"}


def storage_of(path, suffix, *, lps=True):
    storage = getattr(slicer, STORAGES[suffix])()
    storage.SetFileName(str(path))
    storage.SetCoordinateSystem(storage.CoordinateSystemLPS if lps else storage.CoordinateSystemRAS)
    return storage


def shown_by_slicer(node):
    """A node's points, by MRML's own calls, in LPS by hand."""
    shown = []
    for index in range(node.GetNumberOfControlPoints()):
        r, a, s = node.GetNthControlPointPosition(index)
        placed = node.GetNthControlPointPositionStatus(index) == node.PositionDefined
        label, selected = node.GetNthControlPointLabel(index), node.GetNthControlPointSelected(index)
        shown.append(Landmark(label, (-r, -a, s) if placed else None, bool(selected)))
    return shown


def node_of(landmarks):
    node = slicer.vtkMRMLMarkupsFiducialNode()
    for landmark in landmarks:
        x, y, z = landmark.position_lps or (0.0, 0.0, 0.0)
        index = node.AddControlPoint(-x, -y, z, landmark.label)
        node.SetNthControlPointSelected(index, landmark.selected)
        if not landmark.placed:
            node.UnsetNthControlPointPosition(index)
    return node


# Slicer labels points that have none, and C++ ends lines and texts elsewhere.
slicer_labels = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12) | st.sampled_from(
    ['"', '"quoted"', "a,b", 'a, "b"', "é 右", "#1"]
)
slicer_lists = st.lists(
    st.builds(Landmark, slicer_labels, st.none() | st.tuples(coordinates, coordinates, coordinates), st.booleans()),
    min_size=1,
    max_size=4,
)


def assert_same(landmarks, others):
    assert [(one.label, one.placed, one.selected) for one in landmarks] == [
        (one.label, one.placed, one.selected) for one in others
    ]
    np.testing.assert_allclose(
        LandmarkList("", tuple(landmarks)).points_lps, LandmarkList("", tuple(others)).points_lps, rtol=1e-14, atol=0
    )


@pytest.mark.parametrize("suffix", STORAGES)
@settings(same_folder, max_examples=50)
@given(landmarks=slicer_lists)
def test_slicer_reads_what_is_written(tmp_path, suffix, landmarks):
    path = tmp_path / f"points{suffix}"
    write_landmarks(path, LandmarkList("list", tuple(landmarks)))
    node = slicer.vtkMRMLMarkupsFiducialNode()
    assert storage_of(path, suffix).ReadData(node) == 1
    assert_same(shown_by_slicer(node), landmarks)


@pytest.mark.parametrize("lps", [True, False], ids=["LPS", "RAS"])
@pytest.mark.parametrize("suffix", STORAGES)
@settings(same_folder, max_examples=50)
@given(landmarks=slicer_lists)
def test_what_slicer_writes_is_read(tmp_path, suffix, lps, landmarks):
    path = tmp_path / f"points{suffix}"
    assert storage_of(path, suffix, lps=lps).WriteData(node_of(landmarks)) == 1
    assert_same(read_landmarks(path).landmarks, landmarks)


@pytest.mark.parametrize("lps", [True, False], ids=["LPS", "RAS"])
def test_tables_of_slicer(tmp_path, lps):
    landmarks = (
        Landmark("a, b é", (-12.5, 80.25, 33.0)),
        Landmark("B", (1 / 3, -2.0, 5.0), selected=False),
        Landmark("later", None),
        Landmark("12", (4.0, 5.0, -6.0)),
    )
    path = tmp_path / "points.csv"
    assert slicer.vtkSlicerMarkupsLogic.ExportControlPointsToCSV(node_of(landmarks), str(path), lps)
    read = read_landmarks(path).landmarks
    assert [(one.label, one.placed, one.selected) for one in read] == [
        (one.label, one.placed, one.selected) for one in landmarks
    ]
    # Slicer writes six digits.
    np.testing.assert_allclose(
        LandmarkList("", read).points_lps, LandmarkList("", landmarks).points_lps, rtol=1e-5, atol=0
    )
    with pytest.raises(InputError, match="LPS" if lps else "RAS"):
        read_landmarks(path, space="RAS" if lps else "LPS")

    write_landmarks(path, LandmarkList("list", landmarks))
    node = slicer.vtkMRMLMarkupsFiducialNode()
    assert slicer.vtkSlicerMarkupsLogic.ImportControlPointsFromCSV(node, str(path))
    assert_same(shown_by_slicer(node), landmarks)


def test_a_quote_in_a_table_of_slicer_is_told(tmp_path):
    """Slicer does not double it, so what the label was cannot be known."""
    path = tmp_path / "points.csv"
    node = node_of([Landmark('a "b" c', (1.0, 2.0, 3.0))])
    assert slicer.vtkSlicerMarkupsLogic.ExportControlPointsToCSV(node, str(path), True)
    with pytest.raises(InputError, match=r"line 2.*\.mrk\.json"):
        read_landmarks(path)
