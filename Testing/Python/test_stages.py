"""Chains of stages: order, composition, bending, and the verdict on it."""

from __future__ import annotations

import json
import re
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import vtk
from conftest import real_cases, rigid, rotation, run_command
from MultimodalRegistrationLib.api import NextStage, register
from MultimodalRegistrationLib.core.errors import InputError
from MultimodalRegistrationLib.core.frames import flip_points_lps_ras
from MultimodalRegistrationLib.core.grid import OrientedBox, VolumeGrid
from MultimodalRegistrationLib.core.linear import apply_matrix
from MultimodalRegistrationLib.core.points import LandmarkList
from MultimodalRegistrationLib.core.spatial import SpatialTransform
from MultimodalRegistrationLib.core.volume import Volume
from MultimodalRegistrationLib.engines.jobs import EngineVolume
from MultimodalRegistrationLib.engines.presets.preset import Preset, find_preset, preset_content
from MultimodalRegistrationLib.engines.session import EngineSessions
from MultimodalRegistrationLib.io.landmarks import read_landmarks, write_landmarks
from MultimodalRegistrationLib.io.markups import read_roi, write_roi
from MultimodalRegistrationLib.io.run_records import RunRecord, find_record
from MultimodalRegistrationLib.io.tools.itk import write_transform
from MultimodalRegistrationLib.io.transforms import read_transform
from MultimodalRegistrationLib.mrml.moved_nodes import SceneChange
from MultimodalRegistrationLib.mrml.quality import record_of
from MultimodalRegistrationLib.mrml.spatial import spatial_transform_of_node
from MultimodalRegistrationLib.mrml.transforms import SETTINGS_ATTRIBUTE, add_file_transform_node
from MultimodalRegistrationLib.mrml.vtk_arrays import matrix_from_vtk, vtk_from_matrix
from MultimodalRegistrationLib.register.deformable import within_reach
from MultimodalRegistrationLib.register.masks import Masks
from MultimodalRegistrationLib.register.pair import Pair
from MultimodalRegistrationLib.register.plan import make_plan
from MultimodalRegistrationLib.register.report import result_content
from MultimodalRegistrationLib.register.request import RegisterRequest, Stage
from MultimodalRegistrationLib.register.verdict.deformable import DeformableEvidence, judge_deformation
from MultimodalRegistrationLib.transforms.health import JacobianStatistics
from MultimodalRegistrationLib.transforms.working_grid import DistanceStatistics

sys.path.insert(0, str(Path(__file__).parents[1] / "Benchmarks"))
from deformed_pair import bend_from_rigid, deformed_pair


def quick(name: str, engine: str) -> Preset:
    """A preset with few iterations: what is tested here is not its accuracy."""
    preset = find_preset(name)
    fewer = {"elastix": {"MaximumNumberOfIterations": 40}, "ants": {"iterations": [8, 4]}}[engine]
    stages = [{**stage, **fewer} for stage in preset.engines[engine]]
    return Preset(
        preset.name, preset.title, preset.description, preset.winsorize_percentiles, {}, {engine: stages}, preset.path
    )


@pytest.fixture(scope="module")
def chained(head_ct, head_mr, truth_ct_to_mr_lps):
    """Rigid, then affine, then bent by elastix, then by ANTs."""
    return register(
        head_ct,
        head_mr,
        preset=quick("rigid", "elastix"),
        then=[
            # With a mask of its own, or it would be one run with the first.
            NextStage(quick("similarity", "elastix"), masks=Masks(Volume(head_ct.image > -500, "head"))),
            NextStage(quick("warp", "elastix")),
            NextStage(quick("warp", "ants"), "ants"),
        ],
        start="given",
        initial_transform=truth_ct_to_mr_lps,
    )


def test_the_composite_is_its_stages_one_by_one(chained, head_ct, tmp_path):
    similarity, spline, syn = chained.later
    points = np.random.default_rng(1).uniform(
        head_ct.grid.corners_lps.min(0), head_ct.grid.corners_lps.max(0), (10_000, 3)
    )
    # What bends acts on the fixed side, the last stage first.
    one_by_one = spline.transform.to_moving(syn.transform.to_moving(points))
    one_by_one = apply_matrix(similarity.transform.matrix, one_by_one)
    np.testing.assert_allclose(chained.transform.to_moving(points), one_by_one, atol=1e-6)
    np.testing.assert_allclose(similarity.transform.matrix, chained.linear_fixed_to_moving_lps)
    sitk.WriteTransform(chained.transform.transform, str(tmp_path / "T.h5"))
    np.testing.assert_allclose(read_transform(tmp_path / "T.h5").to_moving(points), one_by_one, atol=1e-6)


def test_slicer_gets_every_part(chained, head_ct, tmp_path):
    path = tmp_path / "T.h5"
    sitk.WriteTransform(chained.transform.transform, str(path))
    scene = slicer.vtkMRMLScene()
    fixed, moving = (scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name) for name in ("F", "M"))
    node = add_file_transform_node(scene, path, name="M to F", fixed_node=fixed, moving_node=moving, settings={})
    assert not node.IsLinear()
    assert scene.GetNumberOfNodesByClass("vtkMRMLTransformStorageNode") == 0
    # Well inside: beyond its domain Slicer lets a B-spline fade, where ITK ends it. Between the nodes of a field VTK
    # interpolates by a cubic, ITK linearly.
    points = apply_matrix(
        head_ct.grid.ijk_to_lps, np.random.default_rng(2).uniform(0.25, 0.75, (200, 3)) * head_ct.grid.size
    )
    from_world = vtk.vtkGeneralTransform()
    node.GetTransformFromWorld(from_world)
    mapped = [from_world.TransformPoint(point) for point in flip_points_lps_ras(points).tolist()]
    linear = apply_matrix(chained.linear_fixed_to_moving_lps, points)
    assert np.linalg.norm(chained.transform.to_moving(points) - linear, axis=1).max() > 3, "it bends"
    np.testing.assert_allclose(flip_points_lps_ras(mapped), chained.transform.to_moving(points), atol=0.1)


def test_a_bent_result_is_known_by_its_record(chained, head_ct, tmp_path):
    """From its file beside it and from its node, and no more once it was changed."""
    content = json.loads(json.dumps(result_content(chained, inputs={})))
    write_transform(tmp_path / "T.h5", chained.transform)
    (tmp_path / "any name.json").write_text(json.dumps(content))
    record = find_record(tmp_path / "T.h5", read_transform(tmp_path / "T.h5"))
    assert record.verdict == content["verdict"]
    scene = slicer.vtkMRMLScene()
    fixed, moving = (scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name) for name in ("F", "M"))
    nodes = {"fixed_node": fixed, "moving_node": moving}
    node = add_file_transform_node(scene, tmp_path / "T.h5", name="M to F", settings=content, **nodes)

    def found():
        return record_of(node, spatial_transform_of_node(node, head_ct.grid)[0], head_ct.grid)

    assert found() == (RunRecord("M to F", content), ())
    node.ApplyTransformMatrix(vtk_from_matrix(rigid([0, 0, 1], 0.5, [0.5, 0, 0])))
    record, warnings = found()
    assert record is None
    assert "was changed after it was computed" in warnings[0]


def test_a_given_node_takes_a_bent_result_and_gives_it_back(chained, tmp_path):
    """One that holds a matrix, in place of a new node; what it held comes back."""
    path = tmp_path / "T.h5"
    sitk.WriteTransform(chained.transform.transform, str(path))
    scene = slicer.vtkMRMLScene()
    fixed, moving = (scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name) for name in ("F", "M"))
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "mine")
    held = rigid([0, 0, 1], 30.0, [5.0, 0, 0])
    node.SetMatrixTransformToParent(vtk_from_matrix(held))
    common = {"name": "M to F", "fixed_node": fixed, "moving_node": moving, "settings": {"a": 1}}
    new = add_file_transform_node(scene, path, **common)
    change = SceneChange(scene)
    change.overwrite(node)
    before = scene.GetNumberOfNodes()
    assert add_file_transform_node(scene, path, node=node, **common) is node
    assert scene.GetNumberOfNodes() == before
    assert node.GetName() == "mine"
    assert not node.IsLinear()
    for point in np.random.default_rng(4).uniform(-40, 40, (20, 3)).tolist():
        mapped = [each.GetTransformFromParent().TransformPoint(point) for each in (new, node)]
        np.testing.assert_allclose(mapped[0], mapped[1], atol=1e-9)
    path.write_text("nothing")
    with pytest.raises(InputError, match="cannot read"):
        add_file_transform_node(scene, path, node=node, **common)
    assert not node.IsLinear(), "as it was"
    change.undo()
    matrix = vtk.vtkMatrix4x4()
    node.GetMatrixTransformToParent(matrix)
    np.testing.assert_array_equal(matrix_from_vtk(matrix), held)
    assert node.GetAttribute(SETTINGS_ATTRIBUTE) is None
    assert node.GetNodeReferenceID(node.GetFixedNodeReferenceRole()) is None


def test_a_file_that_slicer_cannot_read_leaves_no_node(tmp_path):
    path = tmp_path / "T.h5"
    path.write_text("nothing")
    scene = slicer.vtkMRMLScene()
    fixed, moving = (scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name) for name in ("F", "M"))
    before = scene.GetNumberOfNodes()
    with pytest.raises(InputError, match="cannot read"):
        add_file_transform_node(scene, path, name="M to F", fixed_node=fixed, moving_node=moving, settings={})
    assert scene.GetNumberOfNodes() == before


def test_the_verdict_covers_the_bending(chained):
    judged = [stage.verdict for stage in chained.later[1:]]
    assert all(verdict is not None for verdict in judged)
    assert any("bending" in words for words in (*chained.verdict.facts, *chained.verdict.against))
    if any(verdict.word != "helped" for verdict in judged):
        assert chained.verdict.word != "verified"
    assert set(chained.seconds) >= {"engine", "engine, stage 2", "engine, stage 3", "engine, stage 4"}


def test_the_seconds_of_the_stages_are_those_of_the_run(head_ct, head_mr, truth_ct_to_mr_lps):
    """Also those of a second run with exchanged roles, and of what lies between the engines."""
    began = time.perf_counter()
    result = register(
        head_ct,
        head_mr,
        preset=quick("rigid", "elastix"),
        then=[NextStage(quick("warp", "elastix"))],
        start="given",
        initial_transform=truth_ct_to_mr_lps,
    )
    spent = time.perf_counter() - began
    seconds = dict(result.seconds)
    assert seconds.pop("total") == pytest.approx(spent, abs=1, rel=0.05)
    assert sum(seconds.values()) == pytest.approx(spent, abs=1, rel=0.05)
    assert seconds["engine, roles exchanged, stage 2"] > 0.2 * seconds["engine, stage 2"]
    assert seconds["verdict, stage 2"] > 0


def test_the_command_tells_where_its_seconds_went(head_ct, head_mr, truth_ct_to_mr_lps, tmp_path):
    names = {"fixed": head_ct, "moving": head_mr}
    for name, volume in names.items():
        sitk.WriteImage(volume.image, str(tmp_path / f"{name}.nrrd"), True)
    for name in ("rigid", "warp"):
        (tmp_path / f"{name}.json").write_text(json.dumps(preset_content(quick(name, "elastix"))))
    write_transform(tmp_path / "T0.tfm", SpatialTransform.of_matrix("start", truth_ct_to_mr_lps))
    began = time.perf_counter()
    done = run_command(
        "register",
        *(argument for name in names for argument in (f"--{name}", tmp_path / f"{name}.nrrd")),
        *("--preset", tmp_path / "rigid.json", "--then", tmp_path / "warp.json", "--start", "given"),
        *("--initial-transform", tmp_path / "T0.tfm", "--output-volume", tmp_path / "R.nrrd"),
        *("--output-transform", tmp_path / "T.h5", "--json", tmp_path / "r.json"),
    )
    spent = time.perf_counter() - began
    assert done.returncode == 0, done.stderr
    seconds = json.loads((tmp_path / "r.json").read_text())["seconds"]
    total = seconds.pop("total")
    assert sum(seconds.values()) == pytest.approx(total, abs=0.01)
    printed = re.search(r"^Seconds: ([\d.]+) \((.*)\)\.$", done.stdout, re.MULTILINE)
    assert float(printed[1]) == pytest.approx(total, abs=0.05)
    stages = [float(number) for number in re.findall(r" ([\d.]+)(?:;|$)", printed[2])]
    assert sum(stages) == pytest.approx(total, abs=1, rel=0.05)
    # What is left is Python's own start.
    assert 0 < spent - total < 0.05 * spent + 5


def test_nothing_to_say_after_a_stage_that_lost_the_volume():
    judged = judge_deformation(None)
    assert judged.word == "drop"
    assert "Hardly anything" in judged.against[0]


def test_each_level_of_syn_is_followed(chained):
    levels = chained.later[2].convergence.levels
    assert [(level.stage, level.level) for level in levels] == [(0, 0), (0, 1)]
    assert all(level.iterations > 1 for level in levels)


def test_linear_stages_of_one_engine_are_one_run(head_ct, head_mr, truth_ct_to_mr_lps):
    result = register(
        head_ct,
        head_mr,
        preset=quick("rigid", "elastix"),
        then=[NextStage(quick("similarity", "elastix"))],
        start="given",
        initial_transform=truth_ct_to_mr_lps,
        verdict=False,
    )
    assert result.later == ()
    assert result.preset.name == "rigid, similarity"
    assert [stage["Transform"] for stage in result.preset.engines["elastix"]][-1] == "SimilarityTransform"


def engine_volume(size, origin, mask=None):
    voxels = np.random.default_rng(1).normal(size=size[::-1]).astype(np.float32)
    return EngineVolume(voxels, VolumeGrid(size, (2.0, 2.0, 2.0), origin, tuple(np.eye(3).ravel())), mask)


def test_only_what_the_other_volume_is_near_to_is_sampled():
    large, small = engine_volume((40, 40, 40), (0.0, 0, 0)), engine_volume((10, 40, 40), (20.0, 0, 0))
    near = within_reach(large, small, "large").mask
    assert set(np.flatnonzero(near.any(axis=(0, 1)))) == set(range(10, 20))
    assert within_reach(small, large, "small").mask is None
    marked = np.zeros((40, 40, 40), dtype=np.uint8)
    marked[20, 20, 38] = 1
    by_mask = within_reach(large, replace(large, mask=marked), "large").mask
    k, j, i = np.nonzero(by_mask)
    distances = np.linalg.norm(2.0 * (np.column_stack([i, j, k]) - [38, 20, 20]), axis=1)
    assert 17 < distances.max() < 24
    with pytest.raises(InputError, match="large: nothing that it shows"):
        within_reach(large, engine_volume((4, 4, 4), (500.0, 0, 0)), "large")


def test_masks_on_other_grids_are_placed_once_and_told(head_ct, head_mr, truth_ct_to_mr_lps):
    mask = sitk.Shrink(sitk.Cast(head_ct.image > -500, sitk.sitkUInt8), [2, 2, 1])
    result = register(
        head_ct,
        head_mr,
        preset=quick("rigid", "elastix"),
        then=[NextStage(quick("warp", "elastix"))],
        start="given",
        initial_transform=truth_ct_to_mr_lps,
        fixed_mask=Volume(mask, "head"),
    )
    assert sum("on another grid" in words for words in result.warnings) == 1
    assert len(result.later) == 1


def test_a_roi_limits_one_stage(head_ct, head_mr, truth_ct_to_mr_lps, tmp_path):
    """A box along other axes than those of the grid; the mask of the run holds inside it."""
    turned = rotation([1, 2, 0.5], 30)
    center = np.add(head_ct.grid.center_lps, (10, 0, 0))
    box = OrientedBox(center, turned, np.array([90.0, 70.0, 60.0]))
    write_roi(tmp_path / "R.mrk.json", box, "R")
    stage = Stage.from_text(f"similarity,engine=elastix,fixed-roi={tmp_path / 'R.mrk.json'}")
    bright = Volume(head_ct.image > 0, "bright")
    own = Masks(fixed_box=read_roi(stage.fixed_roi))
    masks = own.or_those_of(Masks(bright)).within_boxes(head_ct, head_mr)
    assert masks.moving is None
    ijk = np.argwhere(np.ones_like(head_ct.voxels))[:, ::-1]
    inside = np.abs((apply_matrix(head_ct.grid.ijk_to_lps, ijk) - box.center_lps) @ turned) <= [45, 35, 30]
    expected = inside.all(axis=1).reshape(head_ct.voxels.shape) & (head_ct.voxels > 0)
    assert 100 < expected.sum() < (head_ct.voxels > 0).sum() / 2
    np.testing.assert_array_equal(masks.fixed.voxels > 0, expected)
    result = register(
        head_ct,
        head_mr,
        preset=quick("rigid", "elastix"),
        then=[NextStage(quick("similarity", "elastix"), "elastix", own)],
        start="given",
        initial_transform=truth_ct_to_mr_lps,
        verdict=False,
    )
    assert len(result.later) == 1
    outside = replace(box, center_lps=np.array([900.0, 0, 0]))
    with pytest.raises(InputError, match="holds no voxel"):
        Masks(fixed_box=outside).within_boxes(head_ct, head_mr)


@pytest.mark.parametrize("sampled_is_moving", [True, False])
def test_a_pose_of_a_pair_and_its_transform_belong_together(sampled_is_moving):
    volume = engine_volume((4, 4, 4), (0.0, 0, 0))
    pair = Pair(volume, volume, sampled_is_moving, rigid([1, 2, 3], 40, [5, -6, 7]))
    pose = rigid([-1, 0.4, 2], 70, [-3, 9, 20])
    np.testing.assert_allclose(pair.pose_lps(pair.fixed_to_moving_lps(pose)), pose, atol=1e-12)


def test_a_later_linear_stage_keeps_the_bounds_of_the_run(head_ct, head_mr, truth_ct_to_mr_lps):
    """The start is 6 mm off, and the first stage is not allowed that far."""
    off = rigid([0, 0, 1], 0, [0, 6, 0]) @ truth_ct_to_mr_lps
    result = register(
        head_ct,
        head_mr,
        preset=quick("rigid", "elastix"),
        then=[NextStage(quick("similarity", "elastix"), masks=Masks(Volume(head_ct.image > -500, "head")))],
        start="given",
        initial_transform=off,
        max_translation_mm=2.0,
        max_rotation_deg=10.0,
        verdict=False,
    )
    (later,) = result.later
    assert later.moved_mm == 0
    np.testing.assert_allclose(later.transform.matrix, result.fixed_to_moving_lps, atol=1e-9)
    assert any("beyond the bounds of the run" in words for words in result.warnings)


def test_a_volume_from_python_is_checked_as_one_from_a_file(head_ct, head_mr):
    broken = sitk.Cast(head_mr.image, sitk.sitkFloat32)
    broken[3, 4, 5] = float("nan")
    with pytest.raises(InputError, match=r"mine: 1 of \d+ voxels are NaN"):
        register(head_ct, Volume(broken, "mine"), preset=find_preset("rigid"))


def test_orders_that_make_no_sense_are_refused(head_ct, head_mr):
    with pytest.raises(InputError, match="only deformable"):
        register(head_ct, head_mr, preset=find_preset("warp"), engine="elastix")
    with pytest.raises(InputError, match="would follow 'deformable'"):
        register(
            head_ct, head_mr, preset=find_preset("deformable"), then=[NextStage(find_preset("rigid"))], engine="elastix"
        )


def test_linear_stages_are_one_run_where_their_intensities_are_the_same():
    """One run gets one copy of the volumes."""
    first, second = find_preset("rigid"), find_preset("affine")

    def parts_of(then):
        stages = (Stage(preset=then, engine="elastix"),)
        return make_plan(RegisterRequest(fixed="F", moving="M", preset=first, engine="elastix", then=stages)).parts

    assert [part.preset.name for part in parts_of(second)] == ["rigid, affine"]
    for other in (
        replace(second, histogram_equalization_shares={}),
        replace(second, winsorize_percentiles=(1.0, 99.0)),
    ):
        parts = parts_of(other)
        assert [part.preset.name for part in parts] == ["rigid", "affine"]
        assert parts[1].preset == other


def test_names_and_paths_with_commas(tmp_path):
    """As of a user who is called that."""
    folder = tmp_path / "Doe, Jane"
    folder.mkdir()
    content = preset_content(find_preset("affine"))
    (folder / "a, b.json").write_text(json.dumps(content), encoding="utf-8")
    sitk.WriteImage(sitk.Image([4, 4, 4], sitk.sitkUInt8) + 1, str(folder / "m, 1.nrrd"))
    stage = Stage.from_text(f"{folder / 'a, b.json'},engine=elastix,fixed-mask={folder / 'm, 1.nrrd'}")
    found = find_preset(stage.preset).name, stage.engine, stage.fixed_mask
    assert found == ("affine", "elastix", str(folder / "m, 1.nrrd"))
    assert Stage.from_text(str(stage)) == stage


@pytest.mark.parametrize(
    ("then", "message"),
    [
        ("wrap", "Did you mean warp"),
        ("warp,engin=ants", "Did you mean engine"),
        ("warp,engine=", "is no setting"),
        ("warp,engine=nifty", "no engine 'nifty'"),
        ("warp,engine=simpleitk", "no settings for the engine 'simpleitk'"),
    ],
)
def test_mistakes_in_then_are_named(tmp_path, then, message):
    done = run_command(
        "register", "--fixed", "F.nrrd", "--moving", "M.nrrd", "--then", then, "--output-transform", tmp_path / "T.h5"
    )
    assert done.returncode == 2
    assert message in done.stderr


def evidence(*, before=0.5, after=0.6, bending=4.0, back=0.4, smallest=0.7, largest=1.4, folded=0.0, symmetric=False):
    def distances(mean):
        return DistanceStatistics(mean, mean, mean, 2 * mean, 3 * mean, 1000)

    jacobian = JacobianStatistics(smallest, largest, 1.0, folded, 0.1)
    return DeformableEvidence(
        before, after, distances(bending), None if back is None else distances(back), jacobian, symmetric
    )


@pytest.mark.parametrize(
    ("changes", "word", "says"),
    [
        ({}, "helped", None),
        ({"back": 1.6}, "unclear", "exchanged roles a different"),
        ({"back": 3.5}, "drop", "exchanged roles another"),
        ({"folded": 0.001, "smallest": -0.2}, "drop", "folds 0.10%"),
        ({"after": 0.49}, "drop", "no better than before"),
        ({"after": None}, "unclear", "Too few points"),
        ({"back": None}, "unclear", "exchanged roles the engine found nothing"),
        ({"after": 0.505}, "unclear", "1.0% only"),
        ({"bending": 0.2, "back": 0.15}, "unclear", "may not be needed"),
        ({"largest": 6.0}, "unclear", "factors from 0.70 to 6.00"),
        ({"symmetric": True}, "unclear", "SyN treats both volumes alike"),
    ],
)
def test_the_rule_on_bending(changes, word, says):
    judged = judge_deformation(evidence(**changes))
    assert judged.word == word
    assert (says is None and not judged.against) or any(says in sentence for sentence in judged.against)


def run_warp(pair, engine="elastix"):
    with EngineSessions() as engines:
        return bend_from_rigid(engines, engine, pair, verdict=True, on_warning=pytest.fail)


@pytest.mark.story("U5")
def test_a_known_deformation_of_a_real_pair(real_data):
    """Testing/Benchmarks/deformable.md has more pairs, and other tools."""
    pair = deformed_pair(real_cases()["stroke-t2"], real_data)
    rigid = SpatialTransform.of_matrix("rigid", pair.rigid_lps)
    start = pair.errors_mm(rigid).mean()
    assert 3 < start < 6
    stage = run_warp(pair)
    whole = SpatialTransform("all", sitk.CompositeTransform([rigid.transform, stage.transform.transform]))
    assert pair.errors_mm(whole).mean() < 0.25 * start
    assert stage.verdict.word == "helped"
    assert stage.verdict.evidence.jacobian.minimum > 0.2


@pytest.mark.story("U5")
def test_the_command_bends_and_tells(head_ct, head_mr, tmp_path):
    for name, volume in (("ct", head_ct), ("mr", head_mr)):
        sitk.WriteImage(volume.image, str(tmp_path / f"{name}.nrrd"))
    preset = quick("warp", "elastix")
    content = json.loads(preset.path.read_text(encoding="utf-8"))
    content["engines"] = preset.engines
    (tmp_path / "quick.json").write_text(json.dumps({**content, "name": "quick"}), encoding="utf-8")
    mask = sitk.Cast(head_ct.image > -500, sitk.sitkUInt8)
    sitk.WriteImage(mask, str(tmp_path / "mask.nrrd"))
    inside_lps = head_mr.grid.sample_points_lps(4)[[20, 41]]
    points = LandmarkList.of_points("points", inside_lps, ["a", "b"])
    write_landmarks(tmp_path / "points.mrk.json", points)
    done = run_command(
        *(
            "register",
            "--carry",
            tmp_path / "mr.nrrd",
            tmp_path / "points.mrk.json",
            "--carry-dir",
            tmp_path / "carried",
        ),
        *("--fixed", tmp_path / "ct.nrrd", "--moving", tmp_path / "mr.nrrd"),
        *("--then", f"{tmp_path / 'quick.json'},fixed-mask={tmp_path / 'mask.nrrd'}"),
        *(
            "--output-transform",
            tmp_path / "T.h5",
            "--output-volume",
            tmp_path / "R.nrrd",
            "--json",
            tmp_path / "R.json",
        ),
    )
    assert done.returncode == 0, done.stderr
    assert "Then bent with preset quick (elastix)" in done.stdout
    result = json.loads((tmp_path / "R.json").read_text())
    assert result["transform"]["type"] == "composite"
    (stage,) = result["later_stages"]
    assert stage["type"] == "bending"
    assert stage["verdict"]["word"] in ("helped", "unclear", "drop")
    assert set(stage["verdict"]["evidence"]["jacobian"]) >= {"minimum", "maximum", "folded_share"}
    assert stage["inverse_error"]["max_mm"] < 0.01
    transform = read_transform(tmp_path / "T.h5")
    expected = sitk.Resample(
        head_mr.image, head_ct.image, transform.transform, sitk.sitkLinear, float(head_mr.voxels.min())
    )
    found = sitk.ReadImage(str(tmp_path / "R.nrrd"))
    np.testing.assert_allclose(sitk.GetArrayFromImage(found), sitk.GetArrayFromImage(expected), atol=1.0)
    carried = sitk.ReadImage(str(tmp_path / "carried" / "mr.nrrd"))
    np.testing.assert_allclose(sitk.GetArrayFromImage(carried), sitk.GetArrayFromImage(found), atol=1.0)
    there = read_landmarks(tmp_path / "carried" / "points.mrk.json").points_lps
    np.testing.assert_allclose(transform.to_moving(there), inside_lps, atol=0.001)
    assert [one["kind"] for one in result["carried"]] == ["volume", "markups"]


def test_one_carry_option_alone_is_refused(tmp_path):
    done = run_command(
        *("register", "--fixed", "F.nrrd", "--moving", "M.nrrd", "--carry", "A.nrrd"),
        *("--output-transform", tmp_path / "T.h5"),
    )
    assert done.returncode == 2
    assert "--carry-dir" in done.stderr
