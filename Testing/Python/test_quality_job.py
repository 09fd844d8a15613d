"""Assessments that are handed over in files give what those in the process give."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk
from conftest import CT_POSE, run_command
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.core.phantom import make_head
from MultimodalRegistrationLib.io.segmentations import read_segmentation
from MultimodalRegistrationLib.mrml.node_files import SegmentFile
from MultimodalRegistrationLib.mrml.placement import placement_in_world
from MultimodalRegistrationLib.mrml.quality import QualityInputs, QualityJob
from MultimodalRegistrationLib.mrml.steps import drained
from MultimodalRegistrationLib.mrml.transforms import apply_to_moving
from MultimodalRegistrationLib.mrml.vtk_arrays import vtk_from_matrix, vtk_from_points
from test_mrml_quality import CT_GRID, MR_GRID, MR_POSE, Setting, numbers, truth_ras
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

PARTS = ("before", "methods", "comparisons")


@pytest.fixture(scope="module")
def heads():
    return make_head("CT", CT_GRID, CT_POSE, seed=1), make_head("T1", MR_GRID, MR_POSE, seed=2)


def run(setting, folder, transforms, **options):
    folder.mkdir(exist_ok=True)
    inputs = QualityInputs(
        setting.fixed,
        setting.moving,
        tuple(transforms),
        setting.fixed_targets,
        setting.moving_targets,
        setting.segments.get("fixed_segmentation_node"),
        setting.segments.get("moving_segmentation_node"),
        **options,
    )
    before = setting.ids()
    job = QualityJob(inputs, folder)
    shares = list(job.write())
    assert shares == sorted(shares)
    # With events it would end with its standard input.
    done = run_command(*job.arguments[1:])
    assert done.returncode == 0, done.stderr
    list(job.read_report())
    assert setting.ids() == before
    return job


def check_same(content, expected, tolerance):
    found, wanted = ({**numbers({part: one[part] for part in PARTS})} for one in (content, expected))
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        assert found[key] == pytest.approx(value, rel=tolerance, abs=tolerance), key


@pytest.mark.parametrize("applied", [False, True], ids=["not applied", "applied"])
def test_the_numbers_are_those_of_nodes_in_the_process(heads, tmp_path, applied):
    setting = Setting(heads, parents=True, segments=True)
    if applied:
        for node in (setting.moving, setting.moving_targets):
            apply_to_moving(setting.right, node)
    transforms = [setting.right, setting.off]
    job = run(
        setting,
        tmp_path / "job",
        transforms,
        region=setting.segments["fixed_segmentation_node"],
        reference=setting.right,
    )
    expected = setting.assess(
        transforms, region_node=setting.segments["fixed_segmentation_node"], reference_node=setting.right
    ).content
    check_same(job.content, expected, 1e-9)
    for key in ("inputs", "command", "verdict", "settings", "warnings"):
        assert job.content[key] == expected[key], key
    assert [one["name"] for one in job.content["methods"]] == [one["name"] for one in expected["methods"]]
    page = (job.output_folder / "report.html").read_text(encoding="utf-8")
    assert str(tmp_path) not in page


def test_a_bent_transform(heads, tmp_path):
    setting = Setting(heads, parents=False)
    # Beside the targets: a spline has a cusp at each of its points, which no grid follows.
    anchors = np.array([setting.fixed_targets.GetNthControlPointPosition(n) for n in range(12)])
    anchors += np.array([11, -9, 13])
    spline = vtk.vtkThinPlateSplineTransform()
    spline.SetBasisToR()
    spline.SetSourceLandmarks(vtk_from_points(anchors))
    spline.SetTargetLandmarks(vtk_from_points(anchors + np.random.default_rng(1).normal(0, 2, anchors.shape)))
    both = vtk.vtkGeneralTransform()
    both.Concatenate(spline)
    both.Concatenate(vtk_from_matrix(truth_ras(False)))
    setting.off.SetAndObserveTransformToParent(both)
    job = run(setting, tmp_path / "job", [setting.off])
    check_same(job.content, setting.assess([setting.off]).content, 0.02)
    nodes = drained(job.add())
    assert {"jacobian", "return-error"} <= set(nodes.maps)


def test_label_maps_and_overlapping_or_empty_segments_are_written_as_they_are_read(heads, tmp_path):
    setting = Setting(heads, parents=True, segments=True)
    segments = setting.segments["moving_segmentation_node"]
    segments.GetSegmentation().AddEmptySegment("nothing", "nothing")
    labels = slicer.vtkMRMLLabelMapVolumeNode()
    setting.scene.AddNode(labels)
    image = vtk.vtkImageData()
    image.SetDimensions(4, 5, 6)
    values = np.zeros(120, dtype=np.int16)
    values[[7, 8, 50]] = 3, 3, 90
    image.GetPointData().SetScalars(numpy_to_vtk(values, deep=True))
    labels.SetAndObserveImageData(image)
    found = []
    for node in (segments, labels):
        path = tmp_path / f"{node.GetID()}.seg.nrrd"
        shares = list(SegmentFile(node, placement_in_world(node)).write(path))
        assert shares[-1] == 1
        found.append(read_segmentation(path))
    of_segments, of_labels = found
    assert of_segments.named
    assert [one.name for one in of_segments.segments] == ["left part", "right part", "nothing"]
    for number, one in enumerate(of_segments.segments[:2]):
        voxels = segments.GetSegmentation().GetNthSegment(number).GetRepresentation("Binary labelmap")
        label = segments.GetSegmentation().GetNthSegment(number).GetLabelValue()
        assert one.mask.sum() == np.count_nonzero(vtk_to_numpy(voxels.GetPointData().GetScalars()) == label)
    assert of_segments.segments[2].box is None
    assert not of_labels.named
    assert [(one.name, one.label) for one in of_labels.segments] == [("3", 3), ("90", 90)]
    assert of_labels.grid.size == (4, 5, 6)
    for one in of_labels.segments:
        np.testing.assert_array_equal(one.mask, values.reshape(6, 5, 4) == one.label)


def test_what_cannot_be_used_is_told_before_anything_is_written(heads, tmp_path):
    setting = Setting(heads, parents=False)
    with pytest.raises(InputError, match=r"MR.*no transform"):
        QualityJob(QualityInputs(setting.fixed, setting.moving, (setting.moving,)), tmp_path)
    with pytest.raises(InputError, match="targets"):
        QualityJob(QualityInputs(setting.fixed, setting.moving, (setting.right,), setting.fixed_targets), tmp_path)
    assert list(tmp_path.iterdir()) == []
