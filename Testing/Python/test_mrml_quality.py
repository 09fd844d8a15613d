"""Quality with nodes: the same numbers whether a result is applied or not; an assessment in a scene and out again."""

from __future__ import annotations

import json

import numpy as np
import pytest
import slicer
import vtk
from conftest import CT_POSE, MR_POSE, centered_grid, rigid, rotation
from MultimodalRegistrationLib.assess.content import quality_tables
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.core.frames import flip_ijk_to_space, flip_matrix_lps_ras, flip_points_lps_ras
from MultimodalRegistrationLib.core.linear import apply_matrix
from MultimodalRegistrationLib.core.phantom import make_head, target_points_lps
from MultimodalRegistrationLib.core.points import LandmarkList
from MultimodalRegistrationLib.io.volumes import read_volume
from MultimodalRegistrationLib.mrml.landmarks import add_landmark_node, prealign_nodes
from MultimodalRegistrationLib.mrml.quality import assess_nodes
from MultimodalRegistrationLib.mrml.quality_nodes import RUN_ATTRIBUTE, remove_quality_nodes
from MultimodalRegistrationLib.mrml.transforms import apply_to_moving
from MultimodalRegistrationLib.mrml.volumes import add_volume_node
from MultimodalRegistrationLib.mrml.vtk_arrays import matrix_from_vtk, vtk_from_matrix, vtk_from_points
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

# Oblique, anisotropic, one of them flipped; coarse, so that a run takes a second.
CT_GRID = centered_grid(
    [42, 48, 26], [4.4, 4.4, 9.0], rotation([1, 0.3, -0.2], 12) @ np.diag([1.0, 1.0, -1.0]), [12, -31, 40]
)
MR_GRID = centered_grid([35, 32, 40], [5.2, 6.8, 5.0], rotation([-0.2, 1, 0.5], 81), [-25, 18, 66])
FIXED_PARENT_RAS = rigid([0.7, -0.2, 0.4], 28, [31, -12, 55])
MOVING_PARENT_RAS = rigid([0, 0.3, 1], -35, [-40, 22, -18])
ERRORS_RAS = np.random.default_rng(4).normal(0, 0.5, (12, 3))
N = len(ERRORS_RAS)


def truth_ras(parents: bool) -> np.ndarray:
    """From the moving to the fixed volume in the world."""
    moving_to_fixed = flip_matrix_lps_ras(CT_POSE @ np.linalg.inv(MR_POSE))
    return FIXED_PARENT_RAS @ moving_to_fixed @ np.linalg.inv(MOVING_PARENT_RAS) if parents else moving_to_fixed


@pytest.fixture(scope="module")
def heads():
    return make_head("CT", CT_GRID, CT_POSE, seed=1), make_head("T1", MR_GRID, MR_POSE, seed=2)


def add_transform(scene, matrix_ras, name, below=()):
    node = scene.AddNewNodeByClass("vtkMRMLTransformNode", name)
    node.SetMatrixTransformToParent(vtk_from_matrix(matrix_ras))
    for one in below:
        one.SetAndObserveTransformNodeID(node.GetID())
    return node


def add_segmentation(scene, grid, pose, name):
    """Two overlapping balls in the head."""
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    k, j, i = np.meshgrid(*(np.arange(n) for n in grid.size[::-1]), indexing="ij")
    points = apply_matrix(np.linalg.inv(pose) @ grid.ijk_to_lps, np.stack([i, j, k], axis=-1))
    for called, center, radius in (("left part", [15, 5, 0], 30), ("right part", [-18, 0, 5], 34)):
        labels = slicer.vtkOrientedImageData()
        labels.SetDimensions(*grid.size)
        inside = (np.linalg.norm(points - center, axis=-1) < radius).astype(np.uint8)
        labels.GetPointData().SetScalars(numpy_to_vtk(inside.ravel(), deep=True))
        labels.SetImageToWorldMatrix(vtk_from_matrix(flip_ijk_to_space(grid.ijk_to_lps)))
        node.AddSegmentFromBinaryLabelmapRepresentation(labels, called)
    return node


class Setting:
    """A scene with everything in it, under parents or not."""

    def __init__(self, heads, *, parents: bool, segments: bool = False) -> None:
        self.scene = slicer.vtkMRMLScene()
        self.fixed, self.moving = (
            add_volume_node(self.scene, volume, name=name) for volume, name in zip(heads, ("CT", "MR"), strict=True)
        )
        points = target_points_lps(CT_POSE)[:N]
        self.fixed_targets = add_landmark_node(
            self.scene, LandmarkList.of_points("", points, [f"P{n}" for n in range(N)]), name="targets CT"
        )
        # The truth maps the moving points to these errors beside the fixed ones, in the world.
        beside = points + flip_points_lps_ras(
            ERRORS_RAS @ np.linalg.inv(FIXED_PARENT_RAS[:3, :3]).T if parents else ERRORS_RAS
        )
        moving = apply_matrix(MR_POSE @ np.linalg.inv(CT_POSE), beside)
        self.moving_targets = add_landmark_node(
            self.scene, LandmarkList.of_points("", moving, [f"P{n}" for n in range(N)]), name="targets MR"
        )
        self.segments = {}
        fixed_nodes, self.moving_nodes = [self.fixed, self.fixed_targets], [self.moving, self.moving_targets]
        if segments:
            self.segments = {
                "fixed_segmentation_node": add_segmentation(self.scene, CT_GRID, CT_POSE, "parts CT"),
                "moving_segmentation_node": add_segmentation(self.scene, MR_GRID, MR_POSE, "parts MR"),
            }
            fixed_nodes.append(self.segments["fixed_segmentation_node"])
            self.moving_nodes.append(self.segments["moving_segmentation_node"])
        if parents:
            add_transform(self.scene, FIXED_PARENT_RAS, "fixed parent", fixed_nodes)
            add_transform(self.scene, MOVING_PARENT_RAS, "moving parent", self.moving_nodes)
        self.right = add_transform(self.scene, truth_ras(parents), "right")
        self.off = add_transform(self.scene, rigid([0, 0, 1], 0, [0, 3.0, 4.0]) @ truth_ras(parents), "5 mm off")

    def assess(self, transforms=None, **options):
        return assess_nodes(
            self.fixed,
            self.moving,
            [self.right, self.off] if transforms is None else transforms,
            targets_fixed_node=self.fixed_targets,
            targets_moving_node=self.moving_targets,
            **self.segments,
            **options,
        )

    def ids(self):
        return {self.scene.GetNthNode(n).GetID() for n in range(self.scene.GetNumberOfNodes())}


def error_vectors_ras(method):
    """Errors at the targets, shape (N, 3), mm."""
    return np.array([point["error_ras_mm"] for point in method["targets"]["points"]])


def numbers(content, prefix=""):
    """All numbers of a content by their path."""
    found = {}
    for key, value in content.items() if isinstance(content, dict) else enumerate(content):
        if isinstance(value, (dict, list)):
            found.update(numbers(value, f"{prefix}{key}/"))
        elif isinstance(value, (int, float)):
            found[f"{prefix}{key}"] = float(value)
    return found


@pytest.mark.parametrize("parents", [False, True], ids=["plain", "parents"])
def test_errors_are_those_that_were_made_whether_applied_or_not(heads, parents):
    setting = Setting(heads, parents=parents, segments=True)
    before = setting.ids()
    result = setting.assess()
    assert setting.ids() == before, "reading changes nothing"
    right, off = result.content["methods"]
    np.testing.assert_allclose(error_vectors_ras(right), ERRORS_RAS, atol=1e-6)
    np.testing.assert_allclose(error_vectors_ras(off), ERRORS_RAS + np.array([0, 3, 4]), atol=1e-6)
    assert result.content["before"]["targets"]["mean_mm"] > 20
    assert result.content["comparisons"][0]["displacement_mm"]["mean"] == pytest.approx(5, abs=1e-6)
    assert [one["name"] for one in right["structures"]] == ["left part", "right part"]
    assert min(one["dice"] for one in right["structures"]) > 0.85
    assert result.verdict["method"] == "right"
    assert result.nodes is None
    assert result.content["command"].startswith("assess_nodes(slicer.util.getNode('CT'), slicer.util.getNode('MR'), [")
    plain = numbers({key: result.content[key] for key in ("before", "methods", "comparisons", "volumes")})
    assert len(plain) > 150
    # One of the two is applied to everything on the moving side, in the way of the module.
    for node in setting.moving_nodes:
        apply_to_moving(setting.off, node)
    again = setting.assess()
    applied = numbers({key: again.content[key] for key in ("before", "methods", "comparisons", "volumes")})
    assert applied.keys() == plain.keys()
    for key, value in plain.items():
        assert applied[key] == pytest.approx(value, abs=1e-6, rel=1e-6), key


def test_a_bending_parent_of_the_moving_side(heads):
    setting = Setting(heads, parents=False)
    spline = vtk.vtkThinPlateSplineTransform()
    spline.SetBasisToR()
    source = flip_points_lps_ras(MR_GRID.corners_lps)
    spline.SetSourceLandmarks(vtk_from_points(source))
    spline.SetTargetLandmarks(vtk_from_points(source + np.random.default_rng(1).uniform(-8, 8, source.shape)))
    warp = setting.scene.AddNewNodeByClass("vtkMRMLTransformNode", "warp")
    warp.SetAndObserveTransformToParent(spline)
    for node in setting.moving_nodes:
        node.SetAndObserveTransformNodeID(warp.GetID())
    # The result undoes the warp and goes on to the fixed volume: a transform that bends.
    undone = vtk.vtkGeneralTransform()
    undone.Concatenate(vtk_from_matrix(truth_ras(parents=False)))
    undone.Concatenate(spline.GetInverse())
    setting.right.SetAndObserveTransformToParent(undone)
    first = setting.assess([setting.right])
    np.testing.assert_allclose(error_vectors_ras(first.content["methods"][0]), ERRORS_RAS, atol=0.1)
    for node in setting.moving_nodes:
        apply_to_moving(setting.right, node)
    second = setting.assess([setting.right])
    for one, other in zip(first.content["methods"], second.content["methods"], strict=True):
        np.testing.assert_allclose(error_vectors_ras(other), error_vectors_ras(one), atol=1e-6)
        found, wanted = (each["images"]["normalized_mutual_information"] for each in (other, one))
        assert found == pytest.approx(wanted)


@pytest.mark.parametrize("model", ["rigid", "tps"])
def test_landmarks_that_a_result_was_computed_from_are_no_targets(heads, model, tmp_path):
    setting = Setting(heads, parents=True)
    used = [0, 3, 5, 7, 8, 10]
    lists = []
    for node, name in ((setting.fixed_targets, "fiducials CT"), (setting.moving_targets, "fiducials MR")):
        some = setting.scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", name)
        for n in used:
            some.AddControlPoint(*node.GetNthControlPointPosition(n), f"P{n}")
        some.SetAndObserveTransformNodeID(node.GetTransformNodeID())
        lists.append(some)
    fitted, _ = prealign_nodes(setting.scene, *lists, model=model)
    apply_to_moving(fitted, setting.moving)
    apply_to_moving(fitted, setting.moving_targets)
    result = setting.assess([fitted, setting.right])
    assert [one["targets"]["n"] for one in result.content["methods"]] == [N - 6, N - 6]
    assert "its record says" in result.content["methods"][0]["notes"][0]
    assert result.content["methods"][0]["record"] == fitted.GetName()
    assert result.content["warnings"] == []
    # The same after the scene was saved and loaded.
    storage = setting.scene.AddNewNodeByClass("vtkMRMLTransformStorageNode")
    storage.SetFileName(str(tmp_path / "fitted.h5"))
    assert storage.WriteData(fitted)
    assert storage.ReadData(fitted)
    assert setting.assess([fitted]).content["warnings"] == []
    # What the user changed since then is said, and the landmarks stay no targets.
    fitted.ApplyTransformMatrix(vtk_from_matrix(rigid([0, 0, 1], 3, [1, 0, 0])))
    changed = setting.assess([fitted])
    assert changed.content["methods"][0]["targets"]["n"] == N - 6
    assert any("was changed after it was computed" in one for one in changed.content["warnings"])
    fitted.SetAttribute("MultimodalRegistration.Settings", "{")
    with pytest.raises(InputError, match="no JSON"):
        setting.assess([fitted])


def test_what_does_not_go_together_is_refused(heads):
    setting = Setting(heads, parents=False)
    with pytest.raises(InputError, match=r"targets MR was given without its partner"):
        assess_nodes(setting.fixed, setting.moving, [setting.right], targets_moving_node=setting.moving_targets)
    setting.fixed.SetAndObserveTransformNodeID(setting.right.GetID())
    with pytest.raises(InputError, match=r"CT.*on the fixed side, but right"):
        setting.assess()


def test_transforms_of_one_name_a_reference_and_a_region(heads):
    setting = Setting(heads, parents=True)
    setting.off.SetName("right")
    truth = add_transform(setting.scene, truth_ras(parents=True), "truth")
    region = setting.scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "brain")
    data = vtk.vtkImageData()
    data.SetDimensions(*CT_GRID.size)
    inside = np.zeros(CT_GRID.size[::-1], dtype=np.uint8)
    inside[8:20, 14:36, 12:32] = 1
    data.GetPointData().SetScalars(numpy_to_vtk(inside.ravel(), deep=True))
    region.SetAndObserveImageData(data)
    region.SetIJKToRASMatrix(vtk_from_matrix(flip_ijk_to_space(CT_GRID.ijk_to_lps)))
    region.SetAndObserveTransformNodeID(setting.fixed.GetTransformNodeID())
    stages = []
    result = setting.assess(
        reference_node=truth,
        region_node=region,
        tolerance_mm=2.0,
        on_progress=lambda progress: stages.append(progress.fraction),
    )
    names = [one["name"] for one in result.content["methods"]]
    assert f"[slicer.util.getNode('{setting.right.GetID()}'), " in result.content["command"]
    assert names == [f"right ({setting.right.GetID()})", f"right ({setting.off.GetID()})", "reference (truth)"]
    assert result.content["methods"][1]["from_reference_mm"]["mean"] == pytest.approx(5, abs=1e-6)
    assert result.content["settings"]["region"] == "the mask brain"
    assert "tolerance_mm=2.0" in result.content["command"]
    assert stages == sorted(stages)
    assert 0 <= stages[0] < stages[-1] <= 1


@pytest.fixture(scope="module")
def assessed(heads):
    """A setting, what was measured and added there, and what was there before."""
    setting = Setting(heads, parents=True, segments=True)
    before = setting.ids()
    return setting, setting.assess(add_nodes=True), before


@pytest.fixture
def added(assessed):
    setting, result, _ = assessed
    return setting, result, result.nodes


def column(table, name):
    values = table.GetTable().GetColumnByName(name)
    if isinstance(values, vtk.vtkStringArray):
        return [values.GetValue(n) for n in range(values.GetNumberOfValues())]
    assert isinstance(values, vtk.vtkDoubleArray), name
    return vtk_to_numpy(values)


def check_tables(tables, content, rtol=1e-12):
    """Every cell of every table."""
    for name, rows in quality_tables(content).items():
        assert tables[name].GetNumberOfRows() == len(rows)
        for key in dict.fromkeys(key for row in rows for key in row):
            wanted = [row.get(key) for row in rows]
            found = column(tables[name], key)
            if isinstance(found, list):
                assert found == ["" if value is None else str(value) for value in wanted], key
            else:
                np.testing.assert_allclose(found, np.array(wanted, dtype=float), rtol=rtol, atol=rtol)


def test_tables_have_typed_columns(added):
    _, result, nodes = added
    assert list(nodes.tables) == ["methods", "targets", "structures", "comparisons"]
    check_tables(nodes.tables, result.content)
    assert column(nodes.tables["methods"], "verdict")[1:] == ["good", "bad"]
    assert np.isnan(column(nodes.tables["methods"], "rank")[0])
    assert nodes.tables["methods"].GetName().startswith("MR: methods")
    assert nodes.tables["methods"].GetLocked()


def series_of(chart):
    return [chart.GetNthPlotSeriesNode(n) for n in range(chart.GetNumberOfPlotSeriesNodes())]


def drawn(series):
    """Whether it has points, and is no line across the chart."""
    return series.GetMarkerStyle() != series.MarkerStyleNone


def test_charts_are_complete(added):
    _, result, nodes = added
    assert list(nodes.charts) == ["errors at targets", "share of targets", "right against 5 mm off"]
    for chart in nodes.charts.values():
        assert "(mm)" in chart.GetXAxisTitle() + chart.GetYAxisTitle()
        colors = set()
        for n in range(chart.GetNumberOfPlotSeriesNodes()):
            series = chart.GetNthPlotSeriesNode(n)
            table = series.GetTableNode().GetTable()
            for name in (series.GetXColumnName(), series.GetYColumnName()):
                assert isinstance(table.GetColumnByName(name), vtk.vtkDoubleArray)
            if series.GetLabelColumnName():
                assert isinstance(table.GetColumnByName(series.GetLabelColumnName()), vtk.vtkStringArray)
            assert series.GetLineStyle() != series.LineStyleNone or series.GetMarkerStyle() != series.MarkerStyleNone
            colors.add((series.GetColor(), series.GetLineStyle(), series.GetName()))
        assert len(colors) == chart.GetNumberOfPlotSeriesNodes()
    errors = nodes.charts["errors at targets"]
    names = [errors.GetNthPlotSeriesNode(n).GetName() for n in range(4)]
    assert names[0].startswith("before")
    assert names[1:] == ["right", "5 mm off", "tolerance 1.3 mm"]
    right = errors.GetNthPlotSeriesNode(1).GetTableNode()
    np.testing.assert_allclose(column(right, "Error (mm)"), np.linalg.norm(ERRORS_RAS, axis=1), atol=1e-6)
    np.testing.assert_array_equal(column(right, "Target (number)"), np.arange(1, N + 1))
    assert column(right, "Name") == [point["label"] for point in result.content["methods"][0]["targets"]["points"]]
    # What lay far away before does not squeeze the rest.
    assert 5 < errors.GetYAxisRange()[1] < 10
    share = nodes.charts["share of targets"].GetNthPlotSeriesNode(1).GetTableNode()
    x, y = column(share, "Error (mm)"), column(share, "Share of targets (%)")
    assert np.all(np.diff(x) >= 0)
    assert np.all(np.diff(y) >= 0)
    assert (y[0], y[-1]) == (0, 100)
    middle = np.sort(np.linalg.norm(ERRORS_RAS, axis=1))[5:7].mean()
    assert y[x <= middle].max() == pytest.approx(50)
    plot = nodes.charts["right against 5 mm off"]
    points = plot.GetNthPlotSeriesNode(0).GetTableNode()
    first, second = (np.linalg.norm(error_vectors_ras(one), axis=1) for one in result.content["methods"])
    np.testing.assert_allclose(column(points, "Difference of the errors (mm)"), first - second)
    np.testing.assert_allclose(column(points, "Mean of both errors (mm)"), (first + second) / 2)
    bias = plot.GetNthPlotSeriesNode(1)
    assert bias.GetName() == f"mean difference {np.mean(first - second):.2f} mm"


def test_errors_lie_at_the_targets(added):
    setting, _, nodes = added
    assert nodes.points.GetNumberOfControlPoints() == N
    errors_mm = np.linalg.norm(ERRORS_RAS, axis=1)
    place, there = [0.0] * 3, [0.0] * 3
    for n in range(N):
        nodes.points.GetNthControlPointPositionWorld(n, place)
        setting.fixed_targets.GetNthControlPointPositionWorld(n, there)
        np.testing.assert_allclose(place, there, atol=1e-6)
        assert nodes.points.GetNthControlPointDescription(n) == f"P{n}: {errors_mm[n]:.1f} mm"
    above = np.flatnonzero(errors_mm > 1.3)
    assert 0 < len(above) < N
    for line, n in zip(nodes.lines, above, strict=True):
        assert line.GetName().startswith(f"MR: error at P{n}")
        ends = np.empty((2, 3))
        for k in range(2):
            line.GetNthControlPointPositionWorld(k, place)
            ends[k] = place
        np.testing.assert_allclose(ends[1] - ends[0], ERRORS_RAS[n], atol=1e-6)
        assert line.GetLocked()


def test_labels_of_errors_do_not_cover_the_3d_view(added):
    """The worst three have a number; lines have none, neither their name nor their length."""
    _, _, nodes = added
    worst = set(np.argsort(np.linalg.norm(ERRORS_RAS, axis=1))[-3:])
    labels = {n: nodes.points.GetNthControlPointLabel(n) for n in range(N)}
    assert {n for n in labels if labels[n]} == worst
    assert all(labels[n] == nodes.points.GetNthControlPointDescription(n) for n in worst)
    assert nodes.lines
    for line in nodes.lines:
        assert not line.GetDisplayNode().GetPropertiesLabelVisibility()
        assert not line.GetDisplayNode().GetPointLabelsVisibility()


def test_the_plot_of_errors_says_what_is_off_its_axis(added):
    _, result, nodes = added
    errors = nodes.charts["errors at targets"]
    largest_mm = result.content["before"]["targets"]["max_mm"]
    assert largest_mm > errors.GetYAxisRange()[1]
    assert errors.GetNthPlotSeriesNode(0).GetName() == f"before (off the axis, up to {largest_mm:.0f} mm)"
    seen = [column(errors.GetNthPlotSeriesNode(n).GetTableNode(), "Error (mm)").max() for n in (1, 2, 3)]
    assert max(seen) < errors.GetYAxisRange()[1]
    assert "off the axis" not in "".join(errors.GetNthPlotSeriesNode(n).GetName() for n in (1, 2, 3))


def test_the_legend_of_a_plot_covers_no_point(added):
    """It is in the upper right corner, and needs a twelfth of the height for each of its lines."""
    _, _, nodes = added
    for name, chart in nodes.charts.items():
        if name == "share of targets":
            # Curves that are as high as the chart: their ends are on the right, below the legend, only at 100 %.
            continue
        count = chart.GetNumberOfPlotSeriesNodes()
        low, top = chart.GetYAxisRange()
        values = np.concatenate(
            [column(series.GetTableNode(), series.GetYColumnName()) for series in series_of(chart) if drawn(series)]
        )
        highest = values[values <= top].max()
        assert (highest - low) / (top - low) < 1 - count / 12, name


def test_maps_lie_where_they_were_measured(added, tmp_path):
    _, result, nodes = added
    page = result.report(tmp_path / "report")
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    with pytest.raises(InputError, match="not empty"):
        result.report(tmp_path / "report")
    node = nodes.maps["local-information-after"]
    volume = read_volume(tmp_path / "report" / "local-information-after.nrrd")
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    np.testing.assert_allclose(matrix_from_vtk(matrix), flip_ijk_to_space(volume.grid.ijk_to_lps), atol=1e-9)
    data = vtk_to_numpy(node.GetImageData().GetPointData().GetScalars()).reshape(volume.grid.size[::-1])
    np.testing.assert_array_equal(data, volume.voxels)
    display = node.GetDisplayNode()
    assert not display.GetAutoWindowLevel()
    assert display.GetWindowLevelMin() == 0
    assert display.GetApplyThreshold()


def test_a_bending_transform_gets_its_maps_in_colours(heads):
    setting = Setting(heads, parents=False)
    for name in ("Viridis", "DivergingBlueRed"):
        colors = slicer.vtkMRMLColorTableNode()
        colors.SetSingletonTag(f"File{name}.txt")
        setting.scene.AddNode(colors)
    spline = vtk.vtkThinPlateSplineTransform()
    spline.SetBasisToR()
    source = flip_points_lps_ras(CT_GRID.corners_lps)
    spline.SetSourceLandmarks(vtk_from_points(source))
    spline.SetTargetLandmarks(vtk_from_points(source + np.random.default_rng(1).uniform(-5, 5, source.shape)))
    bent = vtk.vtkGeneralTransform()
    bent.Concatenate(spline)
    bent.Concatenate(vtk_from_matrix(truth_ras(parents=False)))
    setting.right.SetAndObserveTransformToParent(bent)
    before = setting.ids()
    nodes = setting.assess([setting.right], add_nodes=True).nodes
    assert set(nodes.maps) > {"jacobian", "return-error"}
    display = nodes.maps["jacobian"].GetDisplayNode()
    assert (display.GetWindowLevelMin() + display.GetWindowLevelMax()) / 2 == pytest.approx(1)
    assert display.GetColorNodeID() == "vtkMRMLColorTableNodeFileDivergingBlueRed.txt"
    assert nodes.maps["return-error"].GetDisplayNode().GetColorNodeID() == "vtkMRMLColorTableNodeFileViridis.txt"
    remove_quality_nodes(setting.scene, nodes.run_id)
    assert setting.ids() == before


def test_two_runs_are_removed_one_by_one(added):
    setting, _, nodes = added
    before = setting.ids()
    more = setting.assess(add_nodes=True).nodes
    assert more.run_id != nodes.run_id
    assert more.tables["methods"].GetName() != nodes.tables["methods"].GetName()
    remove_quality_nodes(setting.scene, more.run_id)
    assert setting.ids() == before
    remove_quality_nodes(setting.scene, "another one")
    assert setting.ids() == before


def test_without_targets_there_are_no_charts_and_no_markups(heads):
    setting = Setting(heads, parents=False)
    before = setting.ids()
    nodes = assess_nodes(setting.fixed, setting.moving, [setting.right], add_nodes=True).nodes
    assert list(nodes.tables) == ["methods"]
    assert (nodes.charts, nodes.points, nodes.lines) == ({}, None, ())
    remove_quality_nodes(setting.scene, nodes.run_id)
    assert setting.ids() == before


def test_an_assessment_survives_a_scene_file(heads, assessed, tmp_path):
    setting, result, before = assessed
    scenes = setting.scene, slicer.vtkMRMLScene()
    for scene in scenes:
        # Slicer's modules do that.
        for storage in ("MarkupsJson", "Segmentation"):
            scene.RegisterNodeClass(getattr(slicer, f"vtkMRML{storage}StorageNode")())
    nodes = result.nodes
    (tmp_path / "saved").mkdir()
    assert setting.scene.SaveSceneToSlicerDataBundleDirectory(str(tmp_path / "saved"), None)
    other = scenes[1]
    other.SetURL(str(tmp_path / "saved" / "saved.mrml"))
    assert other.Connect()
    tables = {name: other.GetFirstNodeByName(node.GetName()) for name, node in nodes.tables.items()}
    # Slicer writes six digits.
    check_tables(tables, result.content, rtol=1e-5)
    chart = other.GetFirstNodeByName(nodes.charts["errors at targets"].GetName())
    assert chart.GetYAxisTitle() == "Error (mm)"
    series = chart.GetNthPlotSeriesNode(1)
    assert series.GetName() == "right"
    np.testing.assert_allclose(
        column(series.GetTableNode(), series.GetYColumnName()), np.linalg.norm(ERRORS_RAS, axis=1), rtol=1e-5
    )
    points = other.GetFirstNodeByName(nodes.points.GetName())
    assert points.GetNthControlPointLabel(0) == nodes.points.GetNthControlPointLabel(0)
    assert points.GetAttribute(RUN_ATTRIBUTE) == nodes.run_id
    remove_quality_nodes(other, nodes.run_id)
    left = [other.GetNthNode(n) for n in range(other.GetNumberOfNodes())]
    assert not [node.GetName() for node in left if node.IsA("vtkMRMLTableNode") or node.IsA("vtkMRMLPlotChartNode")]
    assert other.GetFirstNodeByName("targets CT") is not None
    assert not [node.GetName() for node in left if node.IsA("vtkMRMLTableStorageNode")]
    remove_quality_nodes(setting.scene, nodes.run_id)
    assert before <= setting.ids(), "removal leaves the scene as before"
    assert not [one for one in setting.ids() - before if "Storage" not in one], "user nodes got their own storage nodes"
    assert json.loads(json.dumps(result.content))["verdict"]["word"] == "good"
