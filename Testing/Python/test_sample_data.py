"""The sample data: registered once, loads without a download, lies right in the world, and its truth is true."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import slicer
from conftest import PROJECT
from MultimodalRegistrationLib.core.frames import flip_matrix_lps_ras, flip_points_lps_ras
from MultimodalRegistrationLib.core.linear import apply_matrix
from MultimodalRegistrationLib.core.phantom import MODALITIES
from MultimodalRegistrationLib.mrml.landmarks import landmarks_of_node, prealign_nodes
from MultimodalRegistrationLib.mrml.phantom_case import T1_TO_CT_LPS, PhantomCase, add_phantom_case, phantom_error_mm
from MultimodalRegistrationLib.mrml.quality import assess_nodes
from MultimodalRegistrationLib.mrml.transforms import apply_to_moving
from MultimodalRegistrationLib.mrml.volumes import grid_of_node, volume_from_node
from MultimodalRegistrationLib.mrml.vtk_arrays import vtk_from_matrix


@pytest.fixture(scope="module")
def scene():
    return slicer.vtkMRMLScene()


@pytest.fixture(scope="module")
def case(scene) -> PhantomCase:
    return add_phantom_case(scene)


def values_at(node, points_lps: np.ndarray) -> np.ndarray:
    """Value of the voxel in which each point lies."""
    volume = volume_from_node(node)
    ijk = np.rint(apply_matrix(np.linalg.inv(volume.grid.ijk_to_lps), points_lps)).astype(int)
    return volume.voxels[ijk[:, 2], ijk[:, 1], ijk[:, 0]]


def true_transform(scene):
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "truth")
    node.SetMatrixTransformToParent(vtk_from_matrix(flip_matrix_lps_ras(T1_TO_CT_LPS)))
    return node


def test_the_volumes_are_oblique_and_far_apart(case):
    grids = [grid_of_node(node) for node in (case.ct, case.t1)]
    for grid in grids:
        axes = grid.ijk_to_lps[:3, :3] / grid.spacing_mm
        assert np.abs(np.linalg.det(axes)) == pytest.approx(1)
        assert np.abs(axes).max(axis=0).min() < np.cos(np.radians(8))
    assert np.linalg.norm(grids[0].center_lps - grids[1].center_lps) > 200


def test_the_points_lie_on_what_they_are_called(case):
    """Position, orientation and handedness at once: left and right, front and back differ in the phantom."""
    for node, points, modality in ((case.ct, case.ct_targets, "CT"), (case.t1, case.t1_targets, "T1")):
        targets = landmarks_of_node(points)
        value = dict(zip([one.label for one in targets.landmarks], values_at(node, targets.points_lps), strict=True))
        tissue = MODALITIES[modality]
        tolerance = 0.2 * (max(tissue.values()) - min(tissue.values()))
        assert len(value) == 10
        for label, expected in (
            ("left ventricle", "fluid"),
            ("lesion", "lesion"),
            ("left sinus", "air"),
            ("right sinus", "air"),
            ("left skull base", "bone"),
            ("right skull base", "bone"),
            ("cerebellum", "grey"),
        ):
            assert value[label] == pytest.approx(tissue[expected], abs=tolerance), f"{modality} {label}"


def test_the_truth_maps_the_targets_exactly(scene, case):
    moved = apply_matrix(T1_TO_CT_LPS, landmarks_of_node(case.t1_targets).points_lps)
    np.testing.assert_allclose(moved, landmarks_of_node(case.ct_targets).points_lps, atol=1e-9)
    node = true_transform(scene)
    assert phantom_error_mm(node) < 1e-9
    shift = np.eye(4)
    shift[:3, 3] = (3, -4, 12)
    node.SetMatrixTransformToParent(vtk_from_matrix(flip_matrix_lps_ras(shift @ T1_TO_CT_LPS)))
    assert phantom_error_mm(node) == pytest.approx(13)


def test_the_landmarks_have_the_error_of_marking_and_the_targets_judge_their_fit(scene, case):
    targets = {"fixed_targets_node": case.ct_targets, "moving_targets_node": case.t1_targets}
    node, fit = prealign_nodes(scene, case.ct_landmarks, case.t1_landmarks, **targets)
    # The tutorial says 1.6 and 1.1 mm.
    assert fit.fiducial.rms_mm == pytest.approx(1.6, abs=0.05)
    assert fit.targets.after.rms_mm == pytest.approx(1.1, abs=0.05)
    assert fit.findings == ()
    done = assess_nodes(
        case.ct, case.t1, [node], targets_fixed_node=case.ct_targets, targets_moving_node=case.t1_targets
    )
    (method,) = done.content["methods"]
    assert method["targets"]["n"] == 10
    assert method["targets"]["mean_mm"] == pytest.approx(phantom_error_mm(node), abs=1.5)


def test_it_is_the_same_every_time(case):
    other_scene = slicer.vtkMRMLScene()
    again = add_phantom_case(other_scene)
    np.testing.assert_array_equal(
        landmarks_of_node(again.ct_landmarks).points_lps, landmarks_of_node(case.ct_landmarks).points_lps
    )
    np.testing.assert_array_equal(volume_from_node(again.t1).voxels, volume_from_node(case.t1).voxels)


def test_registered_once_and_loads_from_its_button(slicer_app):
    from MultimodalRegistrationLib.application import sample_data

    slicer.app.connect("startupCompleted()", sample_data.register_sample_data)
    slicer_app.startup_completed()
    slicer_app.startup_completed()
    sources = slicer.modules.sampleDataSources[sample_data.CATEGORY]
    assert [source.sampleName for source in sources] == [sample_data.CT_MR_BRAIN, sample_data.PHANTOM]
    brain, phantom = sources
    assert list(brain.nodeNames) == ["CTBrain", "MRBrainT1", "MRBrainT2"]
    assert brain.customDownloader is None
    assert len(brain.uris) == len(brain.checksums) == 3
    assert phantom.uris == []
    assert Path(phantom.thumbnailFileName).is_file()

    slicer_app.open_slice_views()
    began = time.perf_counter()
    phantom.customDownloader(phantom)
    assert time.perf_counter() - began < 10  # about 1.5 s on an idle core
    volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    assert [node.GetName() for node in volumes] == ["Phantom CT", "Phantom T1"]
    lists = slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode")
    assert {node.GetName(): node.GetNumberOfControlPoints() for node in lists} == {
        "Phantom CT landmarks": 5,
        "Phantom CT targets": 10,
        "Phantom T1 landmarks": 5,
        "Phantom T1 targets": 10,
    }
    views = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    assert {node.GetBackgroundVolumeID() for node in views} == {volumes[0].GetID()}


def test_a_reloaded_module_does_not_double_it(slicer_app):
    from MultimodalRegistrationLib.application import sample_data

    sample_data.register_sample_data()
    first = sample_data.load_phantom
    sample_data.load_phantom = lambda source=None: first(source)  # another object with the same name
    try:
        sample_data.register_sample_data()
    finally:
        sample_data.load_phantom = first
    assert len(slicer.modules.sampleDataSources[sample_data.CATEGORY]) == 2


def test_without_slicers_own_set_the_phantom_remains(slicer_app, monkeypatch):
    import SampleData
    from MultimodalRegistrationLib.application import sample_data

    monkeypatch.setattr(SampleData.SampleDataLogic, "sourceForSampleName", lambda self, name: None)
    sample_data.register_sample_data()
    assert [one.sampleName for one in slicer.modules.sampleDataSources[sample_data.CATEGORY]] == [sample_data.PHANTOM]


def test_the_category_has_a_title_where_slicer_can_show_one(slicer_app, monkeypatch):
    import SampleData
    from MultimodalRegistrationLib.application import sample_data

    titles = {}
    monkeypatch.setattr(
        SampleData.SampleDataLogic,
        "registerCustomSampleDataCategory",
        staticmethod(lambda category, title: titles.update({category: title})),
        raising=False,
    )
    sample_data.register_sample_data()
    assert titles[sample_data.CATEGORY] == "Multimodal Registration"


def test_the_truth_can_be_applied_in_slicer(slicer_app):
    from MultimodalRegistrationLib.application.sample_data import load_phantom

    case = load_phantom()
    apply_to_moving(true_transform(slicer.mrmlScene), case.t1_targets)
    moved = flip_points_lps_ras(slicer.util.arrayFromMarkupsControlPoints(case.t1_targets, world=True))
    np.testing.assert_allclose(moved, landmarks_of_node(case.ct_targets).points_lps, atol=1e-6)


def test_the_tutorial_begins_with_the_volumes_chosen(slicer_app):
    from MultimodalRegistrationLib.application.sample_data import load_phantom

    case = load_phantom()
    ui = slicer_app.open_module(PROJECT / "MultimodalRegistration", "MultimodalRegistration").ui
    assert ui.fixedSelector.currentNode() is case.ct
    assert ui.movingSelector.currentNode() is case.t1
    assert ui.registerButton.enabled
