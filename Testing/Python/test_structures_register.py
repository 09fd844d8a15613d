"""Structures registered one at a time: their regions, the command, and three real bones moved by known transforms."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import shutil
import threading
from contextlib import redirect_stdout

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from conftest import rigid, rotation
from MultimodalRegistrationLib.cli.main import main
from MultimodalRegistrationLib.core.errors import Cancelled, EngineError, InputError
from MultimodalRegistrationLib.core.grid import VolumeGrid
from MultimodalRegistrationLib.core.linear import apply_matrix, displacement_mm, rotation_angle_deg, sitk_from_matrix
from MultimodalRegistrationLib.engines.presets.preset import find_preset
from MultimodalRegistrationLib.io.segmentations import Segmentation, read_segmentation
from MultimodalRegistrationLib.io.transforms import read_linear_transform, read_transform
from MultimodalRegistrationLib.io.volumes import read_volume
from MultimodalRegistrationLib.mrml.quality import record_of
from MultimodalRegistrationLib.mrml.registration_job import Inputs, Settings
from MultimodalRegistrationLib.mrml.spatial import spatial_transform_of_node
from MultimodalRegistrationLib.mrml.structures_job import StructuresJob
from MultimodalRegistrationLib.mrml.transforms import SETTINGS_ATTRIBUTE, start_from_node
from MultimodalRegistrationLib.polyrigid import register_each
from MultimodalRegistrationLib.polyrigid.combine import combine_rigid
from MultimodalRegistrationLib.polyrigid.register_each import register_structures, worker_count
from MultimodalRegistrationLib.polyrigid.report import file_names, joint_content
from MultimodalRegistrationLib.polyrigid.structure import structure_region, structures_of
from panel_helpers import add_voxels
from scipy import ndimage
from scipy.spatial import cKDTree
from structure_phantom import COMMON, FIXED_GRID, MOVING_GRID, around, other_modality, paste, points_of, volume


@pytest.fixture(scope="module")
def bones():
    """Two bones with cortex and marrow in soft tissue, and their label map."""
    points = points_of(FIXED_GRID) - FIXED_GRID.center_lps
    along = points @ np.asarray(FIXED_GRID.direction).reshape(3, 3)
    rng = np.random.default_rng(3)
    values = 40 + 300 * ndimage.gaussian_filter(rng.normal(size=FIXED_GRID.size[::-1]), 3).ravel()
    labels = np.zeros(len(points))
    for label, middle, radii in ((3, [-22, 0, 0], [14, 20, 24]), (7, [20, 4, 6], [12, 24, 16])):
        x = (along - middle) / radii
        radius = np.linalg.norm(x, axis=1) * (1 + 0.25 * np.sin(3 * x[:, 1] + label) * np.cos(2.5 * x[:, 2]))
        labels[radius <= 1] = label
        values = np.where(radius <= 1, np.where(radius > 0.75, 1100, 350 + 300 * x[:, 2]), values)
    return volume(values, FIXED_GRID, "ct"), volume(labels, FIXED_GRID, "labels", np.uint8)


@pytest.fixture(scope="module")
def motions(bones):
    _, labels = bones
    first, second = structures_of(Segmentation.of_labels(labels))
    return {
        3: COMMON @ around(first, rigid([1, 0.2, 0], 8, [-3, 2, 4])),
        7: COMMON @ around(second, rigid([0.1, 0.3, 1], -12, [8, -6, 2])),
    }


@pytest.fixture(scope="module")
def files(tmp_path_factory, bones, motions):
    folder = tmp_path_factory.mktemp("structures")
    fixed, labels = bones
    moving = paste(fixed, labels, motions, MOVING_GRID, modality="other", seed=5)
    for name, one in (("ct.nrrd", fixed), ("mr.nrrd", moving), ("labels.nii.gz", labels)):
        sitk.WriteImage(one.image, str(folder / name))
    sitk.WriteTransform(sitk_from_matrix(COMMON), str(folder / "common.tfm"))
    return folder


def arguments(files, out):
    return [
        *("structures", "--fixed", files / "ct.nrrd", "--moving", files / "mr.nrrd"),
        *("--segmentation", files / "labels.nii.gz", "--initial-transform", files / "common.tfm", "--output-dir", out),
    ]


@pytest.fixture(scope="module")
def run(files):
    """The command once: its folder, its words, and what was registered."""
    real, kept = register_structures, []

    def remember(*volumes, **options):
        kept.extend(real(*volumes, **options))
        return tuple(kept)

    words = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(words):
        patch.setattr("MultimodalRegistrationLib.cli.structures.register_structures", remember)
        given = (*arguments(files, files / "out"), "--workers", 1, "--json", files / "r.json")
        assert main([str(one) for one in given]) == 0
    return files / "out", words.getvalue(), kept


@pytest.mark.story("U4")
def test_the_command(files, bones, motions, run):
    out, words, _ = run
    assert sorted(os.listdir(out)) == ["3.h5", "7.h5", "RESULT.json", "combined.h5", "moving-resampled.nrrd"]
    assert "3: VERIFIED" in words
    assert "0.00% folded" in words
    content = json.loads((out / "RESULT.json").read_text(encoding="utf-8"))
    assert content == json.loads((files / "r.json").read_text(encoding="utf-8"))
    assert [(one["name"], one["file"]) for one in content["structures"]] == [("3", "3.h5"), ("7", "7.h5")]
    assert all(one["registration"]["verdict"]["word"] == "verified" for one in content["structures"])
    combined = content["combined"]
    assert combined["jacobian"]["minimum"] > 0
    assert combined["jacobian"]["folded_share"] == 0
    assert all(one["deviation_max_mm"] < 0.1 for one in combined["rigid_inside"])
    assert combined["round_trip_mm"]["p95_mm"] < 0.1
    fixed, labels = bones
    together = read_transform(out / "combined.h5")
    assert isinstance(together.transform, sitk.DisplacementFieldTransform) or together.matrix is None
    resampled = read_volume(out / "moving-resampled.nrrd")
    assert resampled.grid.coincides_with(fixed.grid)
    expected = other_modality(np.asarray(fixed.voxels))
    for one in structures_of(Segmentation.of_labels(labels)):
        found = read_linear_transform(out / f"{one.name}.h5")
        assert displacement_mm(found, motions[int(one.name)], one.points_lps).mean() < 0.5
        np.testing.assert_allclose(
            together.to_moving(one.points_lps), apply_matrix(found, one.points_lps), rtol=0, atol=0.1
        )
        inside = ndimage.binary_erosion(labels.voxels == int(one.name))
        assert np.corrcoef(resampled.voxels[inside], expected[inside])[0, 1] > 0.9


def test_colliding_structures_keep_their_own_transforms(files, bones, run, tmp_path, capsys, monkeypatch):
    """What was registered is written; the collision is told by name."""
    _, labels = bones
    onto = np.eye(4)
    first, second = (one.points_lps.mean(axis=0) for one in structures_of(Segmentation.of_labels(labels)))
    onto[:3, 3] = second - first

    one, other = run[2]
    wrong = dataclasses.replace(one.result, fixed_to_moving_lps=other.result.fixed_to_moving_lps @ onto)
    found = dataclasses.replace(one, result=wrong), other
    monkeypatch.setattr("MultimodalRegistrationLib.cli.structures.register_structures", lambda *v, **options: found)
    assert main([str(one) for one in arguments(files, tmp_path / "out")]) == 0
    assert sorted(os.listdir(tmp_path / "out")) == ["3.h5", "7.h5", "RESULT.json"]
    words = capsys.readouterr().err
    assert "There is no combined transform. The structures '3' and '7': they would overlap by" in words
    content = json.loads((tmp_path / "out" / "RESULT.json").read_text(encoding="utf-8"))
    assert content["combined"] is None
    assert any("'3' and '7'" in one for one in content["warnings"])


@pytest.fixture
def job(files, bones, tmp_path, slicer_app):
    """A job of nodes, with which the command was run."""
    fixed, labels = bones
    kinds = ["vtkMRMLScalarVolumeNode", "vtkMRMLScalarVolumeNode", "vtkMRMLLabelMapVolumeNode"]
    nodes = [
        add_voxels(name, one.voxels, one.grid, kind=kind)
        for name, one, kind in zip(
            ("ct", "mr", "bones"), (fixed, read_volume(files / "mr.nrrd"), labels), kinds, strict=True
        )
    ]
    inputs = Inputs(nodes[0], nodes[1], structures=nodes[2])
    settings = Settings({"preset": find_preset("rigid")}, resampled_volume=True)
    made = StructuresJob(inputs, settings, tmp_path)
    assert [*made.write()][-1] == pytest.approx(1)
    return made


@pytest.mark.parametrize("name", ["mr to ct", "mine"])
def test_nodes_in_and_nodes_out(files, run, job, tmp_path, name):
    """The combined transform in a new node, or in one that was chosen."""
    output = None if name == "mr to ct" else slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", name)
    asked = job.job()
    for path, file in ((asked.request.fixed, "ct.nrrd"), (asked.request.moving, "mr.nrrd")):
        written, original = read_volume(path), read_volume(files / file)
        np.testing.assert_array_equal(written.voxels, original.voxels)
        assert written.grid.coincides_with(original.grid)
    assert [one.name for one in structures_of(read_segmentation(asked.request.segmentation))] == ["3", "7"]
    shutil.copytree(run[0], asked.outputs.output_dir)
    assert [*job.read()][-1] == 1
    assert job.moves_all
    node, others, _ = job.finish(slicer.mrmlScene, output)
    assert output in (None, node)
    assert [one.GetName() for one in (node, *others)] == [name, "mr to ct: 3", "mr to ct: 7", "mr resampled"]
    for name, one in zip("37", others[:2], strict=True):
        found = read_linear_transform(run[0] / f"{name}.h5")
        np.testing.assert_allclose(start_from_node(one), found, atol=1e-9)
    told = json.loads(node.GetAttribute(SETTINGS_ATTRIBUTE))
    assert (told["verdict"]["word"], told["transform"]["type"]) == ("verified", "composite")
    assert [words.split(":")[0] for words in told["verdict"]["facts"]] == ["3", "7", "Together they deform"]
    record, warnings = record_of(node, spatial_transform_of_node(node, FIXED_GRID)[0], FIXED_GRID)
    assert (record.content, warnings) == (told, ())
    points = points_of(FIXED_GRID)[::500]
    mapped = [node.GetTransformFromParent().TransformPoint(point) for point in points * [-1, -1, 1]]
    np.testing.assert_allclose(
        np.array(mapped) * [-1, -1, 1], read_transform(run[0] / "combined.h5").to_moving(points), atol=1e-4
    )


def test_structures_without_a_combined_transform(run, job, tmp_path):
    """The one that is trusted least is shown."""
    shutil.copytree(run[0], tmp_path / "results")
    content = json.loads((run[0] / "RESULT.json").read_text())
    content["combined"] = None
    content["structures"][1]["registration"]["verdict"].update(word="uncertain", estimated_error_mm=None)
    (tmp_path / "results" / "RESULT.json").write_text(json.dumps(content))
    for name in ("combined.h5", "moving-resampled.nrrd"):
        (tmp_path / "results" / name).unlink()
    assert [*job.read()] == []
    assert not job.moves_all
    node, others, _ = job.finish(slicer.mrmlScene)
    assert (node.GetName(), [one.GetName() for one in others]) == ("mr to ct: 7", ["mr to ct: 3"])


def test_the_joint_verdict_is_no_better_than_the_worst(run):
    content = json.loads((run[0] / "RESULT.json").read_text())
    one, other = (each["registration"] for each in content["structures"])
    one["verdict"].update(word="uncertain", against=["The optimum is blunt."], estimated_error_mm=3.0)
    other["verdict"].update(word="uncertain", against=["A rival is close."], estimated_error_mm=None)
    content["warnings"] = ["3: The verdict is uncertain. The optimum is blunt.", "Something else."]
    joint = joint_content(content)
    assert joint["verdict"]["word"] == "uncertain"
    assert joint["verdict"]["estimated_error_mm"] is None
    assert joint["verdict"]["against"] == ["3: The optimum is blunt.", "7: A rival is close."]
    assert joint["warnings"] == ["Something else."]
    assert (
        joint["moved_from_start"]
        == max((one, other), key=lambda e: e["moved_from_start"]["mean_mm"])["moved_from_start"]
    )


@pytest.mark.parametrize(
    ("changes", "against"),
    [
        ({"folded_share": 0.1}, "Together they fold space, in 10.00% of it"),
        ({"folded_cell_share": 0.002}, "Together they fold space, in 0.20% of it"),
        ({"deviation_max_mm": 7.5}, "7 ends up to 7.5 mm off its own transform."),
    ],
)
def test_a_combination_that_folds_or_does_not_carry_is_not_verified(run, changes, against):
    content = json.loads((run[0] / "RESULT.json").read_text())
    assert joint_content(content)["verdict"]["word"] == "verified"
    place = content["combined"]["rigid_inside"][1] if "deviation_max_mm" in changes else content["combined"]["jacobian"]
    place.update(changes)
    verdict = joint_content(content)["verdict"]
    assert verdict["word"] == "uncertain"
    assert [words for words in verdict["against"] if against in words] == verdict["against"]


@pytest.mark.parametrize(
    ("word", "options", "code", "name"),
    [
        ("failed", [], 6, "3.failed.h5"),
        ("failed", ["--keep-failed"], 6, "3.h5"),
        ("failed", ["--require", "verified"], 6, "3.failed.h5"),
        ("uncertain", [], 0, "3.h5"),
        ("uncertain", ["--require", "verified"], 7, "3.uncertain.h5"),
        ("verified", ["--require", "verified"], 0, "3.h5"),
    ],
)
def test_the_exit_code_and_the_file_of_a_structure(
    files, run, tmp_path, capsys, monkeypatch, word, options, code, name
):
    one, other = run[2]
    verdict = dataclasses.replace(one.result.verdict, word=word)
    found = dataclasses.replace(one, result=dataclasses.replace(one.result, verdict=verdict)), other
    monkeypatch.setattr("MultimodalRegistrationLib.cli.structures.register_structures", lambda *v, **options: found)
    out = tmp_path / "out"
    assert main([str(one) for one in (*arguments(files, out), *options)]) == code
    content = json.loads((out / "RESULT.json").read_text(encoding="utf-8"))
    assert (content["exit_code"], [one["file"] for one in content["structures"]]) == (code, [name, "7.h5"])
    assert {path.name for path in out.iterdir()} >= {name, "7.h5"}
    assert ((out / "3.h5").exists(), (out / "7.failed.h5").exists()) == (name == "3.h5", False)
    told = capsys.readouterr().err
    assert (f'Exit code {code}: "3" is {word}.' in told) == (code != 0)


def test_structures_that_collide_are_not_what_was_required(files, run, tmp_path, monkeypatch):
    found = "The structures collide."
    monkeypatch.setattr("MultimodalRegistrationLib.cli.structures.register_structures", lambda *v, **options: run[2])
    monkeypatch.setattr("MultimodalRegistrationLib.cli.structures._combined", lambda *given: found)
    for name, options, code in (("a", [], 0), ("b", ["--require", "verified"], 7)):
        assert main([str(one) for one in (*arguments(files, tmp_path / name), *options)]) == code
        assert (tmp_path / name / "3.h5").exists()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--preset", "affine"], "this preset is not rigid"),
        (["--segments", "3", "9"], "no segment '9'"),
        (["--margin", "-1"], "--margin: -1 was given"),
        (["--workers", "0"], "--workers: 0 was given"),
        (["--max-rotation", "200"], "--max-rotation: 200 was given"),
        (["--fixed-landmarks", "a.fcsv"], "only one of the two was given"),
    ],
)
def test_what_is_refused_leaves_nothing(files, tmp_path, capsys, more, words):
    assert main([str(one) for one in (*arguments(files, tmp_path / "out"), *more)]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists() or os.listdir(tmp_path / "out") == []


def test_a_region_is_the_structure_and_its_margin_without_neighbours(bones, motions):
    fixed, labels = bones
    moving = paste(fixed, labels, motions, MOVING_GRID, modality="other", seed=5)
    both = structures_of(Segmentation.of_labels(labels))
    options = {"fixed_to_moving_lps": COMMON, "max_translation_mm": 10, "max_rotation_deg": 10}
    found = structure_region(fixed, moving, both[0], both, margin_mm=9, **options)
    marked = apply_matrix(found.fixed_mask.grid.ijk_to_lps, np.argwhere(found.fixed_mask.voxels)[:, ::-1])
    own, other = (cKDTree(one.points_lps).query(marked)[0] for one in both)
    assert own.max() <= 9 + 1e-3
    assert np.all(own < other + 1e-6)
    assert found.fixed_mask.grid.coincides_with(found.fixed.grid)
    # Every voxel of the structure counts, and nothing of it can leave the moving region.
    assert np.count_nonzero(own < 1e-3) == len(both[0].points_lps)
    corners = apply_matrix(COMMON, both[0].points_lps)
    inside = moving.grid.contains(corners)
    assert found.moving.grid.contains(corners[inside]).all()
    assert found.moving.grid.contains(apply_matrix(motions[3], both[0].points_lps)).all()
    alone = structure_region(fixed, moving, both[0], (), margin_mm=30, **options)
    assert np.count_nonzero(alone.fixed_mask.voxels[_labels_on(labels, alone.fixed) == 7]) > 0
    with pytest.raises(InputError, match=r"labels \(3\): under the prealignment it lies outside of moving"):
        structure_region(
            fixed, moving, both[0], both, **{**options, "fixed_to_moving_lps": rigid([0, 0, 1], 0, [900, 0, 0])}
        )


def _labels_on(labels, reference):
    image = sitk.Resample(labels.image, reference.image, sitk.Transform(), sitk.sitkNearestNeighbor)
    return sitk.GetArrayFromImage(image)


def test_workers_by_cores_memory_and_structures(bones, motions, monkeypatch):
    fixed, labels = bones
    moving = paste(fixed, labels, motions, MOVING_GRID, modality="other", seed=5)
    both = structures_of(Segmentation.of_labels(labels))
    options = {"fixed_to_moving_lps": COMMON, "max_translation_mm": 10, "max_rotation_deg": 10}
    regions = [structure_region(fixed, moving, one, both, **options) for one in both] * 4
    monkeypatch.setattr(register_each, "usable_cores", lambda: 6)
    monkeypatch.setattr(register_each, "default_memory_limit_bytes", lambda: 1e12)
    assert worker_count(None, regions, "elastix") == 6
    assert worker_count(None, regions[:2], "elastix") == 2
    assert worker_count(5, regions, "elastix") == 5
    assert worker_count(50, regions, "elastix") == 8
    monkeypatch.setattr(register_each, "default_memory_limit_bytes", lambda: 1e9)
    assert 1 <= worker_count(None, regions, "elastix") <= 3
    monkeypatch.setattr(register_each, "default_memory_limit_bytes", lambda: 1e6)
    assert worker_count(None, regions, "elastix") == 1


@pytest.mark.parametrize("workers", [1, 2])
def test_one_failure_stops_all(bones, motions, monkeypatch, workers):
    """The others are told to stop at once, and the error is that of the first."""
    fixed, labels = bones
    moving = paste(fixed, labels, motions, MOVING_GRID, modality="other", seed=5)
    both = structures_of(Segmentation.of_labels(labels))
    seen = []

    def register_one(region, *, run, **options):
        cancel = run.cancel
        if region.structure.name == "3":
            raise EngineError("elastix", "stopped", "Try again.")
        assert cancel.wait(20) or cancel.is_set()
        seen.append(cancel.is_set())
        raise Cancelled()

    monkeypatch.setattr(register_each, "register_one", register_one)
    with pytest.raises(EngineError, match="stopped"):
        register_structures(
            fixed, moving, both, preset=find_preset("rigid"), fixed_to_moving_lps=COMMON, workers=workers
        )
    assert all(seen)


def test_a_cancelled_run_ends(bones, motions):
    fixed, labels = bones
    moving = paste(fixed, labels, motions, MOVING_GRID, modality="other", seed=5)
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        register_structures(
            fixed,
            moving,
            structures_of(Segmentation.of_labels(labels)),
            preset=find_preset("rigid"),
            fixed_to_moving_lps=COMMON,
            workers=1,
            cancel=cancel,
        )


def test_file_names_are_safe_and_differ():
    names = ["Left femur", "left  femur", "../x", "con", "Läsion", "", "combined", "a" * 99]
    found = file_names(names, ".h5", taken=["combined.h5"])
    assert found[:7] == [
        *("Left_femur.h5", "left_femur_2.h5", "x.h5", "structure_con.h5", "Läsion.h5", "structure.h5", "combined_2.h5")
    ]
    assert len({name.lower() for name in found}) == len(names)
    assert all(len(name) < 70 and not set(name) & set('/\\:*?"<>| ') for name in found)


@pytest.mark.story("U4")
@pytest.mark.slow
@pytest.mark.parametrize("modality", ["ct", "other"])
def test_three_real_bones(real_data, modality):
    """Femur, tibia and patella of a real CT, cut out and moved by up to 15 degrees and 20 mm after a common motion."""
    fixed = read_volume(real_data / "sarcoma-047" / "ct.nrrd")
    bright = ndimage.gaussian_filter(fixed.voxels.astype(float), (0.3, 1, 1)) > 200
    parts, _ = ndimage.label(ndimage.binary_opening(bright))
    labels = np.zeros(parts.shape)
    # Femur, tibia, patella; what is bright at the border of one and open inside belongs to it.
    for label, part in ((1, 4), (2, 1), (3, 11)):
        closed = ndimage.binary_closing(np.pad(parts == part, 3), iterations=3)[3:-3, 3:-3, 3:-3]
        labels[ndimage.binary_fill_holes(closed | (parts == part)) & (labels == 0)] = label
    labels = volume(labels, fixed.grid, "labels", np.uint8)
    bones = structures_of(Segmentation.of_labels(labels))
    femur, tibia, patella = bones
    whole = around(femur, rigid([0.2, 1, 0.3], 25, [60, -10, 50]))
    motions = {
        1: whole @ around(femur, rigid([1, 0.3, 0.2], -7, [2, 4, 6])),
        2: whole @ around(tibia, rigid([0.3, 0.2, 1], 15, [-5, 3, -12])),
        3: whole @ around(patella, rigid([0.2, 1, 0.3], 12, [4, -19, 5])),
    }
    moving = paste(fixed, labels, motions, _grid_around(bones, motions), modality=modality, seed=0)
    registered = register_structures(
        fixed, moving, bones, preset=find_preset("rigid"), fixed_to_moving_lps=whole, workers=1
    )
    for one, truth in zip(registered, motions.values(), strict=True):
        error = displacement_mm(one.result.fixed_to_moving_lps, truth, one.structure.points_lps)
        assert error.mean() <= 0.5, one.structure.name
        assert one.result.verdict.word == "verified", one.result.verdict.against
    assert rotation_angle_deg(np.linalg.inv(whole) @ registered[1].result.fixed_to_moving_lps) > 14
    combined = combine_rigid(fixed.grid, bones, [one.result.fixed_to_moving_lps for one in registered])
    assert max(one.deviation_max_mm for one in combined.structures) <= 0.1
    assert combined.jacobian.minimum > 0
    assert combined.jacobian.cell_minimum > 0
    assert combined.warnings == ()
    assert combined.round_trip.p95_mm < 0.1
    together = read_points(combined.transform, femur.points_lps)
    np.testing.assert_allclose(
        together, apply_matrix(registered[0].result.fixed_to_moving_lps, femur.points_lps), atol=0.1
    )


def read_points(transform, points):
    """Points by SimpleITK's own transform, one at a time."""
    return np.array([transform.TransformPoint(point) for point in points.tolist()])


def _grid_around(bones, motions):
    """An oblique, anisotropic, left-handed grid around the moved bones."""
    axes = rotation([0.3, -0.2, 0.5], 35) @ np.diag([1, 1, -1])
    spacing = np.array([1.2, 1.0, 2.4])
    along = np.concatenate([apply_matrix(motions[int(one.name)], one.points_lps) for one in bones]) @ axes
    low, high = along.min(axis=0) - 30, along.max(axis=0) + 30
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = axes * spacing, axes @ low
    size = np.ceil((high - low) / spacing).astype(int)
    return VolumeGrid.of_matrix((int(size[0]), int(size[1]), int(size[2])), matrix)
